import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { labNamed } from '../../hack/testbed/lab.ts';
import { reference } from '../../hack/testbed/reference.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { agentAllocations, overlayConfigs, overlayReservations } from '../../src/kube/resources.ts';
import { CommandLine } from '../support/commandline.ts';
import { conditionOf } from '../support/conditions.ts';
import { eventually } from '../support/eventually.ts';
import { environment, hack } from '../support/lab.ts';

/** A lab of its own: its nodes come after the import. */
const own = labNamed('ovt-import');
const ownLab = (...args: string[]) => hack('lab', '--lab', own.name, ...args);
const config = join(dirname(reference), 'default.config.yaml');

let command: CommandLine;
let client: Client;
const typed = (...args: string[]) =>
  command.run(args, {
    KUBECONFIG: environment('KUBECONFIG', own),
    OVERLAYNET_SERVER: new URL(environment('STATE_URL', own)).origin,
  });

beforeAll(async () => {
  command = await CommandLine.build();
  await hack('up', '--detach', '--nodes', '1', '--name', own.name);
  client = connect({ kubeconfig: environment('KUBECONFIG', own) });
  // a cluster without nodes, in which nothing rests
  await client.patch(overlayConfigs, 'default', { spec: { reuseCooldown: '1s' } }, { type: 'merge' });
  await ownLab('node', 'remove', 'node1');
  await eventually(
    async () => (await client.list(agentAllocations)).items,
    (items) => items.length === 0,
    { seconds: 60 },
  );
}, 300_000);

afterAll(async () => {
  await hack('down', '--name', own.name);
  await command.remove();
});

const state = async () => (await fetch(environment('STATE_URL', own))).text();

test('after the import of its state the reference’s cluster is there again, whatever the order in which nodes join', async () => {
  const { code, stderr } = await typed(
    ...['import', '--config', config, '--state', reference, '--apply', '--reserve-for', '1h'],
  );
  expect([code, stderr]).toEqual([0, expect.stringContaining('3 agents are reserved')]);
  for (const node of ['node3', 'node1', 'node2']) await ownLab('node', 'add', node);
  const expected = readFileSync(reference, 'utf8');
  await eventually(state, (text) => text === expected, { seconds: 60 });
  for (const { metadata } of (await client.list(overlayReservations)).items)
    // conditions are written after the allocations
    await eventually(
      () => conditionOf(client, overlayReservations, metadata.name, 'Bound'),
      (condition) => condition?.status === 'True',
    );
  const { stdout } = await typed('export', '--state');
  expect(stdout).toBe(expected);
  expect(await typed('check')).toMatchObject({ code: 0 });
}, 240_000);

test('containers of two nodes reach each other over what was kept', async () => {
  // it is ended below
  const sleeping = ownLab('run', 'node2', 'dcos', '--name', 'sleeper', '--', 'sleep', '100').catch(() => '');
  const found = await eventually(
    async () => /sleeper +dcos +(9\.0\.1\.\d+)/.exec(await ownLab('ls'))?.[1],
    (address) => address !== undefined,
  );
  const ping = ['ping', '-c', '3', '-W', '2', found];
  expect(await ownLab('run', 'node3', 'dcos', '--name', 'asker', '--', ...ping)).toContain(' 0% packet loss');
  await ownLab('rm', 'node2', 'sleeper');
  await sleeping;
});
