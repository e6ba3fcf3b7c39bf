import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { apiVersion, type NetworkSubnet, type NetworkUser } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  allocationLedgers,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
} from '../../src/kube/resources.ts';
import { assets, startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { joinNode, shown } from '../support/leader.ts';
import { eventually } from '../support/eventually.ts';
import { OperatorProcess } from '../support/operator.ts';
import { install } from '../support/refuses.ts';

/** A network is grown, drained and rolled back with kubectl apply, as from a manifest in Git. */

const run = promisify(execFile);
const nodes = ['node1', 'node2'];
const first = { cidr: '10.1.0.0/16', prefix: 24 };
const second = { cidr: '10.2.0.0/16', prefix: 24 };
const going = { ...first, state: 'Draining', removeWhenDrained: true } as const;

let plane: OwnControlPlane;
let client: Client;
let operator: OperatorProcess;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-draining-'));
  plane = await startControlPlane();
  await install(plane, 'deploy');
  ({ client } = plane);
  const user = { name: 'overlaynet-operator', namespace: 'overlaynet-system' };
  operator = await OperatorProcess.start(await plane.kubeconfigFor(user));
  for (const [at, node] of nodes.entries()) await joinNode(client, node, `172.17.0.${at + 2}`);
});

afterAll(async () => {
  await operator.kill();
  await plane.stop();
  rmSync(dir, { recursive: true });
});

const kubectl = async (...args: string[]) => {
  const { stdout, stderr } = await run(join(assets(), 'kubectl'), [
    '--kubeconfig',
    plane.kubeconfig,
    ...args,
  ]);
  return `${stderr}${stdout}`;
};
const network = async () => (await client.get(overlayNetworks, 'dev'))!;
const state = async () => (await network()).status?.draining?.[0]?.state;
const ledgerCidrs = async () =>
  (await client.get(allocationLedgers, 'spaces'))!.spec.index!.spaces.map(({ cidr }) => cidr);
const blocks = async (prefix: string) =>
  [...(await shown(client)).values()]
    .flat()
    .filter((block) => block.startsWith(prefix))
    .sort();

/** Applies the network with these entries. */
function apply(
  ...subnets: (Pick<NetworkSubnet, 'cidr' | 'prefix'> & Partial<NetworkSubnet>)[]
): Promise<string> {
  const file = join(dir, 'dev.json');
  const manifest = { apiVersion, kind: 'OverlayNetwork', metadata: { name: 'dev' }, spec: { subnets } };
  writeFileSync(file, JSON.stringify(manifest));
  return kubectl('apply', '-f', file);
}

/** Writes the report of a node's agent about its block of the first entry. */
async function say(node: string, users: NetworkUser[]): Promise<void> {
  const { metadata } = await network();
  const agent = (await client.get(overlayAgents, node))!;
  const own = (await shown(client)).get(node)!.filter((block) => block.startsWith('10.1.'));
  const draining = own.map((cidr) => ({
    cidr,
    networkUID: metadata.uid!,
    generation: metadata.generation!,
    count: users.length,
    ...(users.length > 0 && { named: users }),
  }));
  const networks = [{ name: 'dev', state: 'OK' as const, draining }];
  await client.updateStatus(overlayAgents, { ...agent, status: { networks } });
}

async function events(): Promise<string[]> {
  const said = await kubectl('get', 'events', '-A', '-o', 'json');
  const { items } = JSON.parse(said) as {
    items: { reason: string; regarding?: object; involvedObject: { name: string } }[];
  };
  return items.filter(({ involvedObject }) => involvedObject.name === 'dev').map(({ reason }) => reason);
}

test('after a network is grown, its old entry drains, is reported and disappears, and applying the manifest again changes nothing', async () => {
  await apply(first);
  await eventually(
    () => blocks('10.1.'),
    (all) => all.length === 2,
  );
  const before = await blocks('10.1.');
  await apply(first, second);
  await eventually(
    () => blocks('10.2.'),
    (all) => all.length === 2,
  );
  await apply(going, second);
  await eventually(state, (is) => is === 'AgentsAsked');
  await say('node1', [{ pod: 'default/web-0', address: '10.1.0.2' }]);
  await say('node2', []);
  await eventually(state, (is) => is === 'InUse');
  expect((await network()).status!.draining).toEqual([
    {
      cidr: '10.1.0.0/16',
      state: 'InUse',
      nodes: 2,
      containers: 1,
      users: [{ node: 'node1', pod: 'default/web-0', address: '10.1.0.2' }],
    },
  ]);
  expect(await blocks('10.1.')).toEqual(before);
  // removing it by hand would take it from its containers, of which the API server warns
  expect(await apply(second)).toContain('Warning: ');
  await apply({ ...first, state: 'Active' }, second);
  await eventually(
    () => blocks('10.1.'),
    (all) => String(all) === String(before),
  );
  await apply(going, second);
  for (const node of nodes) await say(node, []);
  await eventually(state, (is) => is === 'Removed');
  await eventually(
    () => blocks('10.1.'),
    (all) => all.length === 0,
  );
  expect(await eventually(events, (all) => all.includes('Removed'))).toContain('InUse');
  // GitOps applies the same manifest repeatedly
  const applied = (await network()).metadata.generation;
  await apply(going, second);
  expect((await network()).metadata.generation).toBe(applied);
  await apply(going, { ...second, removeWhenDrained: true });
  const { status, metadata } = await eventually(
    network,
    (one) => one.status?.observedGeneration === one.metadata.generation,
  );
  expect(metadata.generation).toBeGreaterThan(1);
  expect(status!.subnets).toBe('10.2.0.0/16 /24');
  expect(status!.conditions!.find(({ type }) => type === 'Ready')!.reason).not.toBe('NotStored');
  expect(await blocks('10.1.')).toEqual([]);
  await apply({ ...first, state: 'Active' }, second);
  await eventually(
    () => blocks('10.1.'),
    (all) => String(all) === String(before),
  );
});

test('after its blocks have rested the entry is forgotten, and a manifest with it brings nothing back', async () => {
  const config = (await client.get(overlayConfigs, 'default'))!;
  await client.update(overlayConfigs, { ...config, spec: { ...config.spec, reuseCooldown: '1s' } });
  await apply(going, second);
  for (const node of nodes) await say(node, []);
  await eventually(ledgerCidrs, (all) => !all.includes('10.1.0.0/16'));
  expect(await kubectl('annotate', 'overlaynetwork', 'dev', 'example.com/applied=again')).toContain(
    'annotated',
  );
  await apply(going, { ...second, removeWhenDrained: false });
  await eventually(network, (one) => one.status?.observedGeneration === one.metadata.generation);
  expect(await state()).toBe('Removed');
  expect(await ledgerCidrs()).not.toContain('10.1.0.0/16');
});
