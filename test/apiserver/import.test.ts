import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { reference } from '../../hack/testbed/reference.ts';
import type { OverlayAgent } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  type Node,
} from '../../src/kube/resources.ts';
import { CommandLine, type Ran } from '../support/commandline.ts';
import type { ControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';
import { TempDir } from '../support/kubeprocess.ts';
import { emptyPlane, joinNode, registerAgent, shown, wipe } from '../support/leader.ts';
import { biggerState, oldAddress } from '../support/oldcluster.ts';
import { OperatorProcess } from '../support/operator.ts';

let plane: ControlPlane;
let client: Client;
let command: CommandLine;
const operators: OperatorProcess[] = [];
const temp = new TempDir('ovt-import-');
const beside = (name: string): string => path.join(path.dirname(reference), name);
const expected = readFileSync(reference, 'utf8');

beforeAll(async () => {
  plane = await emptyPlane();
  ({ client } = plane);
  command = await CommandLine.build();
  operators.push(await OperatorProcess.start(plane.kubeconfig, 'one'));
  operators.push(await OperatorProcess.start(plane.kubeconfig, 'two'));
}, 180_000);

afterAll(async () => {
  await Promise.all(operators.map((operator) => operator.kill()));
  await command.remove();
  await temp.remove();
  await wipe(client);
});

const run = (...args: string[]): Promise<Ran> => command.run(args, { KUBECONFIG: plane.kubeconfig });
const write = (name: string, text: string) => {
  const file = path.join(temp.path, name);
  writeFileSync(file, text);
  return file;
};

/** What an agent says once its kernel shows everything. */
async function report(name: string): Promise<void> {
  const { metadata, spec } = (await client.get(overlayAgents, name))!;
  const networks = ['dcos', 'dcos6'].map((network) => ({ name: network, state: 'OK' as const }));
  const { apiVersion, kind } = overlayAgents;
  await client.updateStatus<OverlayAgent>(overlayAgents, {
    apiVersion,
    kind,
    metadata,
    spec,
    status: { networks },
  });
}

/** What users see of the objects that an import writes, and what nodes have. */
const versions = async () => {
  const [allocations, networks, configs] = await Promise.all([
    client.list(agentAllocations),
    client.list(overlayNetworks),
    client.list(overlayConfigs),
  ]);
  return [
    ...allocations.items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`),
    ...[...networks.items, ...configs.items].map(({ metadata }) => `${metadata.name} ${metadata.generation}`),
  ];
};

const importState = (state: string, ...more: string[]): Promise<Ran> =>
  run('import', '--config', beside('default.config.yaml'), '--state', state, '--apply', ...more);

async function hasSubnets(node: string, count: number): Promise<string[]> {
  const found = await eventually(
    () => shown(client),
    (all) => all.get(node)?.length === count,
    { seconds: 60 },
  );
  return found.get(node) ?? [];
}

async function leave(node: string): Promise<void> {
  await client.delete(nodes, node);
  await eventually(
    () => shown(client),
    (found) => !found.has(node),
    { seconds: 60 },
  );
}

/** Byte for byte: the export, and what the operators answer. */
async function isReference(): Promise<void> {
  const exported = await run('export', '--state');
  expect([exported.code, exported.stderr]).toEqual([0, '']);
  expect(exported.stdout).toBe(expected);
  for (const operator of operators)
    await eventually(
      async () => (await operator.get('/overlay-master/state')).text(),
      (text) => text === expected,
    );
}

test.each(['default.config', 'two-networks.config', 'json-in-a-string', 'jumbo', 'ten-networks'])(
  'the API server takes what %s.yaml becomes',
  async (name) => {
    const { stdout } = await run('import', '--config', beside(`${name}.yaml`));
    const answer = await plane.kubectl('apply', '--dry-run=server', '-f', write('objects.yaml', stdout));
    expect(answer).toContain('overlayconfig.overlaynet.dev/default');
    expect(answer).toMatch(/overlaynetwork\.overlaynet\.dev\/\S+ created/);
  },
  60_000,
);

const nothingWritten = async () => {
  expect((await client.list(overlayNetworks)).items).toEqual([]);
  expect((await client.list(overlayReservations)).items).toEqual([]);
};

test('what the files contradict each other in is refused, and nothing is written', async () => {
  const { code, stderr } = await run(
    ...['import', '--config', beside('two-networks.config.yaml'), '--state', reference, '--apply'],
  );
  expect(stderr).toContain('the state has a network "dcos6", and the configuration has none');
  expect(stderr).toContain('the configuration has a network dcos-1, and the state has none');
  expect(code).toBe(2);
  await nothingWritten();
});

test('what the cluster contradicts is refused, and nothing is written', async () => {
  await joinNode(client, 'ovt-early', '172.17.9.1');
  await hasSubnets('ovt-early', 1);
  const map = write('early.csv', '172.17.0.4,ovt-early\n');
  const { code, stderr } = await importState(reference, '--map', map);
  expect(stderr).toContain('44.128.0.1/20 of agent 172.17.0.2 is held by node ovt-early');
  expect(stderr).toContain(
    'node ovt-early has the VTEP 44.128.0.1/20 (70:b3:d5:80:00:01) already, and agent 172.17.0.4 had 44.128.0.2/20',
  );
  expect(code).toBe(2);
  await nothingWritten();
  await plane.kubectl('patch', 'ocfg', 'default', '--type=merge', '-p', '{"spec":{"reuseCooldown":"1s"}}');
  await leave('ovt-early');
});

test('every agent keeps VTEP, MAC and blocks, in whatever order nodes join, whoever registers meanwhile', async () => {
  // the Node of one agent is there already, by its address; its agent registers while the command runs
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'ovt-c' } };
  const created = await client.create<Node>(nodes, node);
  const addresses = [{ type: 'InternalIP', address: '172.17.0.3' }];
  await client.updateStatus<Node>(nodes, { ...created, status: { addresses } });
  const map = write('agents.csv', '172.17.0.2,ovt-a\n');
  let running = true as boolean;
  const ran = importState(reference, '--map', map, '--reserve-for', '30d').finally(() => (running = false));
  let strangers = 0;
  let registered = false;
  let before = 0;
  while (running) {
    const { items } = await client.list(overlayReservations);
    // no stranger comes before others are kept out
    if (items.length === before) continue;
    before = items.length;
    // three that leave together would be a mass departure
    if (strangers < 2) await joinNode(client, `ovt-s${strangers}`, `172.17.8.${++strangers}`);
    if (registered || items.length < 2) continue;
    registered = true;
    await registerAgent(client, 'ovt-c', '172.17.0.3');
  }
  const { code, stderr } = await ran;
  expect([code, stderr.split('\n').filter((line) => line.includes('not kept'))]).toEqual([0, []]);
  expect(stderr).toContain('there is no Node ovt-a yet');
  expect(stderr).toContain('agent 172.17.0.4 has no Node: what it had stays reserved');
  expect(strangers).toBe(2);
  // in another order than the original's: .3, .4, .2
  if (!registered) await registerAgent(client, 'ovt-c', '172.17.0.3');
  await hasSubnets('ovt-c', 3);
  await joinNode(client, 'ovt-b', '172.17.0.4');
  await hasSubnets('ovt-b', 3);
  await joinNode(client, 'ovt-a', '172.17.0.2', { 'overlaynet.dev/bridges': 'false' });
  await hasSubnets('ovt-a', 3);
  for (let at = 0; at < strangers; at++) await leave(`ovt-s${at}`);
  for (const name of ['ovt-a', 'ovt-b', 'ovt-c']) await report(name);
  await isReference();
}, 400_000);

test('import of an export changes nothing, with the reservations and without', async () => {
  const before = await versions();
  const newConfig = write('config.yaml', (await run('export')).stdout);
  const newState = write('exported.json', (await run('export', '--state')).stdout);
  for (const isThere of [true, false]) {
    if (!isThere)
      for (const { metadata } of (await client.list(overlayReservations)).items)
        await client.delete(overlayReservations, metadata.name);
    const { code, stderr } = await run('import', '--config', newConfig, '--state', newState, '--apply');
    expect([code, stderr]).toEqual([0, expect.stringContaining('3 agents are reserved')]);
    await isReference();
    expect(await versions()).toEqual(before);
  }
}, 180_000);

test('what an agent without a Node had waits until the time-out, and is free after it', async () => {
  const ran = importState(write('four.json', biggerState([3])), '--reserve-for', '15s');
  const { code, stderr } = await ran;
  expect([code, stderr]).toEqual([0, expect.stringContaining(`agent ${oldAddress(3)} has no Node`)]);
  const [reservation] = (await client.list(overlayReservations)).items.filter(
    ({ spec }) => spec.address === oldAddress(3),
  );
  const ends = Date.parse(reservation?.spec.expiresAt ?? '');
  await joinNode(client, 'ovt-next', '172.17.8.100');
  const got = await hasSubnets('ovt-next', 3);
  // the waiting agent had VTEP 4
  expect(got).toContain('44.128.0.5/20');
  expect(Date.now()).toBeLessThan(ends);
  await new Promise((resolve) => setTimeout(resolve, ends - Date.now()));
  await joinNode(client, 'ovt-last', '172.17.8.101');
  expect(await hasSubnets('ovt-last', 3)).toContain('44.128.0.4/20');
});
