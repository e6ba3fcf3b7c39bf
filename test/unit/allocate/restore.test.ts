import { confirmRestore } from '../../../src/api/labels.ts';
import { Cluster, dcos, dcos6, reference } from '../../support/plancluster.ts';

const restored = (cluster: Cluster) =>
  cluster.configStatus().conditions!.find(({ type, status }) => type === 'Restored' && status === 'True');

/** Its agent says that it holds what its AgentAllocation shows. */
function say(cluster: Cluster, node: string): void {
  const { vtep, networks = [] } = cluster.spec(node);
  const agent = cluster.agents.get(node)!;
  const held = networks.map(({ name, subnets }) => ({ name, subnets: subnets.map(({ cidr }) => cidr) }));
  cluster.agents.set(node, { ...agent, spec: { ...agent.spec, ...(vtep && { vtep }), networks: held } });
}

/** Node4 joined after the backup; its agent has seen a version that the API server has not any more. */
function broughtBack(): { cluster: Cluster; lost: string[] } {
  const cluster = reference();
  const backup = { ledger: new Map(cluster.ledger), allocations: new Map(cluster.allocations) };
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  for (const node of cluster.nodes.keys()) say(cluster, node);
  const lost = cluster.shown('node4');
  cluster.ledger = backup.ledger;
  cluster.allocations = backup.allocations;
  const agent = cluster.agents.get('node4')!;
  cluster.agents.set('node4', {
    metadata: { ...agent.metadata, resourceVersion: '7' },
    spec: { ...agent.spec, seenResourceVersion: '406' },
  });
  return { cluster, lost };
}

/** While node4 is away, node5 is served from the backup, and gets what node4 had; then node4 comes back. */
function serveAnother(cluster: Cluster, lost: string[]): void {
  const node4 = cluster.nodes.get('node4')!;
  const agent4 = cluster.agents.get('node4')!;
  cluster.nodes.delete('node4');
  cluster.agents.delete('node4');
  cluster.join('node5', '172.17.0.6');
  cluster.settle();
  say(cluster, 'node5');
  expect(cluster.shown('node5')).toEqual(lost);
  cluster.nodes.set('node4', node4);
  cluster.agents.set('node4', agent4);
}

test('after a restore no node gets a block before every node has registered again, and each keeps what it holds', () => {
  const { cluster, lost } = broughtBack();
  cluster.join('node5', '172.17.0.6');
  cluster.nodes.get('node5')!.creationTimestamp = '2020-01-01T00:00:00Z';
  cluster.settle();
  expect(restored(cluster)).toMatchObject({ status: 'True', reason: 'WaitingForNodes' });
  expect(cluster.shown('node4')).toEqual(lost);
  expect(cluster.shown('node5')).toEqual([]);
  for (const node of ['node1', 'node2', 'node3', 'node4']) cluster.answer(node);
  cluster.settle();
  expect(restored(cluster)!.message).toContain('node5');
  expect(cluster.shown('node5')).toEqual([]);
  cluster.answer('node5');
  cluster.settle();
  expect(restored(cluster)).toBeUndefined();
  expect(cluster.configStatus().restored).toBeUndefined();
  expect(cluster.shown('node5')).toEqual(['9.0.4.0/24', 'fd01:b:0:0:4::/80']);
  expect(cluster.shown('node4')).toEqual(lost);
  cluster.now += 60_000;
  cluster.settle();
  expect(restored(cluster)).toBeUndefined();
});

test('a restore also waits for a node whose registration is refused: no other node gets its blocks', () => {
  const { cluster, lost } = broughtBack();
  cluster.join('node5', '172.17.0.6');
  // its Node was made again, and states its addresses a moment later
  const stated = cluster.stated.get('node4')!;
  cluster.stated.set('node4', []);
  cluster.settle();
  for (const node of cluster.nodes.keys()) cluster.answer(node);
  cluster.settle();
  expect(restored(cluster)!.message).toContain('registered again: node4');
  expect(cluster.shown('node5')).toEqual([]);
  cluster.stated.set('node4', stated);
  cluster.settle();
  expect(restored(cluster)).toBeUndefined();
  expect(cluster.shown('node4')).toEqual(lost);
  expect(cluster.shown('node5')).toEqual(['9.0.4.0/24', 'fd01:b:0:0:4::/80']);
});

test('a person can confirm it, with the id that the condition names', () => {
  const { cluster } = broughtBack();
  cluster.join('node5', '172.17.0.6');
  cluster.settle();
  const { id } = cluster.configStatus().restored!;
  expect(restored(cluster)!.message).toContain(`${confirmRestore}=${id}`);
  cluster.config!.metadata.annotations = { [confirmRestore]: id };
  cluster.settle();
  expect(cluster.shown('node5')).toEqual(['9.0.4.0/24', 'fd01:b:0:0:4::/80']);
});

test('it is enough that the operator itself saw the data go back', () => {
  const cluster = reference();
  cluster.wentBackAt = cluster.now;
  cluster.join('node5', '172.17.0.6');
  cluster.settle();
  expect(restored(cluster)).toMatchObject({ status: 'True' });
  expect(cluster.shown('node5')).toEqual([]);
  for (const node of cluster.nodes.keys()) cluster.answer(node);
  cluster.settle();
  expect(cluster.shown('node5')).toHaveLength(2);
});

test('nothing is taken back during a restore, even if the restored objects demand it', () => {
  const { cluster } = broughtBack();
  cluster.networks.delete('dcos6');
  cluster.nodes.get('node2')!.labels['overlaynet.dev/bridges'] = 'false';
  cluster.leave('node3');
  const before = cluster.shown('node2');
  cluster.settle(() => {
    expect(cluster.shown('node2')).toEqual(before);
    expect(cluster.spec('node2').networks![0]!.subnets[0]!.bridges).toBeDefined();
    expect(cluster.allocations.has('node3')).toBe(true);
  });
});

test('a block that two agents hold is quarantined and named; the ledger’s node keeps it, and the other gets a new one', () => {
  const { cluster, lost } = broughtBack();
  serveAnother(cluster, lost);
  cluster.settle();
  for (const node of cluster.nodes.keys()) cluster.answer(node);
  cluster.settle();
  const status = cluster.configStatus();
  expect(status.quarantined).toContainEqual({
    network: 'dcos',
    cidr: '9.0.3.0/24',
    nodes: ['node5', 'node4'],
  });
  expect(status.conditions).toContainEqual(
    expect.objectContaining({
      type: 'Quarantined',
      status: 'True',
      message: expect.stringContaining('block 9.0.3.0/24 of network dcos by node5 and node4'),
    }),
  );
  expect(cluster.shown('node5')).toEqual(lost);
  expect(cluster.shown('node4')).toEqual(['9.0.4.0/24', 'fd01:b:0:0:4::/80']);
  // node4 has been drained: its agent says no more that it holds the block
  say(cluster, 'node4');
  cluster.settle();
  expect(cluster.configStatus().quarantined).toBeUndefined();
  expect(cluster.blocks()).toContain('net-dcos-1/3 node5 Held');
});

test('if the restore was not noticed, the block is quarantined, and the other is shown a new one only once the status says so', () => {
  const { cluster, lost } = broughtBack();
  // the API server has counted past what the agent had seen
  const { metadata, spec } = cluster.agents.get('node4')!;
  cluster.agents.set('node4', { metadata: { ...metadata, resourceVersion: '420' }, spec });
  serveAnother(cluster, lost);
  cluster.settle(() => {
    const isTold = (cluster.config!.status?.quarantined ?? []).length === 2;
    if (!isTold) expect(cluster.shown('node4')).toEqual([]);
  });
  expect(restored(cluster)).toBeUndefined();
  expect(cluster.configStatus().quarantined).toEqual([
    { network: 'dcos', cidr: '9.0.3.0/24', nodes: ['node5', 'node4'] },
    { network: 'dcos6', cidr: 'fd01:b:0:0:3::/80', nodes: ['node5', 'node4'] },
  ]);
  expect(cluster.shown('node5')).toEqual(lost);
  expect(cluster.shown('node4')).toEqual(['9.0.4.0/24', 'fd01:b:0:0:4::/80']);
  say(cluster, 'node4');
  cluster.settle();
  expect(cluster.configStatus().quarantined).toBeUndefined();
  expect(cluster.blocks()).toContain('net-dcos-1/3 node5 Held');
});

test('the CRDs installed anew under running agents: what they hold is taken up as the networks come back', () => {
  const cluster = reference();
  for (const node of cluster.nodes.keys()) say(cluster, node);
  const before = ['node1', 'node2', 'node3'].map((node) => cluster.shown(node));
  const vteps = ['node1', 'node2', 'node3'].map((node) => cluster.spec(node).vtep);
  cluster.ledger.clear();
  cluster.allocations.clear();
  cluster.networks.clear();
  cluster.join('node0', '172.17.0.9');
  cluster.nodes.get('node0')!.creationTimestamp = '2020-01-01T00:00:00Z';
  cluster.settle();
  expect(restored(cluster)).toMatchObject({ status: 'True', reason: 'WaitingForNodes' });
  for (const node of cluster.nodes.keys()) cluster.answer(node);
  cluster.settle();
  expect(restored(cluster)).toMatchObject({ status: 'True', reason: 'NetworksMissing' });
  expect(restored(cluster)!.message).toContain('dcos, dcos6');
  cluster.network('dcos', dcos);
  cluster.network('dcos6', dcos6);
  cluster.settle();
  expect(['node1', 'node2', 'node3'].map((node) => cluster.shown(node))).toEqual(before);
  expect(['node1', 'node2', 'node3'].map((node) => cluster.spec(node).vtep)).toEqual(vteps);
  expect(restored(cluster)).toBeUndefined();
  expect(cluster.shown('node0')).toHaveLength(2);
});

test('a default OverlayConfig is not pinned if nodes have VTEPs of another one', () => {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  cluster.join('node1', '172.17.0.2');
  cluster.agents.get('node1')!.spec.vtep = { ip: '44.200.0.3/20', mac: '70:b3:d5:c8:00:03' };
  cluster.settle();
  expect(cluster.configStatus().effective).toBeUndefined();
  expect(cluster.configStatus().conditions).toContainEqual(
    expect.objectContaining({ type: 'Accepted', status: 'False', reason: 'HeldElsewhere' }),
  );
  cluster.config!.spec = { ...cluster.config!.spec, vtepSubnets: ['44.200.0.0/20', 'fd01:a::/64'] };
  cluster.settle();
  expect(cluster.spec('node1').vtep!.ip).toBe('44.200.0.3/20');
});
