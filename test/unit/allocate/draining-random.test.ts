import fc from 'fast-check';
import type { DrainingBlock, NetworkSubnet, OverlayNetwork } from '../../../src/api/types.ts';
import { contains, parseCidr } from '../../../src/net/cidr.ts';
import { Cluster } from '../../support/plancluster.ts';

type State = 'Active' | 'Draining' | 'going' | 'absent';
type Step =
  | { kind: 'join' | 'leave' | 'silence' | 'see' | 'start' | 'stop'; node: number }
  | { kind: 'entry'; entry: number; state: State; then: 'nothing' | 'speak' | 'start' }
  | { kind: 'wait'; minutes: number }
  // what an agent says comes late: after it has told containers something else
  | { kind: 'speak' };

const node = fc.integer({ min: 0, max: 2 });
const of = (kind: string, more: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record({ kind: fc.constant(kind), ...more }) as unknown as fc.Arbitrary<Step>;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: of('join', { node }) },
  { weight: 8, arbitrary: of('see', { node }) },
  { weight: 8, arbitrary: of('start', { node }) },
  { weight: 3, arbitrary: of('stop', { node }) },
  {
    weight: 8,
    arbitrary: of('entry', {
      entry: fc.integer({ min: 0, max: 1 }),
      state: fc.constantFrom('Active', 'Draining', 'going', 'going', 'absent'),
      // agents see it at once, or later
      then: fc.constantFrom('nothing', 'speak', 'start'),
    }),
  },
  { weight: 5, arbitrary: of('speak', {}) },
  of('leave', { node }),
  of('silence', { node }),
  of('wait', { minutes: fc.integer({ min: 1, max: 12 }) }),
);

const ranges = ['10.1.0.0/22', '10.2.0.0/22'];

/** A network that grows, drains and is rolled back, with containers, and agents that see each change late. */
class Draining extends Cluster {
  /** Blocks that containers of a node have addresses of. */
  readonly used = new Map<string, Set<string>>();
  /** The network as each agent last saw it, from which its containers get addresses. */
  readonly #seen = new Map<string, OverlayNetwork>();
  readonly #silent = new Set<string>();
  #entries = new Map<string, NetworkSubnet>([[ranges[0]!, entryOf(ranges[0]!, 'Active')]]);
  #generation = 1;

  constructor() {
    super();
    this.#apply();
  }

  perform(step: Step): void {
    const name = 'node' in step ? `node${step.node}` : '';
    switch (step.kind) {
      case 'join':
        this.#silent.delete(name);
        if (!this.nodes.has(name)) this.join(name, `172.17.0.${step.node + 2}`);
        break;
      case 'leave':
        this.leave(name);
        this.used.delete(name);
        this.#seen.delete(name);
        break;
      case 'silence':
        this.#silent.add(name);
        break;
      case 'see':
        if (this.nodes.has(name)) this.#see(name);
        break;
      case 'start':
        this.#start(name);
        break;
      case 'stop':
        this.#stop(name);
        break;
      case 'entry':
        this.#change(ranges[step.entry]!, step.state);
        if (step.then !== 'nothing') for (const each of this.#seen.keys()) this.#see(each);
        if (step.then === 'speak') this.speak();
        if (step.then === 'start') for (const each of this.#seen.keys()) this.#start(each);
        break;
      case 'wait':
        this.now += step.minutes * 60_000;
        break;
      case 'speak':
        this.speak();
        break;
    }
  }

  /** Agents that are not silent report their blocks and the users of these. */
  speak(): void {
    for (const [name, agent] of this.agents) {
      const seen = this.#seen.get(name);
      if (this.#silent.has(name)) continue;
      const blocks = this.shown(name);
      const spec = { ...agent.spec, networks: blocks.length === 0 ? [] : [{ name: 'net', subnets: blocks }] };
      const draining = seen === undefined ? [] : blocks.flatMap((cidr) => this.#answer(name, seen, cidr));
      const status = { networks: [{ name: 'net', state: 'OK' as const, draining }] };
      this.agents.set(name, { ...agent, spec, status });
    }
  }

  removed(): number {
    return this.status('net').draining?.filter(({ state }) => state === 'Removed').length ?? 0;
  }

  #answer(node: string, { metadata, spec }: OverlayNetwork, cidr: string): DrainingBlock[] {
    if (stateOf(spec.subnets, cidr) !== 'Draining') return [];
    const count = Number(this.used.get(node)?.has(cidr) === true);
    return [{ cidr, networkUID: metadata.uid ?? '', generation: metadata.generation ?? 0, count }];
  }

  #see(name: string): void {
    if (!this.#silent.has(name)) this.#seen.set(name, this.networks.get('net')!);
  }

  /** A container gets an address of an entry that its agent takes to be Active. */
  #start(name: string): void {
    const seen = this.#seen.get(name);
    if (seen === undefined || this.#silent.has(name)) return;
    const block = this.shown(name).find((cidr) => stateOf(seen.spec.subnets, cidr) === 'Active');
    if (block !== undefined) this.used.set(name, new Set([...(this.used.get(name) ?? []), block]));
  }

  #stop(name: string): void {
    const blocks = this.used.get(name);
    const [first] = blocks ?? [];
    if (first !== undefined) blocks?.delete(first);
  }

  #change(cidr: string, state: State): void {
    const next = new Map(this.#entries);
    if (state !== 'absent') next.set(cidr, entryOf(cidr, state));
    else if ([...this.used.values()].some((blocks) => [...blocks].some((block) => isIn(cidr, block)))) return;
    else next.delete(cidr);
    // what the API server refuses
    if ([...next.values()].every((entry) => entry.removeWhenDrained === true)) return;
    this.#entries = next;
    this.#apply();
  }

  #apply(): void {
    this.network('net', [...this.#entries.values()]);
    const network = this.networks.get('net')!;
    this.networks.set('net', {
      ...network,
      metadata: { ...network.metadata, generation: this.#generation++ },
    });
  }
}

const entryOf = (cidr: string, state: Exclude<State, 'absent'>): NetworkSubnet => ({
  cidr,
  prefix: 24,
  state: state === 'Active' ? 'Active' : 'Draining',
  ...(state === 'going' ? { removeWhenDrained: true } : {}),
});

const isIn = (whole: string, block: string) => contains(parseCidr(whole), parseCidr(block));

const stateOf = (entries: readonly NetworkSubnet[], block: string) =>
  entries.find(({ cidr }) => isIn(cidr, block))?.state;

/** A container keeps its block, even if it drains, and no other node has the block. */
function containersKeepTheirBlocks(cluster: Draining): void {
  const owners = [...cluster.allocations.keys()].flatMap((name) =>
    cluster.shown(name).map((block) => [block, name] as const),
  );
  expect(new Set(owners.map(([block]) => block)).size).toBe(owners.length);
  const owner = new Map(owners);
  for (const [name, blocks] of cluster.used)
    for (const block of blocks) expect([block, owner.get(block)]).toEqual([block, name]);
}

test('no container loses its block while entries drain, are removed and are rolled back', () => {
  const outcomes = { removed: 0, keptInUse: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 50 }), (steps) => {
      const cluster = new Draining();
      const settle = () => {
        cluster.settle(() => {
          containersKeepTheirBlocks(cluster);
        });
      };
      settle();
      for (const kind of ['join', 'see', 'start'] as const)
        for (const at of [0, 1]) {
          cluster.perform({ kind, node: at });
          settle();
        }
      for (const each of steps) {
        cluster.perform(each);
        settle();
        outcomes.removed += cluster.removed();
        outcomes.keptInUse += (cluster.status('net').draining ?? []).filter(
          ({ state }) => state === 'InUse',
        ).length;
      }
      // in the end all containers stop and agents see every change: the entries to be removed are gone
      cluster.used.clear();
      for (let at = 0; at < 3; at++) {
        cluster.perform({ kind: 'join', node: at });
        settle();
        cluster.perform({ kind: 'see', node: at });
        settle();
      }
      for (let rounds = 0; rounds < 3; rounds++) {
        cluster.speak();
        settle();
      }
      const going = cluster.networks.get('net')!.spec.subnets.filter((one) => one.removeWhenDrained === true);
      expect(cluster.removed()).toBe(going.length);
    }),
    { numRuns: 150 },
  );
  // proves that the case was tried
  expect(outcomes.removed).toBeGreaterThan(50);
  expect(outcomes.keptInUse).toBeGreaterThan(10);
});
