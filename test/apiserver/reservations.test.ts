import type { OverlayReservation } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, nodes, overlayReservations } from '../../src/kube/resources.ts';
import { conditionOf, reasonIs } from '../support/conditions.ts';
import type { ControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';
import { applyNetwork, blocks, emptyPlane, joinNode, shown, wipe } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';

let plane: ControlPlane;
let client: Client;
const operators: OperatorProcess[] = [];

beforeAll(async () => {
  plane = await emptyPlane();
  ({ client } = plane);
  operators.push(await OperatorProcess.start(plane.kubeconfig, 'one'));
  operators.push(await OperatorProcess.start(plane.kubeconfig, 'two'));
});

afterAll(async () => {
  await Promise.all(operators.map((operator) => operator.kill()));
  await wipe(client);
});

const { apiVersion, kind } = overlayReservations;
const reserve = (name: string, spec: OverlayReservation['spec']) =>
  client.create<OverlayReservation>(overlayReservations, { apiVersion, kind, metadata: { name }, spec });
const is = (name: string, type: string, reason: string) =>
  reasonIs(client, overlayReservations, name, type, reason);

const mac = (at: number) => `70:b3:d5:00:00:0${at}`;
/** Returns VTEP and block of number `at`, for the node of that number. */
const old = (at: number, number: number): OverlayReservation['spec'] => ({
  nodeName: `ovt-r${number}`,
  vtep: { ip: `44.128.0.${at + 1}/20`, mac: mac(at) },
  networks: [{ name: 'dcos', subnets: [`9.0.${at}.0/24`] }],
});

test('nodes get what is reserved for them, with its MAC, even if other nodes join before, between or at once', async () => {
  const order = [3, 1, 4, 0, 2];
  // one by one, while strangers register all the time
  let strangers = 0;
  const stranger = () => joinNode(client, `ovt-s${strangers}`, `172.17.1.${++strangers}`);
  await reserve('import', { exclusive: true });
  await stranger();
  for (const [number, at] of order.entries()) {
    await Promise.all([reserve(`old-${number}`, old(at, number)), stranger()]);
  }
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  for (const number of order.keys()) await is(`old-${number}`, 'Reserved', 'Reserved');
  // no other node gets anything meanwhile
  expect([...(await shown(client)).values()].flat()).toEqual([]);
  await Promise.all([
    client.delete(overlayReservations, 'import'),
    ...[...order.keys()].map((number) => joinNode(client, `ovt-r${number}`, `172.17.0.${number + 2}`)),
  ]);
  for (const number of order.keys()) await is(`old-${number}`, 'Bound', 'Bound');
  for (const [number, at] of order.entries()) {
    const { spec } = (await client.get(agentAllocations, `ovt-r${number}`))!;
    expect(spec.vtep).toEqual({ ip: `44.128.0.${at + 1}/20`, ip6: `fd01:a::${at + 1}/64`, mac: mac(at) });
    expect(spec.networks?.flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr))).toEqual([
      `9.0.${at}.0/24`,
    ]);
  }
  const all = await eventually(
    async () => [...(await shown(client)).values()],
    (found) => found.length === 11 && found.every((texts) => texts.length === 2),
    { seconds: 60 },
  );
  expect(new Set(all.flat()).size).toBe(22);
}, 180_000);

test('a reservation of blocks that a node has is refused with the node’s name and a Warning', async () => {
  await reserve('late', { nodeName: 'ovt-x', networks: [{ name: 'dcos', subnets: ['9.0.3.0/24'] }] });
  const condition = await is('late', 'Accepted', 'Held');
  expect(condition?.message).toBe('9.0.3.0/24 of network dcos is held by node ovt-r0');
  await eventually(
    () => plane.kubectl('get', 'events', '-n', 'default', '-o', 'jsonpath={.items[*].message}'),
    (text) => text.includes('9.0.3.0/24 of network dcos is held by node ovt-r0'),
  );
});

test('blocks of an expired reservation are free, and a reservation’s content cannot be edited', async () => {
  const expiresAt = new Date(Date.now() + 3_000).toISOString();
  const networks = [{ name: 'dcos', subnets: ['9.0.200.0/24'] }];
  await reserve('short', { nodeName: 'ovt-y', networks, expiresAt });
  await expect(
    plane.kubectl('patch', 'ores', 'short', '--type=merge', '-p', '{"spec":{"networks":null}}'),
  ).rejects.toThrow('networks is immutable');
  await is('short', 'Accepted', 'Expired');
  await eventually(
    () => blocks(client),
    (found) => !found.some((one) => one.includes('ovt-y')),
  );
});

test('a Node that returns gets its reserved blocks again, with its MAC', async () => {
  await plane.kubectl('patch', 'ocfg', 'default', '--type=merge', '-p', '{"spec":{"reuseCooldown":"1s"}}');
  await client.delete(nodes, 'ovt-r1');
  await eventually(
    () => blocks(client),
    (found) => found.some((one) => one.endsWith('/1 ovt-r1 Reserved')),
    {
      seconds: 60,
    },
  );
  expect((await conditionOf(client, overlayReservations, 'old-1', 'Bound'))?.status).toBeDefined();
  await joinNode(client, 'ovt-r1', '172.17.0.3');
  await eventually(
    async () => (await client.get(agentAllocations, 'ovt-r1'))?.spec.vtep?.mac,
    (found) => found === mac(1),
    { seconds: 60 },
  );
}, 180_000);
