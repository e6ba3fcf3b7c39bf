import type { KubeObject, OverlayNetwork } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Resource,
} from '../../src/kube/resources.ts';
import { conditionOf, reasonIs, type Asked } from '../support/conditions.ts';
import type { ControlPlane } from '../support/controlplane.ts';
import {
  applyNetwork,
  deleteAtOnce,
  emptyPlane,
  joinNode,
  registerAgent,
  shown,
  wipe,
} from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { eventually } from '../support/eventually.ts';

let plane: ControlPlane;
let client: Client;
let operator: OperatorProcess;

beforeAll(async () => {
  plane = await emptyPlane();
  ({ client } = plane);
  operator = await OperatorProcess.start(plane.kubeconfig);
});

afterAll(async () => {
  await operator.kill();
  await wipe(client);
});

const reason = (...asked: Asked) => reasonIs(client, ...asked);

const blocksOf = (name: string) => async () => (await shown(client)).get(name) ?? [];
const holds = (name: string, ...texts: string[]) =>
  eventually(blocksOf(name), (found) => texts.every((text) => found.includes(text)));
const letsGo = (name: string, text: string) => eventually(blocksOf(name), (found) => !found.includes(text));

const eventsOf = async (name: string): Promise<string[]> => {
  const text = await plane.kubectl('get', 'events', '-A', '-o', 'json');
  const { items } = JSON.parse(text) as {
    items: { involvedObject?: { name: string }; reason: string; message: string }[];
  };
  return items
    .filter(({ involvedObject }) => involvedObject?.name === name)
    .map((each) => `${each.reason}: ${each.message}`);
};

test('the operator creates the OverlayConfig with the defaults', async () => {
  const config = await eventually(
    () => client.get(overlayConfigs, 'default'),
    (object) => object !== undefined,
  );
  expect(config.spec).toMatchObject({
    vni: 1024,
    port: 64000,
    vtepMACOUI: '70:B3:D5:00:00:00',
    defaultNetwork: 'dcos',
  });
  await reason(overlayConfigs, 'default', 'Ready', 'NoAgents');
});

test('networks and nodes may come in any order, and the state document shows them', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
  await reason(overlayNetworks, 'dcos', 'Ready', 'NoAgents');
  await joinNode(client, 'node1', '172.17.0.2', { 'overlaynet.dev/bridges': 'false' });
  await holds('node1', '44.128.0.1/20', '9.0.0.0/24');
  await applyNetwork(client, 'dcos6', [{ cidr: 'fd01:b::/64', prefix: 80 }]);
  await holds('node1', 'fd01:b::/80');
  await joinNode(client, 'node2', '172.17.0.4');
  await holds('node2', '44.128.0.2/20', '9.0.1.0/24', 'fd01:b:0:0:1::/80');
  const state = await eventually(
    async () =>
      (await (await operator.get('/overlay-master/state')).json()) as {
        agents: { ip: string; overlays: object[] }[];
      },
    ({ agents }) => agents.length === 2 && agents.every(({ overlays }) => overlays.length === 2),
  );
  expect(state).toMatchObject({
    agents: [
      { ip: '172.17.0.2' },
      {
        ip: '172.17.0.4',
        overlays: [
          { mesos_bridge: { ip: '9.0.1.0/25', name: 'm-dcos' }, state: { status: 'STATUS_CONFIGURING' } },
          {},
        ],
      },
    ],
    network: { vtep_mac_oui: '70:B3:D5:00:00:00', vtep_subnet: '44.128.0.0/20', vtep_subnet6: 'fd01:a::/64' },
  });
  expect((await client.get(overlayConfigs, 'default'))?.status?.effective).toEqual({
    vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
    vtepMACOUI: '70:B3:D5:00:00:00',
    vni: 1024,
    port: 64000,
    underlay: 'IPv4',
    mtu: 1450,
    defaultNetwork: 'dcos',
  });
});

test('a network is ready when every agent reports it, and names an agent that fails', async () => {
  const say = async (name: string, state: 'OK' | 'Failed', message?: string) => {
    const agent = (await client.get(overlayAgents, name))!;
    const said = { name: 'dcos', state, ...(message === undefined ? {} : { message }) };
    await client.updateStatus(overlayAgents, { ...agent, status: { networks: [said] } });
  };
  await say('node1', 'OK');
  await eventually(
    () => conditionOf(client, overlayNetworks, 'dcos', 'Ready'),
    (found) => found?.reason === 'Progressing' && found.message === '1 of 2 agents ready',
  );
  await say('node2', 'Failed', 'ip: RTNETLINK answers: Address already in use');
  expect(await reason(overlayNetworks, 'dcos', 'Ready', 'AgentsFailed')).toMatchObject({
    message: 'node2: ip: RTNETLINK answers: Address already in use',
  });
  await say('node2', 'OK');
  expect(await reason(overlayNetworks, 'dcos', 'Ready', 'AllAgentsReady')).toMatchObject({
    status: 'True',
    message: '2 of 2 agents ready',
  });
  const events = await eventually(
    () => eventsOf('dcos'),
    (found) => found.some((text) => text.startsWith('AllAgentsReady')),
  );
  expect(events).toContain('AgentsFailed: node2: ip: RTNETLINK answers: Address already in use');
});

test('an overlap is refused with reason, message and Event, and working networks stay', async () => {
  const before = await shown(client);
  await applyNetwork(client, 'other', [{ cidr: '9.128.0.0/16', prefix: 24 }]);
  expect(await reason(overlayNetworks, 'other', 'Accepted', 'Overlap')).toMatchObject({
    status: 'False',
    message: 'spec.subnets: 9.128.0.0/16 overlaps 9.0.0.0/8 of network dcos',
  });
  await eventually(
    () => eventsOf('other'),
    (found) => found.some((text) => text.startsWith('Overlap: spec.subnets: 9.128.0.0/16')),
  );
  expect(await shown(client)).toEqual(before);
  await deleteAtOnce(client, 'other');
});

test('two networks applied at once that overlap: one is accepted, the other gets the reason', async () => {
  const pair = ['aa', 'bb'];
  await Promise.all(pair.map((name) => applyNetwork(client, name, [{ cidr: '10.50.0.0/16', prefix: 24 }])));
  const reasons = await eventually(
    async () =>
      Promise.all(
        pair.map(async (name) => (await conditionOf(client, overlayNetworks, name, 'Accepted'))?.reason),
      ),
    (found) => found.every((each) => each !== undefined),
  );
  expect([...reasons].sort()).toEqual(['Accepted', 'Overlap']);
  await Promise.all(pair.map((name) => deleteAtOnce(client, name)));
});

test('a disabled network is withdrawn, and gets the same blocks when it is enabled again', async () => {
  await client.patch(overlayNetworks, 'dcos', { spec: { enabled: false } }, { type: 'merge' });
  await letsGo('node2', '9.0.1.0/24');
  await reason(overlayNetworks, 'dcos', 'Ready', 'Disabled');
  await client.patch(overlayNetworks, 'dcos', { spec: { enabled: true } }, { type: 'merge' });
  await holds('node2', '9.0.1.0/24');
});

test('a network removed at runtime is withdrawn from the nodes', async () => {
  await applyNetwork(client, 'third', [{ cidr: '10.60.0.0/16', prefix: 24 }]);
  await holds('node2', '10.60.1.0/24');
  await deleteAtOnce(client, 'third');
  await letsGo('node2', '10.60.1.0/24');
});

test('an AgentAllocation edited or deleted by hand is restored', async () => {
  const { spec } = (await client.get(agentAllocations, 'node2'))!;
  await client.patch(
    agentAllocations,
    'node2',
    { spec: { networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/24' }] }] } },
    { type: 'merge' },
  );
  const same = (found: typeof spec | undefined) =>
    JSON.stringify(found?.networks) === JSON.stringify(spec.networks);
  await eventually(async () => (await client.get(agentAllocations, 'node2'))?.spec, same);
  await client.delete(agentAllocations, 'node2');
  await eventually(async () => (await client.get(agentAllocations, 'node2'))?.spec, same);
});

test('an edited OverlayConfig reports pinned settings, a deleted one comes back, and allocations stay', async () => {
  const before = await shown(client);
  await client.patch(overlayConfigs, 'default', { spec: { vni: 2000 } }, { type: 'merge' });
  expect(await reason(overlayConfigs, 'default', 'Accepted', 'Pinned')).toMatchObject({
    message:
      'spec.vni: 2000 is not in force, 1024 is; these are pinned as long as a network has blocks, cooling ones too, or a VTEP is reserved',
  });
  expect((await client.get(overlayConfigs, 'default'))?.status?.effective?.vni).toBe(1024);
  await client.delete(overlayConfigs, 'default');
  await eventually(
    () => client.get(overlayConfigs, 'default'),
    (object) => object?.spec.vni === 1024 && object.status?.effective?.vni === 1024,
  );
  expect(await shown(client)).toEqual(before);
});

test('two nodes with one address: the second is refused, and its object has the reason', async () => {
  await joinNode(client, 'twin', '172.17.0.4');
  expect(await reason(agentAllocations, 'twin', 'Accepted', 'AddressConflict')).toMatchObject({
    message: 'spec.addresses: 172.17.0.4 is registered by node node2 already',
  });
  expect(await blocksOf('twin')()).toEqual([]);
  await client.delete(nodes, 'twin');
  await eventually(
    () => client.get(agentAllocations, 'twin'),
    (object) => object === undefined,
  );
});

test('an agent that claims an address its Node does not state is refused', async () => {
  await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'thief' } });
  await registerAgent(client, 'thief', '172.17.0.77');
  expect(await reason(agentAllocations, 'thief', 'Accepted', 'NotNodeAddress')).toMatchObject({
    message: 'spec.addresses: 172.17.0.77 is not an address of Node thief, which states none',
  });
  await client.delete(nodes, 'thief');
});

test('only GET and HEAD are served; others get 405 with Allow', async () => {
  const head = await operator.get('/overlay-master/state', 'HEAD');
  expect([head.status, await head.text()]).toEqual([200, '']);
  const post = await operator.get('/overlay-master/state', 'POST');
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  expect((await operator.get('/healthz')).status).toBe(200);
  expect((await operator.get('/readyz')).status).toBe(200);
  const metrics = async () => (await (await operator.get('/metrics')).text()).split('\n');
  const held = 'overlaynet_operator_blocks{network="dcos",family="IPv4",cidr="9.0.0.0/8",state="held"} 2';
  const lines = await eventually(metrics, (found) => found.includes(held));
  expect(lines).toContain('overlaynet_operator_leader 1');
});

test('an operator at rest writes only the Lease', async () => {
  await deleteAtOnce(client, 'small');
  const versions = async () => {
    const kinds: Resource<KubeObject>[] = [
      overlayNetworks,
      overlayConfigs,
      agentAllocations,
      overlayAgents,
      allocationLedgers,
    ];
    const lists = await Promise.all(kinds.map((kind) => client.list<KubeObject>(kind)));
    return lists
      .flatMap(({ items }) =>
        items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion ?? ''}`),
      )
      .join();
  };
  await eventually(
    () => client.get<OverlayNetwork>(overlayNetworks, 'small'),
    (object) => object === undefined,
  );
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const before = await versions();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(await versions()).toBe(before);
});
