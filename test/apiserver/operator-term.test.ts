import { setTimeout as sleep } from 'node:timers/promises';
import { Dice } from '../chaos/allocation/dice.ts';
import { FaultyProxy } from '../chaos/allocation/proxy.ts';
import type { Client } from '../../src/kube/client.ts';
import { leases, overlayAgents, overlayNetworks } from '../../src/kube/resources.ts';
import { reasonIs } from '../support/conditions.ts';
import { applyNetwork, emptyPlane, joinNode, shown, wipe } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { eventually } from '../support/eventually.ts';

/** An operator that waits to lead, behind a proxy that holds its watches half-open, and then leads. */

const namespace = 'overlaynet-system';

let client: Client;
let proxy: FaultyProxy;
let operator: OperatorProcess;

beforeAll(async () => {
  const plane = await emptyPlane();
  ({ client } = plane);
  await holdLease('another');
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  proxy = await FaultyProxy.to(plane.server, new Dice('a term'));
  operator = await OperatorProcess.start(plane.kubeconfigAt(proxy.url));
});

afterAll(async () => {
  await operator.kill();
  await proxy.close();
  await wipe(client);
});

const holdLease = (holderIdentity: string) =>
  client.apply(leases(namespace), {
    metadata: { name: 'overlaynet-operator' },
    spec: {
      holderIdentity,
      leaseDurationSeconds: 3600,
      renewTime: `${new Date().toISOString().slice(0, -1)}000Z`,
    },
  });

test('a standby whose watches hang lists everything anew when it becomes the leader, and logs that once', async () => {
  // all our kinds, Nodes, and the operator's own namespace
  await eventually(
    () => proxy.watched,
    (watched) => watched.length === 8,
  );
  // longer than this test takes
  void proxy.halfOpen(() => true, sleep(40_000), 'cut');
  await joinNode(client, 'node1', '172.17.0.2');
  expect(operator.logged('leading')).toBe(0);
  await holdLease('');
  await eventually(
    async () => (await shown(client)).get('node1') ?? [],
    (texts) => texts.includes('9.0.0.0/24'),
  );
  expect(operator.logged('leading')).toBe(1);
});

test('a failure message of the maximum length does not delay a status', async () => {
  const say = async (state: 'OK' | 'Failed', message: string) => {
    const agent = (await client.get(overlayAgents, 'node1'))!;
    const networks = ['dcos', 'late'].map((name) => ({ name, state, message }));
    await client.updateStatus(overlayAgents, { ...agent, status: { networks } });
  };
  await say('Failed', 'x'.repeat(32_768));
  expect((await reasonIs(client, overlayNetworks, 'dcos', 'Ready', 'AgentsFailed'))?.message).toMatch(
    /^node1: x{500}/,
  );
  await applyNetwork(client, 'late', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
  await reasonIs(client, overlayNetworks, 'late', 'Ready', 'AgentsFailed');
  expect((await client.get(overlayNetworks, 'late'))?.status?.capacity).toMatchObject([{ held: 1 }]);
  await say('OK', '');
  for (const name of ['dcos', 'late'])
    await reasonIs(client, overlayNetworks, name, 'Ready', 'AllAgentsReady');
});
