import fc from 'fast-check';
import { isAllShown, newestOf } from '../../../src/belief/shown.ts';
import { Cluster, peer, peerName } from '../../support/agentcluster.ts';

type Step = { kind: 'join' | 'release' | 'lose' | 'show'; peer: number } | { kind: 'count' };

const node = fc.integer({ min: 0, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('join', 'release', 'lose', 'show'), peer: node }),
  fc.record({ kind: fc.constant('count' as const) }),
);

/** The operator may end between any two writes: it gives a block out, shows it, and counts it in this order. */
test('whatever is written and whatever is lost, no peer whose blocks the ledger has counts as taken back', () => {
  let taken = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const cluster = new Cluster(0);
      const ledger = new Set(['node2']);
      const everShown = new Set<number>();
      let seen: bigint | undefined;
      for (const one of steps) {
        seen = newestOf([...cluster.allocations.values()], seen);
        if (one.kind === 'count') {
          for (const { metadata, spec, ...network } of cluster.networks.values()) {
            const counts = {
              blocks: 256,
              held: ledger.size,
              releasing: 0,
              cooling: 0,
              quarantined: 0,
              free: 0,
            };
            const { cidr } = spec.subnets[0]!;
            const status = { ...network.status, capacity: [{ cidr, ...counts }] };
            const versioned = { ...metadata, resourceVersion: cluster.write() };
            cluster.networks.set(metadata.name, { metadata: versioned, spec, status });
          }
          continue;
        }
        const name = peerName(one.peer);
        if (one.kind === 'join') ledger.add(name);
        if (one.kind === 'show' && ledger.has(name)) {
          cluster.join(peer(one.peer));
          everShown.add(one.peer);
        }
        if (one.kind === 'release' || one.kind === 'lose') cluster.lose(one.peer);
        if (one.kind === 'release') {
          ledger.delete(name);
          everShown.delete(one.peer);
        }
        const shown = {
          networks: [...cluster.networks.values()],
          allocations: [...cluster.allocations.values()],
        };
        for (let i = 0; i < 5; i++) {
          if (cluster.allocations.has(peerName(i))) continue;
          const isTaken = isAllShown([peer(i)], { ...shown, seen });
          if (isTaken) taken++;
          // a block that was given out and never shown is in no data path
          if (isTaken && ledger.has(peerName(i)) && everShown.has(i)) throw new Error(`${peerName(i)} lives`);
        }
      }
    }),
    { seed: 20261129, numRuns: 3_000 },
  );
  expect(taken).toBeGreaterThan(100);
});
