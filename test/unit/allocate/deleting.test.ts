import { judgeDeletion } from '../../../src/allocate/deleting.ts';
import { Deletions } from '../../../src/allocate/deletions.ts';
import { inUseFinalizer } from '../../../src/api/inuse.ts';
import type { DeletionPolicy, NetworkUser } from '../../../src/api/types.ts';
import { Cluster, reference } from '../../support/plancluster.ts';

const deletion = '2026-01-01T00:00:00Z';
const web: NetworkUser = { pod: 'default/web-0', address: '9.0.1.5' };

/** Writes the report of a node's agent about dcos. */
function say(cluster: Cluster, node: string, users: NetworkUser[] | undefined): void {
  const agent = cluster.agents.get(node)!;
  const answer = users && {
    users: { deletion, at: deletion, count: users.length, ...(users.length === 0 ? {} : { named: users }) },
  };
  const usage = [{ cidr: '9.0.1.0/25', containerizer: 'CNI' as const, addresses: 125, used: 0, free: 125 }];
  const network = { name: 'dcos', state: 'OK' as const, usage, ...answer };
  cluster.agents.set(node, { ...agent, status: { networks: [network] } });
}

/** Deletes dcos, which containers use. */
function remove(cluster: Cluster, deletionPolicy?: DeletionPolicy): void {
  const network = cluster.networks.get('dcos')!;
  cluster.networks.set('dcos', {
    ...network,
    metadata: { ...network.metadata, deletionTimestamp: deletion, finalizers: [inUseFinalizer] },
    spec: { ...network.spec, ...(deletionPolicy && { deletionPolicy }) },
  });
  cluster.settle();
}

const judge = (cluster: Cluster, heard: Record<string, number> = {}) =>
  judgeDeletion(cluster.networks.get('dcos')!, cluster.view(), cluster.last, {
    deletionSeen: Date.parse(deletion),
    answered: (node) => heard[node],
  });

const all = ['node1', 'node2', 'node3'];

test('every network has the finalizer, before any container uses it', () => {
  const cluster = reference();
  expect(judge(cluster).finalizer).toBe('add');
  const network = cluster.networks.get('dcos')!;
  network.metadata.finalizers = [inUseFinalizer, 'example.com/other'];
  expect(judge(cluster)).toEqual({ finalizer: undefined, finding: undefined, wakeAt: Infinity });
  // the API server takes no new finalizer for an object that is being deleted
  network.metadata = { ...network.metadata, deletionTimestamp: deletion, finalizers: ['example.com/other'] };
  expect(judge(cluster).finalizer).toBeUndefined();
});

test('a network that no node has a block of is deleted at once', () => {
  const cluster = new Cluster();
  cluster.network('dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
  remove(cluster);
  expect(judge(cluster)).toEqual({ finalizer: 'remove', finding: undefined, wakeAt: Infinity });
});

test('a network that waits for its deletion keeps its blocks, and gives no node a new one', () => {
  const cluster = reference();
  const before = all.map((node) => cluster.shown(node));
  remove(cluster);
  expect(all.map((node) => cluster.shown(node))).toEqual(before);
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  expect(cluster.shown('node4')).toEqual([expect.stringMatching(/^fd01:b/)]);
  expect(cluster.condition('dcos', 'Accepted').status).toBe('True');
  expect(cluster.status('dcos').agents!.waiting).toBe(0);
});

test('a network is deleted once every node with a block reports no users', () => {
  const cluster = reference();
  remove(cluster);
  say(cluster, 'node1', []);
  say(cluster, 'node2', [web]);
  expect(judge(cluster).finding).toMatchObject({
    type: 'Deleting',
    status: 'True',
    reason: 'InUse',
    message:
      'spec.deletionPolicy Block: 1 container uses it: pod default/web-0 (node2, 9.0.1.5); ' +
      'these agents have not answered yet: node3; to take the network from its containers at once: ' +
      `kubectl patch overlaynetwork dcos --type=merge -p '{"spec":{"deletionPolicy":"Force"}}'`,
  });
  say(cluster, 'node2', []);
  expect(judge(cluster)).toMatchObject({ finalizer: undefined, finding: { reason: 'AgentsAsked' } });
  say(cluster, 'node3', []);
  expect(judge(cluster)).toEqual({ finalizer: 'remove', finding: undefined, wakeAt: Infinity });
});

test('of many containers twenty are named, and the number of all', () => {
  const cluster = reference();
  remove(cluster, 'Drain');
  const users = Array.from({ length: 20 }, (_, at) => ({ pod: `default/web-${at}` }));
  say(cluster, 'node1', users);
  say(cluster, 'node2', [{ container: 'redis' }]);
  say(cluster, 'node3', []);
  const { message } = judge(cluster).finding!;
  expect(message).toMatch(
    /^spec.deletionPolicy Drain: 21 containers use it: pod default\/web-0 \(node1\), .*web-19 \(node1\), …;/,
  );
  expect(message).not.toContain('redis');
});

test('the answer to another deletion does not count', () => {
  const cluster = reference();
  remove(cluster);
  for (const node of all) say(cluster, node, []);
  cluster.networks.get('dcos')!.metadata.deletionTimestamp = '2026-02-02T00:00:00Z';
  expect(judge(cluster).finding?.message).toContain('have not answered yet: node1, node2, node3');
});

test('a deletion waits for a node with a block in the ledger, even if its AgentAllocation is gone and cannot be written', () => {
  const cluster = reference();
  remove(cluster);
  for (const node of ['node1', 'node3']) say(cluster, node, []);
  cluster.refusals.set('create-allocation node2', 'no');
  cluster.allocations.delete('node2');
  cluster.settle();
  expect(judge(cluster)).toMatchObject({
    finalizer: undefined,
    finding: { message: expect.stringContaining('have not answered yet: node2;') },
  });
  cluster.refusals.clear();
  cluster.settle();
  say(cluster, 'node2', []);
  expect(judge(cluster).finalizer).toBe('remove');
});

test('a deletion waits for a node that still uses a withdrawn block', () => {
  const cluster = reference();
  remove(cluster);
  for (const node of all) say(cluster, node, []);
  const agent = cluster.agents.get('node2')!;
  const networks = [{ name: 'dcos', subnets: ['9.9.9.0/24'] }];
  cluster.agents.set('node4', { metadata: { name: 'node4' }, spec: { ...agent.spec, networks } });
  cluster.nodes.set('node4', { ...cluster.nodes.get('node2')!, name: 'node4' });
  expect(judge(cluster).finding?.message).toContain('have not answered yet: node4;');
});

/** Judges as an operator does that remembers answers; every OverlayAgent changed a second ago. */
function judgeWith(deletions: Deletions, cluster: Cluster) {
  const networks = [...cluster.networks.values()];
  const changedAt = () => cluster.now - 1_000;
  return deletions.judge(networks, cluster.view(), cluster.last, changedAt).get('dcos')!;
}

test('other changes of an agent that never answers do not make a deletion wait longer', () => {
  const cluster = reference({ staleAfter: '2m' });
  remove(cluster);
  const deletions = new Deletions();
  for (const node of ['node1', 'node3']) say(cluster, node, []);
  expect(judgeWith(deletions, cluster).finalizer).toBeUndefined();
  cluster.now += 121_000;
  expect(judgeWith(deletions, cluster).finalizer).toBe('remove');
});

test('an agent whose OverlayAgent was deleted has staleAfter to answer again, however old the deletion is', () => {
  const cluster = reference({ staleAfter: '2m' });
  remove(cluster);
  const deletions = new Deletions();
  for (const node of ['node1', 'node3']) say(cluster, node, []);
  say(cluster, 'node2', [web]);
  judgeWith(deletions, cluster);
  cluster.now += 600_000;
  expect(judgeWith(deletions, cluster).finding?.reason).toBe('InUse');
  const { metadata, spec } = cluster.agents.get('node2')!;
  for (const returned of [undefined, { metadata, spec }]) {
    cluster.agents.delete('node2');
    if (returned !== undefined) cluster.agents.set('node2', returned);
    expect(judgeWith(deletions, cluster).finding).toMatchObject({
      reason: 'AgentsAsked',
      message: expect.stringContaining('these agents have not answered yet: node2') as string,
    });
  }
  cluster.now += 121_000;
  expect(judgeWith(deletions, cluster).finalizer).toBe('remove');
});

test('a deletion waits while nodes have just departed and others may follow', () => {
  const cluster = reference();
  remove(cluster);
  for (const node of ['node1', 'node3']) say(cluster, node, []);
  say(cluster, 'node2', [web]);
  cluster.leave('node2');
  cluster.leaving = { first: cluster.now, last: cluster.now };
  cluster.settle();
  expect(judge(cluster)).toMatchObject({ finalizer: undefined, wakeAt: cluster.now + 250 });
  cluster.now += 251;
  cluster.settle();
  expect(judge(cluster).finalizer).toBe('remove');
});

test('Force deletes the network at once', () => {
  const cluster = reference();
  remove(cluster, 'Force');
  for (const node of all) say(cluster, node, [web]);
  expect(judge(cluster).finalizer).toBe('remove');
});

test('nodes that are gone, and agents that are silent for staleAfter, do not block a deletion for ever', () => {
  const cluster = reference({ staleAfter: '2m' });
  remove(cluster);
  const start = Date.parse(deletion);
  say(cluster, 'node1', [web]);
  say(cluster, 'node2', [web]);
  cluster.leave('node2');
  cluster.now = start + 119_000;
  const waiting = judge(cluster);
  expect(waiting.finding?.message).toContain('1 container uses it: pod default/web-0 (node1, 9.0.1.5)');
  expect(waiting.wakeAt).toBe(start + 120_000);
  cluster.now = start + 121_000;
  expect(judge(cluster, { node1: start + 60_000 }).finding?.message).toContain(
    'these are silent, and not waited for: node3',
  );
  expect(judge(cluster).finalizer).toBe('remove');
});

test('a deletion waits while departures are not believed, or during a restore', () => {
  const cluster = reference();
  remove(cluster);
  for (const node of all) say(cluster, node, []);
  const { restore, departures } = cluster.last;
  const verdict = (alarms: Parameters<typeof judgeDeletion>[2]) =>
    judgeDeletion(cluster.networks.get('dcos')!, cluster.view(), alarms, {
      deletionSeen: 0,
      answered: () => undefined,
    });
  expect(verdict({ departures, restore: { ...restore, active: true } })).toMatchObject({
    finalizer: undefined,
    finding: { reason: 'Alarm' },
  });
  expect(verdict({ departures: { ...departures, disbelieved: true }, restore }).finalizer).toBeUndefined();
});

test('networks that are deleted with their CRD are not kept: uninstalling ends, and agents keep their data path', () => {
  const cluster = reference();
  remove(cluster);
  say(cluster, 'node1', [web]);
  cluster.networksKind = { uid: 'crd-1', goes: true };
  expect(judge(cluster).finalizer).toBe('remove');
});

test("another's finalizer alone keeps no blocks", () => {
  const cluster = reference();
  remove(cluster);
  cluster.networks.get('dcos')!.metadata.finalizers = ['example.com/other'];
  cluster.settle();
  expect(all.flatMap((node) => cluster.shown(node)).filter((block) => block.startsWith('9.'))).toEqual([]);
  expect(judge(cluster)).toEqual({ finalizer: undefined, finding: undefined, wakeAt: Infinity });
});
