import fc from 'fast-check';
import type { AllocationLedger, LedgerBlock } from '../../../src/api/types.ts';
import { vtepAt } from '../../../src/net/vtep.ts';
import { Cluster, configSpec } from '../../support/plancluster.ts';

type Step =
  | { kind: 'join' | 'leave' | 'damage' | 'deselect'; node: number }
  | { kind: 'network' | 'remove' | 'disable'; network: number }
  | { kind: 'wait'; minutes: number }
  | { kind: 'reserve' | 'unreserve'; node: number; at: number; named: boolean; until: number };

const node = fc.integer({ min: 0, max: 7 });
const network = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const), node }) },
  fc.record({ kind: fc.constantFrom('leave', 'damage', 'deselect'), node }) as fc.Arbitrary<Step>,
  fc.record({ kind: fc.constantFrom('network', 'remove', 'disable'), network }) as fc.Arbitrary<Step>,
  fc.record({ kind: fc.constant('wait' as const), minutes: fc.integer({ min: 1, max: 12 }) }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('reserve' as const, 'reserve' as const, 'unreserve' as const),
      node,
      at: fc.integer({ min: 0, max: 4 }),
      named: fc.boolean(),
      until: fc.integer({ min: 0, max: 30 }),
    }),
  },
);

/** Small enough that they run out: 4 blocks each. */
const subnets = [
  [{ cidr: '10.1.0.0/22', prefix: 24 }],
  [
    { cidr: '10.2.0.0/22', prefix: 24 },
    { cidr: 'fd02::/62', prefix: 64 },
  ],
  [{ cidr: '10.1.0.0/16', prefix: 24 }],
];

/** Of one VTEP and one block of each network: what others hold or reserve, too. */
function reserve(cluster: Cluster, { node, at, named, until }: Extract<Step, { at: number }>): void {
  const name = `old${node}`;
  if (cluster.reservations.has(name)) return;
  const { ip = '' } = vtepAt(configSpec.vtepSubnets, configSpec.vtepMACOUI, at);
  cluster.reservations.set(name, {
    metadata: {
      name,
      uid: `${name} ${cluster.history.length}`,
      creationTimestamp: new Date(cluster.now).toISOString(),
      // a list that was made before it would not show it
      resourceVersion: String(cluster.view().allocationsAt),
    },
    spec: {
      ...(named ? { nodeName: `node${node}` } : { address: `172.17.0.${node}` }),
      vtep: {
        ip,
        mac: named ? `70:b3:d5:00:00:0${at}` : vtepAt(configSpec.vtepSubnets, configSpec.vtepMACOUI, at).mac,
      },
      networks: [
        { name: 'net0', subnets: [`10.1.${at}.0/24`] },
        { name: 'net1', subnets: [`10.2.${at}.0/24`, `fd02:0:0:${at}::/64`] },
      ],
      ...(until > 10 ? { expiresAt: new Date(cluster.now + until * 60_000).toISOString() } : {}),
      ...(until === 0 ? { exclusive: true } : {}),
    },
  });
}

function perform(cluster: Cluster, step: Step): void {
  const { kind, ...at } = step;
  if ('at' in step) {
    if (kind === 'reserve') reserve(cluster, step);
    else cluster.reservations.delete(`old${step.node}`);
    return;
  }
  const name = 'node' in at ? `node${at.node}` : 'network' in at ? `net${at.network}` : '';
  if (kind === 'join' && !cluster.nodes.has(name)) cluster.join(name, `172.17.0.${name.slice(4)}`);
  if (kind === 'leave') cluster.leave(name);
  if (kind === 'damage') cluster.allocations.delete(name);
  if (kind === 'deselect' && cluster.nodes.has(name)) {
    const facts = cluster.nodes.get(name)!;
    const off = facts.labels.off === 'yes' ? 'no' : 'yes';
    cluster.nodes.set(name, { ...facts, labels: { ...facts.labels, off } });
  }
  const selector = {
    nodeSelector: { matchExpressions: [{ key: 'off', operator: 'NotIn' as const, values: ['yes'] }] },
  };
  if ('network' in at && kind !== 'remove')
    cluster.network(name, subnets[at.network]!, {
      enabled: kind === 'network',
      // pages are scanned in another way where every node is selected
      ...(at.network === 0 ? {} : selector),
    });
  if (kind === 'remove') cluster.networks.delete(name);
  if ('minutes' in at) cluster.now += at.minutes * 60_000;
}

/** Must hold after every round of writes, not only at rest. */
function nobodySharesABlock(cluster: Cluster): void {
  const owner = new Map<string, string>();
  for (const name of cluster.allocations.keys()) {
    const { vtep } = cluster.spec(name);
    for (const text of [...cluster.shown(name), ...(vtep?.ip === undefined ? [] : [vtep.ip, vtep.mac])]) {
      expect([text, owner.get(text)]).toEqual([text, undefined]);
      owner.set(text, name);
    }
  }
}

/** Blocks of all pages by page and index. */
const blocksOf = (cluster: Cluster) =>
  new Map(
    [...cluster.ledger].flatMap(([name, { spec }]: [string, AllocationLedger]) =>
      (spec.page?.blocks ?? []).map((entry): [string, LedgerBlock] => [`${name}/${entry.index}`, entry]),
    ),
  );

/** Reserved blocks go to their node, unless it has another block, and no VTEP changes its MAC while a node has it. */
function reservationsHold(before: ReadonlyMap<string, LedgerBlock>, cluster: Cluster): void {
  for (const [key, entry] of blocksOf(cluster)) {
    const was = before.get(key);
    if (was === undefined) continue;
    if (was.state === 'Reserved' && entry.state !== 'Reserved') {
      const reservation = cluster.reservations.get(was.reservation ?? '');
      const { nodeName, address = '', expiresAt } = reservation?.spec ?? {};
      const lives = reservation?.metadata.uid === was.uid && !(Date.parse(expiresAt ?? '') <= cluster.now);
      const node = nodeName ?? `node${address.split('.').at(-1)}`;
      const page = key.replace(/\/.*/, '');
      const hasAnother = [...before].some(
        ([other, one]) => other.startsWith(`${page}/`) && one.state === 'Held' && one.node === node,
      );
      if (lives && !hasAnother) expect([key, entry.node, entry.mac]).toEqual([key, node, was.mac]);
    }
    if (was.state === 'Held' && entry.state === 'Held') expect([key, entry.mac]).toEqual([key, was.mac]);
  }
}

test('no block is ever in two nodes’ AgentAllocations, with any events in any order, and the plan comes to rest', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const cluster = new Cluster();
      cluster.comparing = true;
      for (const each of steps) {
        perform(cluster, each);
        let before = blocksOf(cluster);
        cluster.settle(() => {
          nobodySharesABlock(cluster);
          reservationsHold(before, cluster);
          before = blocksOf(cluster);
        });
      }
    }),
    { numRuns: 150 },
  );
});
