import fc from 'fast-check';
import { isWaiting } from '../../../src/api/inuse.ts';
import { BusyCluster, containersKeepTheirBlocks, type Step } from '../../support/busycluster.ts';

const node = fc.integer({ min: 0, max: 3 });
const network = fc.integer({ min: 0, max: 2 });
const of = <T extends object>(kind: string, more: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record({ kind: fc.constant(kind), ...more }) as unknown as fc.Arbitrary<Step>;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: of('join', { node }) },
  { weight: 8, arbitrary: of('start', { node, network }) },
  { weight: 3, arbitrary: of('network', { network }) },
  { weight: 3, arbitrary: of('delete', { network, policy: fc.constantFrom('Block', 'Drain', 'Force') }) },
  { weight: 2, arbitrary: of('stop', { node, network }) },
  of('leave', { node }),
  of('silence', { node }),
  { weight: 3, arbitrary: of('forget', { node }) },
  of('restart', {}),
  { weight: 2, arbitrary: of('unseen', { node, network }) },
  { weight: 2, arbitrary: of('hasty', { node, network }) },
  of('wait', { minutes: fc.integer({ min: 1, max: 12 }) }),
);

test('a container that joined while no operator ran keeps its block, although its network was deleted before one ran', () => {
  const cluster = new BusyCluster();
  for (const at of [0, 1]) cluster.perform({ kind: 'join', node: at });
  cluster.perform({ kind: 'network', network: 0 });
  cluster.converge(() => undefined);
  cluster.perform({ kind: 'start', node: 0, network: 0 });
  // the only container that the operator knew of ends
  cluster.perform({ kind: 'stop', node: 0, network: 0 });
  cluster.perform({ kind: 'unseen', node: 1, network: 0 });
  expect(cluster.unseen).toBe(1);
  for (let minutes = 0; minutes < 4; minutes++) {
    cluster.perform({ kind: 'wait', minutes: 1 });
    cluster.converge(() => {
      containersKeepTheirBlocks(cluster);
    });
  }
  expect([cluster.lost.size, cluster.shown('node1')]).toEqual([0, ['10.1.1.0/24']]);
  cluster.perform({ kind: 'stop', node: 1, network: 0 });
  cluster.converge(() => undefined);
  expect([...cluster.networks.keys()]).toEqual([]);
});

test('no block changes hands while a container uses it, unless the deletion of its network is forced', () => {
  const outcomes = { waited: 0, forced: 0, gone: 0, unseen: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 50 }), (steps) => {
      const cluster = new BusyCluster();
      // each history begins with containers, and a network without any, because chance made too few of them
      for (const at of [0, 1]) {
        cluster.perform({ kind: 'join', node: at });
        cluster.perform({ kind: 'network', network: 0 });
        cluster.converge(() => undefined);
        cluster.perform({ kind: 'start', node: at, network: 0 });
      }
      cluster.perform({ kind: 'network', network: 1 });
      for (const each of steps) {
        cluster.perform(each);
        cluster.converge(() => {
          containersKeepTheirBlocks(cluster);
        });
        for (const key of cluster.lost) if (cluster.used.delete(key)) outcomes.forced++;
        cluster.lost.clear();
        outcomes.waited += [...cluster.networks.values()].filter(({ metadata }) =>
          isWaiting(metadata),
        ).length;
      }
      outcomes.unseen += cluster.unseen;
      // in the end all containers stop, and deleted networks disappear
      cluster.used.clear();
      for (let at = 0; at < 5; at++)
        if (cluster.nodes.has(`node${at}`)) cluster.perform({ kind: 'join', node: at });
      // a person confirms that the others are gone, as half of a cluster is not believed to be
      for (const name of cluster.allocations.keys())
        if (!cluster.nodes.has(name)) cluster.confirmedGone.add(name);
      cluster.now += 600_000;
      cluster.converge(() => undefined);
      const waiting = [...cluster.networks.values()].filter(({ metadata }) => isWaiting(metadata));
      expect(waiting.map(({ metadata }) => metadata.name)).toEqual([]);
      outcomes.gone++;
    }),
    { numRuns: 100 },
  );
  // proves that the case was tried
  expect(outcomes.waited).toBeGreaterThan(15);
  expect(outcomes.forced).toBeGreaterThan(2);
  expect(outcomes.unseen).toBeGreaterThan(2);
});
