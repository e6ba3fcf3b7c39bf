import { confirmDepartures } from '../../../src/api/labels.ts';
import fc from 'fast-check';
import { firstBelief, type Belief } from '../../../src/belief/belief.ts';
import type { AgentAllocationSpec } from '../../../src/api/types.ts';
import type { Snapshot } from '../../../src/dataplane/snapshot.ts';
import { overlaps, parseCidr } from '../../../src/net/cidr.ts';
import { dcos, dcos6, node2 } from '../../support/fixture.ts';
import { Cluster, peer } from '../../support/agentcluster.ts';

type Step =
  | { kind: 'leave' | 'lose' | 'join'; peers: number[] }
  | { kind: 'reuse'; of: number }
  | {
      kind:
        'shrink' | 'own' | 'network' | 'remake' | 'refuse' | 'restore' | 'replace' | 'confirm' | 'restart';
    }
  | { kind: 'wait'; ms: number };

const index = fc.integer({ min: 0, max: 11 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom('leave', 'lose', 'join'), peers: fc.array(index) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reuse' as const), of: index }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(700_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'shrink',
        'own',
        'network',
        'remake',
        'refuse',
        'restore',
        'replace',
        'confirm',
        'restart',
      ),
    }),
  },
);

function perform(cluster: Cluster, one: Step): void {
  const { kind } = one;
  if (kind === 'leave' || kind === 'lose') cluster[kind](...one.peers);
  if (kind === 'join') for (const i of one.peers) cluster.join(peer(i));
  // a node that came since has the blocks, or the VTEP, of one that may be gone
  if (kind === 'reuse') {
    cluster.lose(one.of);
    cluster.join({ ...peer(20 + one.of), networks: peer(one.of).networks! });
  }
  if (kind === 'wait') cluster.now += one.ms;
  if (kind === 'shrink') cluster.join({ ...peer(2), networks: [] });
  if (kind === 'own') {
    const { spec } = cluster.allocations.get('node2')!;
    const networks = spec.networks?.length === 2 ? node2.networks!.slice(0, 1) : node2.networks!;
    cluster.join({ ...node2, revision: spec.revision + 1, networks }, 'node2');
  }
  if (kind === 'network') cluster.networks.delete('dcos6');
  if (kind === 'remake') cluster.network(dcos6);
  if (kind === 'refuse') cluster.refused = !cluster.refused;
  if (kind === 'replace') cluster.install(`uid-${cluster.now}-${cluster.uid}`);
  const since = '2026-01-01T00:00:00Z';
  if (kind === 'restore') {
    if (cluster.status.restored === undefined) cluster.status.restored = { id: 'r', since };
    else delete cluster.status.restored;
  }
  if (kind === 'confirm') {
    cluster.status.departures = { id: 'd', since };
    cluster.annotations = cluster.annotations[confirmDepartures] === 'd' ? {} : { [confirmDepartures]: 'd' };
  }
}

const blocks = (spec: AgentAllocationSpec | undefined) =>
  (spec?.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => parseCidr(cidr)));
const meet = (a: AgentAllocationSpec, b: AgentAllocationSpec) =>
  a.vtep?.ip === b.vtep?.ip ||
  a.vtep?.mac === b.vtep?.mac ||
  a.addresses.some((address) => b.addresses.includes(address)) ||
  blocks(a).some((one) => blocks(b).some((other) => overlaps(one, other)));

/** No peer that stays is in the way of one that is there. */
function checkConflicts({ snapshot }: Belief, next: Snapshot): void {
  const present = new Set(next.allocations.map(({ node }) => node));
  for (const { node, spec } of snapshot.allocations) {
    if (present.has(node)) continue;
    for (const other of next.allocations) {
      if (meet(spec, other.spec)) throw new Error(`${node} stays, and ${other.node} has a part of it`);
    }
  }
}

/** Nothing of this node and no network goes. Of peers only what another one has now. */
function checkNothingWithdrawn(before: Snapshot, { snapshot }: Belief, next: Snapshot): void {
  const names = ({ networks }: Snapshot) => networks.map(({ metadata }) => metadata.name);
  expect(names(snapshot)).toEqual(expect.arrayContaining(names(before)));
  for (const { node, spec } of before.allocations) {
    const now = snapshot.allocations.find((one) => one.node === node)?.spec;
    const others = next.allocations.filter((one) => one.node !== node);
    if (node === 'node2') {
      expect(now?.networks).toEqual(spec.networks);
    } else if (!others.some((other) => meet(spec, other.spec))) {
      expect(blocks(now)).toEqual(expect.arrayContaining(blocks(spec)));
    }
  }
}

/** What is there is shown, at least where nothing is doubted. */
function checkPresent({ snapshot, doubt }: Belief, next: Snapshot): void {
  const names = snapshot.allocations.map(({ node }) => node);
  expect(names).toEqual(expect.arrayContaining(next.allocations.map(({ node }) => node)));
  expect(new Set(names).size).toBe(names.length);
  expect(names).toEqual([...names].sort());
  if (doubt !== undefined) return;
  for (const { node, spec } of next.allocations) {
    expect(snapshot.allocations.find((one) => one.node === node)?.spec).toBe(spec);
  }
}

test('with any objects, kept peers never conflict with present ones, and nothing is removed in doubt', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const cluster = new Cluster(10);
      cluster.network(dcos);
      let belief = cluster.believe(undefined);
      for (const one of steps) {
        const before = belief;
        perform(cluster, one);
        if (one.kind === 'restart') {
          const { snapshot, configUID, doubt, lostPeers } = JSON.parse(JSON.stringify(before)) as Belief;
          belief = firstBelief(snapshot, {
            ...(configUID === undefined ? {} : { configUID }),
            ...(doubt === undefined ? {} : { doubt }),
            lostPeers,
          });
        }
        belief = cluster.believe(belief);
        const next = cluster.next!;
        checkConflicts(belief, next);
        checkPresent(belief, next);
        if (belief.doubt !== undefined) checkNothingWithdrawn(before.snapshot, belief, next);
        // judging twice changes nothing
        expect(cluster.believe(belief)).toEqual(belief);
      }
    }),
    { numRuns: 150 },
  );
});
