import { confirmDepartures } from '../../../src/api/labels.ts';
import { believedAt, oneMoreLeft } from '../../../src/allocate/leaving.ts';
import { Cluster, dcos } from '../../support/plancluster.ts';

const names = Array.from({ length: 10 }, (_, at) => `node${at + 1}`);

function ten(): Cluster {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  for (const [at, name] of names.entries()) cluster.join(name, `172.17.0.${at + 2}`);
  return cluster.settle();
}

const degraded = (cluster: Cluster) =>
  cluster.configStatus().conditions!.find(({ type, status }) => type === 'Degraded' && status === 'True');
const held = (cluster: Cluster, node: string) =>
  cluster.blocks().filter((text) => text.endsWith(`${node} Held`));

test('if more than half of the nodes disappear at once, nothing is released, and the condition says how to confirm it', () => {
  const cluster = ten();
  for (const name of names.slice(4)) cluster.leave(name);
  cluster.settle();
  for (const name of names) expect(held(cluster, name)).toHaveLength(2);
  expect([...cluster.allocations.keys()]).toEqual(names);
  expect(cluster.agents.size).toBe(10);
  const { id } = cluster.configStatus().departures!;
  expect(degraded(cluster)).toMatchObject({ status: 'True', reason: 'MassDeparture' });
  expect(degraded(cluster)!.message).toBe(
    '6 of 10 nodes are gone at once: node10, node5, node6, node7, node8, … (6 in all); nothing of theirs is released until ' +
      `they return, or: kubectl annotate --overwrite overlayconfig default ${confirmDepartures}=${id}`,
  );
  cluster.now += 3_600_000;
  cluster.settle();
  expect(held(cluster, 'node7')).toHaveLength(2);
  cluster.config!.metadata.annotations = { [confirmDepartures]: 'something else' };
  cluster.settle();
  expect(held(cluster, 'node7')).toHaveLength(2);
  cluster.config!.metadata.annotations = { [confirmDepartures]: id };
  cluster.settle();
  expect(cluster.blocks()).toContain('net-dcos-1/6 node7 Cooling');
  expect([...cluster.allocations.keys()]).toEqual(names.slice(0, 4));
  expect(degraded(cluster)).toBeUndefined();
  expect(cluster.configStatus().departures).toMatchObject({ id, confirmedAt: expect.any(String) });
  cluster.now += 600_001;
  cluster.settle();
  expect(cluster.configStatus().departures).toBeUndefined();
});

test('nodes that return end the alarm, and have their blocks', () => {
  const cluster = ten();
  const before = cluster.shown('node8');
  const nodes = new Map(cluster.nodes);
  for (const name of names.slice(4)) cluster.leave(name);
  cluster.settle();
  for (const [name, facts] of nodes) cluster.nodes.set(name, facts);
  cluster.settle();
  expect(degraded(cluster)).toBeUndefined();
  expect(cluster.configStatus().departures).toBeUndefined();
  expect(cluster.shown('node8')).toEqual(before);
});

test('nodes that return one by one do not have the rest of them released', () => {
  const cluster = ten();
  const nodes = new Map(cluster.nodes);
  for (const name of names.slice(4)) cluster.leave(name);
  cluster.settle();
  for (const name of names.slice(4)) {
    cluster.now += 100_000;
    cluster.settle();
    expect([...cluster.allocations.keys()]).toEqual(names);
    expect(degraded(cluster)).toMatchObject({ status: 'True' });
    cluster.nodes.set(name, nodes.get(name)!);
  }
  cluster.settle();
  expect(degraded(cluster)).toBeUndefined();
  expect(cluster.configStatus().departures).toBeUndefined();
});

test('the departure of half of the nodes, or of two of three, is believed', () => {
  const cluster = ten();
  for (const name of names.slice(5)) cluster.leave(name);
  cluster.settle();
  expect([...cluster.allocations.keys()]).toEqual(names.slice(0, 5));
  const small = new Cluster();
  small.network('dcos', dcos);
  for (const at of [1, 2, 3]) small.join(`node${at}`, `172.17.0.${at}`);
  small.settle();
  small.leave('node1');
  small.leave('node2');
  small.settle();
  expect([...small.allocations.keys()]).toEqual(['node3']);
});

test('departures within a minute count together; a slow decline is believed', () => {
  const quick = ten();
  for (const name of names.slice(0, 6)) {
    quick.leave(name);
    quick.now += 1_000;
    quick.settle();
  }
  expect(degraded(quick)).toMatchObject({ status: 'True' });
  expect([...quick.allocations.keys()]).toEqual(names.slice(5));
  const slow = ten();
  for (const name of names.slice(0, 8)) {
    slow.leave(name);
    slow.now += 120_000;
    slow.settle();
  }
  expect([...slow.allocations.keys()]).toEqual(names.slice(8));
});

test('a departure confirmed for one node is believed of that node', () => {
  const cluster = ten();
  for (const name of names.slice(4)) cluster.leave(name);
  cluster.settle();
  cluster.confirmedGone.add('node9');
  cluster.settle();
  expect(cluster.allocations.has('node9')).toBe(false);
  expect(cluster.allocations.has('node8')).toBe(true);
});

test('nodes that depart one by one are not released before the last one has departed', () => {
  const cluster = ten();
  for (const [at, name] of names.slice(4).entries()) {
    cluster.leave(name);
    cluster.leaving = oneMoreLeft(cluster.leaving, cluster.now);
    cluster.settle();
    expect([...cluster.allocations.keys()]).toEqual(names);
    if (at < 5) expect(cluster.last.wakeAt).toBe(cluster.now + 250);
    cluster.now += 100;
  }
  expect(degraded(cluster)).toMatchObject({ status: 'True' });
});

test('a few departed nodes are released a moment after the last one, or after a minute if further ones keep departing', () => {
  const few = ten();
  few.leave('node1');
  few.leaving = oneMoreLeft(undefined, few.now);
  few.now += 250;
  few.settle();
  expect([...few.allocations.keys()]).toEqual(names.slice(1));
  const start = few.now;
  let leaving = few.leaving;
  for (; few.now < start + 50_000; few.now += 200) leaving = oneMoreLeft(leaving, few.now);
  expect(leaving.first).toBe(start);
  expect(believedAt(leaving)).toBe(leaving.last + 250);
  for (; few.now < start + 120_000; few.now += 200) {
    leaving = oneMoreLeft(leaving, few.now);
    expect(believedAt(leaving)).toBeLessThanOrEqual(leaving.first + 60_000);
  }
});
