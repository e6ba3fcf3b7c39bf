import type { LedgerIndex, LedgerSpace, OverlayNetwork, PinnedConfig } from '../api/types.ts';
import { isLeaving, isWaiting } from '../api/inuse.ts';
import { Allocations, type Memory } from './allocations.ts';
import { Certainty } from './certainty.ts';
import type { SpacePlan } from './demand.ts';
import { configRefusal, cooldown, nodeSubnetsOf, pinnedNext, takenSpaces, withVtepSpace } from './config.ts';
import { drainOf } from './draining.ts';
import { judgeDepartures, type DepartureVerdict } from './departures.ts';
import { mtuRule, tunnelMTU } from './mtu.ts';
import { judgeNetworks } from './networks.ts';
import { nextIndex } from './nextindex.ts';
import { byAge } from './order.ts';
import { subnetsInForce } from './overlap.ts';
import { claimantsOf, judgeRegistrations, type Registrations, type Rules } from './register.ts';
import type { Holdings } from './render.ts';
import { judgeReservations, livingReservations } from './reservations.ts';
import { listedNames, remainsOf } from './forgotten.ts';
import { noReservations } from './reserved.ts';
import { repairedIndex } from './repair.ts';
import { judgeRestore, notRestored, type RestoreVerdict } from './restore.ts';
import { Listing, unlistedPages } from './listing.ts';
import { allWrittenSince } from './evidence.ts';
import { statedIndex } from './space.ts';
import type { Plan } from './planned.ts';
import { planSpaces } from './spaces.ts';
import { indexOf, keyOf, noReads, spacesName, type NodeFacts, type Reads, type View } from './view.ts';

export { Memory } from './allocations.ts';
export type { Plan } from './planned.ts';

/** How often, in milliseconds, the CRD is read again while a network waits for its deletion. */
const kindAgainMs = 5_000;

/** Plans the next writes that bring every node to what it should hold. There are none if nothing is to be done. */
export function plan(view: View, memory: Memory): Plan {
  return new Planner(view, memory).plan();
}

/** Makes one plan, from the configuration to every node's allocation. */
class Planner {
  readonly #view: View;
  readonly #memory: Memory;
  readonly #index: LedgerIndex;
  readonly #cooldownMs: number;
  readonly #networks: ReadonlyMap<string, OverlayNetwork>;
  /** In the order in which they get blocks. */
  readonly #nodes: readonly NodeFacts[];
  readonly #holdings: Holdings;
  readonly #certain: Certainty;
  #restore: RestoreVerdict = notRestored;
  readonly #departures: DepartureVerdict;
  readonly #reads: Reads = noReads();
  #nextPage: number;
  #wakeAt = Infinity;

  constructor(view: View, memory: Memory) {
    this.#view = view;
    this.#memory = memory;
    this.#index = repairedIndex(view, this.#reads);
    this.#nextPage = this.#index.nextPage;
    this.#cooldownMs = cooldown(view, this.#index);
    this.#nodes = [...view.nodes.values()].sort(byAge);
    this.#networks = new Map(
      view.networks.filter(({ metadata }) => !isLeaving(metadata)).map((n) => [n.metadata.name, n]),
    );
    this.#certain = new Certainty(view, this.#networks, this.#index, this.#reads);
    this.#holdings = memory.read(view.ledger, this.#index);
    this.#departures = judgeDepartures(view, this.#index);
    for (const node of this.#departures.absent) this.#certain.ofNode(node);
  }

  plan(): Plan {
    const view = this.#view;
    const index = this.#index;
    const refusedConfig = configRefusal(view, index);
    const config = pinnedNext(index.config, view, refusedConfig);
    const underlay = config?.underlay ?? 'IPv4';
    const rule = mtuRule(view, index, config?.vtepSubnets ?? []);
    const registrations = this.#judgeRegistrations(config, {
      underlay,
      mtu: rule,
      nodeSubnets: nodeSubnetsOf(view, index),
    });
    this.#restore = judgeRestore(view, index, registrations);
    const mtu = tunnelMTU(registrations, underlay, rule);
    const { spaces, refused } = this.#judgeNetworks(registrations, config, mtu);
    const result: Plan = {
      writes: [],
      reads: this.#reads,
      wakeAt: Infinity,
      registrations,
      refusedNetworks: refused,
      refusedConfig,
      departures: this.#departures,
      restore: this.#restore,
      mtu,
      exhausted: [],
      reservations: noReservations,
    };
    if (view.config === undefined) {
      // the settings of the last OverlayConfig come before those of `firstConfig`
      const last = index.settings ?? view.firstConfig;
      result.writes.push({ kind: 'create-config', spec: { ...last, ...index.config } });
    }
    const isPinned = index.config !== undefined || registrations.accepted.size > 0 || this.#reservesVTEPs;
    const pinned = isPinned ? config : undefined;
    const next = this.#nextIndex(spaces, pinned, mtu);
    // if the API server refused the new index, the plan goes on from the stored one
    this.#fill(result, this.#isIndexRefused ? index : next);
    result.wakeAt = Math.min(this.#wakeAt, this.#departures.wakeAt, this.#certain.wakeAt);
    // a network that is deleted with its CRD does not wait for its containers
    if (view.networks.some(({ metadata }) => isWaiting(metadata)))
      result.wakeAt = Math.min(result.wakeAt, view.now + kindAgainMs);
    return result;
  }

  /** VTEPs are given out, or kept, from subnets that are pinned. */
  get #reservesVTEPs(): boolean {
    return livingReservations(this.#view).some(({ spec }) => spec.vtep !== undefined);
  }

  get #isIndexRefused(): boolean {
    return this.#view.refusal('write-index') !== undefined;
  }

  /**
   * Whether the index, or a part of it, was lost and the API server refused the new one. A node may then hold a block
   * that neither of them lists.
   */
  get #isIndexLost(): boolean {
    return this.#isIndexRefused && this.#index.rebuilt !== indexOf(this.#view.ledger).rebuilt;
  }

  #judgeRegistrations(config: PinnedConfig | undefined, rules: Rules): Registrations {
    const basis = {
      view: this.#view,
      rules,
      taken: takenSpaces(this.#index, config),
      inForce: subnetsInForce(this.#index, config?.vtepSubnets ?? [], this.#view),
      holds: (node: string) => this.#holdings.has(node),
    };
    const registrations = judgeRegistrations(this.#nodes, basis, this.#memory.standing);
    for (const node of registrations.unread) this.#reads.addresses.add(node);
    return registrations;
  }

  #judgeNetworks(registrations: Registrations, config: PinnedConfig | undefined, mtu: number | undefined) {
    const view = this.#view;
    const listed = listedNames(this.#index.spaces);
    this.#remains = (space) => remainsOf(space, view, listed, () => this.#nextPage++);
    return judgeNetworks(view.networks, this.#index.spaces, {
      now: view.now,
      cooldownMs: this.#cooldownMs,
      vtepSubnets: config?.vtepSubnets ?? view.config?.spec.vtepSubnets ?? [],
      pinned: this.#index.config !== undefined,
      nodeAddresses: () =>
        new Map(
          [...registrations.accepted].flatMap(([node, { addresses }]) =>
            addresses.map((address): [string, string] => [address, node]),
          ),
        ),
      members: () => [...registrations.accepted.keys()].flatMap((node) => view.agents.get(node) ?? []),
      users: (space) =>
        [...view.agents].flatMap(([node, { spec }]) =>
          statedIndex(space, spec, this.#index.config) === undefined ? [] : [node],
        ),
      mtu,
      remains: this.#remains,
      mayRetire: (network) => !this.#restore.active && this.#certain.ofNetwork(network),
      isDrained: (network, { cidr }) =>
        !this.#departures.disbelieved &&
        !this.#departures.unsettled &&
        drainOf(network, cidr, view).state === 'Drained',
    });
  }

  #remains: (space: LedgerSpace) => LedgerSpace = (space) => space;

  #nextIndex(spaces: LedgerSpace[], pinned: PinnedConfig | undefined, mtu: number | undefined): LedgerIndex {
    const next = nextIndex(this.#index, {
      view: this.#view,
      pinned,
      mtu,
      restored: this.#restore.restored,
      departures: this.#departures.departures,
    });
    next.spaces = withVtepSpace(spaces, pinned, this.#remains);
    next.nextPage = this.#nextPage;
    if (this.#isWhole(next) && unlistedPages(this.#view, next, this.#reads, true).length === 0)
      delete next.rebuilt;
    return next;
  }

  /**
   * Whether a rebuilt index is complete: every AgentAllocation has been written since the loss, and the cooldown is
   * over.
   */
  #isWhole({ rebuilt }: LedgerIndex): boolean {
    if (rebuilt === undefined || this.#view.ledger.spaces === undefined) return false;
    const until = Date.parse(rebuilt.since) + this.#cooldownMs;
    if (until > this.#view.now) this.#wakeAt = Math.min(this.#wakeAt, until);
    return until <= this.#view.now && allWrittenSince(this.#view, Number(rebuilt.version), this.#reads);
  }

  /** Plans the spaces, then the index, or else pages and allocations: these follow from the stored index alone. */
  #fill(result: Plan, next: LedgerIndex): void {
    const view = this.#view;
    const { accepted } = result.registrations;
    const reservations = judgeReservations(view, next, this.#networks, accepted);
    result.reservations = reservations;
    this.#wakeAt = Math.min(this.#wakeAt, reservations.wakeAt);
    const plans = planSpaces({
      reservations,
      view,
      index: next,
      networks: this.#networks,
      claimants: claimantsOf(view, this.#nodes, result.registrations),
      adopting: this.#restore.active,
      memory: this.#memory,
      cooldownMs: this.#cooldownMs,
      certain: this.#certain,
      isGone: (node) => this.#isGone(node),
      reads: this.#reads,
    });
    for (const [space, { exhausted, wakeAt }] of plans) {
      this.#wakeAt = Math.min(this.#wakeAt, wakeAt);
      if (exhausted.length > 0) result.exhausted.push({ space, nodes: exhausted });
    }
    const finished = { ...next, ...this.#finish(next, plans) };
    const stored = indexOf(view.ledger);
    const changes = view.ledger.spaces === undefined || JSON.stringify(finished) !== JSON.stringify(stored);
    if (changes && !this.#isIndexRefused) {
      // the API server itself must have said that there is no index
      if (view.ledger.spaces === undefined && !view.ledger.fresh.has(spacesName))
        this.#reads.ledger.set(spacesName, 1);
      else result.writes.push({ kind: 'write-index', over: view.ledger.spaces, index: finished });
      return;
    }
    if (this.#isIndexLost) return;
    for (const { writes } of plans.values())
      for (const write of writes) result.writes.push({ kind: 'write-page', ...write });
    for (const write of unlistedPages(view, next, this.#reads, this.#isWhole(next)))
      result.writes.push(write);
    const allocations = new Allocations(
      {
        view,
        index: next,
        holdings: this.#holdings,
        networks: this.#networks,
        registrations: result.registrations,
        plans: [...plans.values()],
        writes: result.writes,
        keepsAll: this.#restore.active,
        certain: this.#certain,
        isGone: (node) => this.#isGone(node),
        reads: this.#reads,
      },
      this.#memory,
    );
    for (const write of allocations.plan()) result.writes.push(write);
    this.#wakeAt = Math.min(this.#wakeAt, allocations.wakeAt);
    // a node that waits for the status has not been shown its blocks yet
    if (allocations.wakeAt === Infinity) this.#endRestore(result, next);
  }

  /** Ends a restore. From then on agents trust their AgentAllocations, so these must show everything first. */
  #endRestore({ writes }: Plan, next: LedgerIndex): void {
    const { ending: restored } = this.#restore;
    const { ledger, refusal } = this.#view;
    const { addresses, nodes, networks } = this.#reads;
    const open = writes.filter((write) => refusal(keyOf(write)) === undefined);
    const rests = open.length + this.#reads.ledger.size + addresses.size + nodes.size + networks.size > 0;
    if (restored !== undefined && !rests)
      writes.push({ kind: 'write-index', over: ledger.spaces, index: { ...next, restored } });
  }

  /** Whether the node's Node object is gone, and the plan believes it. */
  #isGone(node: string): boolean {
    if (this.#view.nodes.has(node) || this.#restore.active) return false;
    const { disbelieved, unsettled } = this.#departures;
    return (!disbelieved && !unsettled) || this.#view.confirmedGone.has(node);
  }

  #finish(
    next: LedgerIndex,
    plans: ReadonlyMap<LedgerSpace, SpacePlan>,
  ): Pick<LedgerIndex, 'spaces' | 'nextPage'> {
    const listing = new Listing(
      this.#view,
      { ...next, nextPage: this.#nextPage },
      this.#cooldownMs,
      this.#reads,
    );
    const spaces = next.spaces.flatMap((space) => listing.finish(space, plans.get(space)));
    this.#wakeAt = Math.min(this.#wakeAt, listing.wakeAt);
    return { spaces, nextPage: listing.nextPage };
  }
}
