import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { reference } from '../../hack/testbed/reference.ts';
import { importName } from '../../src/import/reservations.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
} from '../../src/kube/resources.ts';
import { CommandLine } from '../support/commandline.ts';
import type { ControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';
import { TempDir } from '../support/kubeprocess.ts';
import { emptyPlane, joinNode, shown, wipe } from '../support/leader.ts';
import { biggerState, oldAddress } from '../support/oldcluster.ts';
import { OperatorProcess } from '../support/operator.ts';

let plane: ControlPlane;
let client: Client;
let command: CommandLine;
let operator: OperatorProcess;
const temp = new TempDir('ovt-killed-');
const state = path.join(temp.path, 'state.json');
/** Agents of these numbers beside those of the reference. */
const numbers = Array.from({ length: 40 }, (_, at) => at + 3);
const args = [
  ...['import', '--config', path.join(path.dirname(reference), 'default.config.yaml')],
  ...['--state', state, '--apply', '--reserve-for', '1h'],
];

beforeAll(async () => {
  plane = await emptyPlane();
  ({ client } = plane);
  command = await CommandLine.build();
  operator = await OperatorProcess.start(plane.kubeconfig, 'one');
  writeFileSync(state, biggerState(numbers));
}, 180_000);

afterAll(async () => {
  await operator.kill();
  await command.remove();
  await temp.remove();
  await wipe(client);
});

const reservations = async () => (await client.list(overlayReservations)).items;

/** Runs the import until so many reservations are there, and sends it that signal. @returns how it ended */
async function endedBy(signal: 'SIGKILL' | 'SIGINT', atCount: number): Promise<ChildProcess> {
  const child = spawn(command.file, args, {
    env: { PATH: process.env.PATH, KUBECONFIG: plane.kubeconfig },
    stdio: 'ignore',
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  while ((await reservations()).length < atCount && child.exitCode === null);
  child.kill(signal);
  await closed;
  return child;
}

test('an import that is killed keeps others out, and the same command finishes it', async () => {
  const killed = await endedBy('SIGKILL', 12);
  expect(killed.signalCode).toBe('SIGKILL');
  const half = await reservations();
  expect(half.length).toBeLessThan(numbers.length + 3);
  expect(half.map(({ metadata }) => metadata.name)).toContain(importName);
  // it comes between the two, and gets nothing before the second has ended
  await joinNode(client, 'ovt-stranger', '172.17.9.1');
  await eventually(
    () => client.get(agentAllocations, 'ovt-stranger'),
    (found) => found !== undefined,
  );
  expect((await shown(client)).get('ovt-stranger')).toEqual([]);
  const { code, stderr } = await command.run(args, { KUBECONFIG: plane.kubeconfig });
  expect([code, stderr]).toEqual([0, expect.stringContaining('43 agents are reserved')]);
  const stranger = await eventually(
    () => shown(client),
    (found) => found.get('ovt-stranger')?.length === 3,
    { seconds: 60 },
  );
  expect(stranger.get('ovt-stranger')).toEqual(['44.128.0.44/20', '9.0.43.0/24', 'fd01:b:0:0:2b::/80']);
  await Promise.all([3, 20, 42].map((number) => joinNode(client, `ovt-n${number}`, oldAddress(number))));
  for (const number of [3, 20, 42]) {
    const found = await eventually(
      () => client.get(agentAllocations, `ovt-n${number}`),
      (one) => one?.spec.networks?.length === 2,
      { seconds: 60 },
    );
    expect(found?.spec.vtep?.mac).toBe(`70:b3:d5:00:0b:${number.toString(16).padStart(2, '0')}`);
    expect(found?.spec.networks?.[0]?.subnets[0]?.cidr).toBe(`9.0.${number}.0/24`);
  }
}, 240_000);

test('one that is interrupted leaves nobody waiting, and the networks that it did not finish disabled', async () => {
  await wipe(client);
  await eventually(
    () => client.get(overlayConfigs, 'default'),
    (found) => found !== undefined,
    { seconds: 60 },
  );
  const interrupted = await endedBy('SIGINT', 12);
  expect(interrupted.exitCode).toBe(130);
  expect((await reservations()).map(({ metadata }) => metadata.name)).not.toContain(importName);
  expect((await client.list(overlayNetworks)).items.filter(({ spec }) => spec.enabled)).toEqual([]);
}, 240_000);
