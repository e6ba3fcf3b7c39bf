import { confirmAddresses } from '../../src/allocate/addresses.ts';
import type { KubeObject, OverlayConfig } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  endpointSlices,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Node,
} from '../../src/kube/resources.ts';
import { reasonIs } from '../support/conditions.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { applyNetwork, deleteAtOnce, joinNode } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { install } from '../support/refuses.ts';
import { eventually } from '../support/eventually.ts';

const namespace = 'overlaynet-system';
const kubelet = ['--as=system:node:node2', '--as-group=system:nodes'];
const merge = { type: 'merge' } as const;

let plane: OwnControlPlane;
let client: Client;
let operator: OperatorProcess;

beforeAll(async () => {
  plane = await startControlPlane();
  ({ client } = plane);
  await install(plane, 'deploy');
  // the rights of kubelets, which the Node authorizer grants, as RBAC
  await client.apply(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      plural: 'clusterrolebindings',
    },
    {
      metadata: { name: 'ovt-kubelets' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
    } as KubeObject,
  );
  await client.create(endpointSlices('default'), {
    metadata: { name: 'kubernetes' },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['172.17.9.1'] }],
    ports: [{ name: 'https', port: 6443, protocol: 'TCP' as const }],
  } as KubeObject);
  // with only the rights of deploy/
  operator = await OperatorProcess.start(
    await plane.kubeconfigFor({ name: 'overlaynet-operator', namespace }),
  );
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
  for (const [name, address] of [
    ['node1', '172.17.0.2'],
    ['node2', '172.17.0.3'],
  ] as const) {
    await joinNode(client, name, address);
    await eventually(async () => (await client.get(agentAllocations, name))?.spec.vtep, Boolean, {});
  }
});

afterAll(async () => {
  await operator.kill();
  await plane.stop();
});

const addressesOf = async (node: string) => (await client.get(agentAllocations, node))?.spec.addresses;
const accepted = (node: string, reason: string) =>
  reasonIs(client, agentAllocations, node, 'Accepted', reason);

/** Acts as an attacker on node2: its kubelet states the addresses, and its agent registers them. */
async function claim(...addresses: string[]): Promise<void> {
  const status = { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) };
  await client.patch<Node>(nodes, 'node2', { status }, { ...merge, subresource: 'status' });
  await client.patch(overlayAgents, 'node2', { spec: { addresses } }, merge);
}

test('the operator does not believe addresses that a kubelet states later, and no kubelet can confirm them', async () => {
  const may = await plane.kubectl(
    ...kubelet,
    'auth',
    'can-i',
    'patch',
    'nodes/node2',
    '--subresource=status',
  );
  expect(may.trim()).toBe('yes');
  await claim('172.17.0.3', '2001:db8::53');
  const condition = await accepted('node2', 'AddressChanged');
  expect(await addressesOf('node2')).toEqual(['172.17.0.3']);
  const command = /kubectl (annotate .*)$/.exec(condition!.message)![1]!.split(' ');
  await expect(plane.kubectl(...kubelet, ...command)).rejects.toThrow('Forbidden');
  const onConfig = ['annotate', 'overlayconfig', 'default', 'a=b'];
  await expect(plane.kubectl(...kubelet, ...onConfig)).rejects.toThrow('Forbidden');
  // an administrator runs the command of the condition
  await plane.kubectl(...command);
  await eventually(
    () => addressesOf('node2'),
    (found) => found?.[1] === '2001:db8::53',
  );
  await accepted('node2', 'Accepted');
  const { annotations } = (await client.get(agentAllocations, 'node2'))!.metadata;
  expect(annotations?.[confirmAddresses]).toBe('172.17.0.3,2001:db8::53');
});

test('with nodeSubnets, a changed address counts at once, unless it is an API server’s or outside of them', async () => {
  const nodeSubnets = ['172.17.0.0/16', '2001:db8::/64'];
  await client.patch<OverlayConfig>(overlayConfigs, 'default', { spec: { nodeSubnets } }, merge);
  const start = performance.now();
  await claim('172.17.2.2');
  await eventually(
    () => addressesOf('node2'),
    (found) => found?.join() === '172.17.2.2',
  );
  expect(performance.now() - start).toBeLessThan(15_000);
  await claim('172.17.9.1');
  await accepted('node2', 'APIServerAddress');
  await claim('8.8.8.8');
  await accepted('node2', 'OutsideNodeSubnets');
  expect(await addressesOf('node2')).toEqual(['172.17.2.2']);
  await claim('172.17.2.2');
  await accepted('node2', 'Accepted');
});

test('spec.mtu and a node that joins cannot make the tunnel smaller than possible', async () => {
  const inForce = async () => (await client.get(overlayConfigs, 'default'))?.status?.effective?.mtu;
  await client.patch<OverlayConfig>(overlayConfigs, 'default', { spec: { mtu: 1200 } }, merge);
  expect(await reasonIs(client, overlayConfigs, 'default', 'Accepted', 'MTUTooSmall')).toMatchObject({
    message:
      'spec.mtu: 1200 is not in force: the IPv6 VTEP subnet fd01:a::/64 needs at least 1280 (RFC 8200)',
  });
  expect(await inForce()).toBe(1450);
  await client.patch<OverlayConfig>(overlayConfigs, 'default', { spec: { mtu: null } }, merge);
  await reasonIs(client, overlayConfigs, 'default', 'Accepted', 'Accepted');

  await joinNode(client, 'narrow', '172.17.0.9', {}, 1400);
  const { message } = (await accepted('narrow', 'LowersMTU'))!;
  // a new operator has no memory; one that is stopped releases its Lease
  await operator.stop();
  operator = await OperatorProcess.start(
    await plane.kubeconfigFor({ name: 'overlaynet-operator', namespace }),
    'two',
  );
  await joinNode(client, 'later', '172.17.0.10', {}, 576);
  await accepted('later', 'MTUTooSmall');
  expect(await inForce()).toBe(1450);
  expect((await client.get(agentAllocations, 'narrow'))?.spec.vtep).toBeUndefined();
  const patch = /kubectl (patch .*) -p '(.*)'$/.exec(message)!;
  await plane.kubectl(...patch[1]!.split(' '), '-p', patch[2]!);
  await eventually(async () => (await client.get(agentAllocations, 'narrow'))?.spec.vtep, Boolean, {});
  await eventually(inForce, (mtu) => mtu === 1350);
});

test('a network over the second LAN of a node, and a node with a LAN in a network, are refused until a person allows it', async () => {
  const lan = { cidr: '10.100.0.0/16', kind: 'Subnet', link: 'eth1' } as const;
  await client.patch(overlayAgents, 'node2', { spec: { ranges: [lan] } }, merge);
  await applyNetwork(client, 'over', [{ cidr: '10.100.0.0/16', prefix: 24 }]);
  const { message } = (await reasonIs(client, overlayNetworks, 'over', 'Accepted', 'Overlap'))!;
  expect(message).toContain('spec.subnets: 10.100.0.0/16 overlaps 10.100.0.0/16, a subnet of node2 on eth1;');
  const shows = async (node: string) =>
    (await client.get(agentAllocations, node))?.spec.networks?.map(({ name }) => name);
  expect(await shows('node1')).toEqual(['dcos']);
  const confirm = (text: string) => plane.kubectl(.../kubectl (annotate .*)$/.exec(text)![1]!.split(' '));
  await confirm(message);
  await reasonIs(client, overlayNetworks, 'over', 'Accepted', 'Accepted');
  await eventually(
    () => shows('node1'),
    (names) => names?.includes('over') === true,
  );
  // a node without that LAN may join
  await joinNode(client, 'node3', '172.17.0.4', {}, 1500, [{ ...lan, cidr: '9.7.0.0/16' }]);
  const refused = await accepted('node3', 'RangeOverlap');
  expect(refused?.message).toContain(
    'spec.ranges: 9.7.0.0/16, a subnet of node node3 on eth1, overlaps 9.0.0.0/8 of network dcos',
  );
  expect((await client.get(agentAllocations, 'node3'))?.spec.vtep).toBeUndefined();
  await client.patch(overlayAgents, 'node3', { spec: { ranges: null } }, merge);
  await eventually(
    () => shows('node3'),
    (names) => names?.includes('dcos') === true,
  );
  await deleteAtOnce(client, 'over');
});

test('pinned settings can be changed once no network has blocks, and nodes keep their numbers', async () => {
  const before = (await client.get(agentAllocations, 'node2'))!.spec.vtep;
  const spec = { vni: 2001, vtepSubnets: ['44.200.0.0/24', 'fd01:c::/64'], reuseCooldown: '1s' };
  await client.patch<OverlayConfig>(overlayConfigs, 'default', { spec }, merge);
  await reasonIs(client, overlayConfigs, 'default', 'Accepted', 'Pinned');
  await deleteAtOnce(client, 'dcos');
  await reasonIs(client, overlayConfigs, 'default', 'Accepted', 'Accepted');
  const { effective } = (await client.get(overlayConfigs, 'default'))!.status!;
  expect(effective).toMatchObject({ vni: 2001, vtepSubnets: spec.vtepSubnets });
  expect(before?.ip).toBe('44.128.0.2/20');
  await eventually(
    async () => (await client.get(agentAllocations, 'node2'))?.spec.vtep?.ip,
    (ip) => ip === '44.200.0.2/24',
  );
});
