import type { LedgerIndex, LedgerSpace, OverlayNetwork, PinnedConfig } from '../api/types.ts';
import { Allocations, type Memory } from './allocations.ts';
import type { Claimant, SpacePlan } from './blocks.ts';
import {
  configRefusal,
  cooldown,
  grown,
  hasIPv6,
  pinnable,
  settingsOf,
  takenSpaces,
  tunnelMTU,
  withVtepSpace,
} from './config.ts';
import { judgeDepartures, type DepartureVerdict } from './departures.ts';
import { judgeNetworks } from './networks.ts';
import { byAge } from './order.ts';
import { judgeRegistrations, type Registrations } from './register.ts';
import type { Holdings } from './render.ts';
import { remainsOf, repairedIndex } from './repair.ts';
import { judgeRestore, type RestoreVerdict } from './restore.ts';
import { listedPages, pageName, statedIndex } from './space.ts';
import { planSpaces } from './spaces.ts';
import {
  asOf,
  indexOf,
  spacesName,
  version,
  type NodeFacts,
  type Reads,
  type Refusal,
  type View,
  type Write,
} from './view.ts';

export { Memory } from './allocations.ts';

export interface Plan {
  /** Safe to do now, in any order among themselves. Plan again once they are done. */
  writes: Write[];
  /** What must be read before the rest can be planned. */
  reads: Reads;
  /** When something cools off, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
  /** For the conditions. */
  registrations: Registrations;
  refusedNetworks: Map<string, Refusal>;
  refusedConfig: Refusal | undefined;
  departures: DepartureVerdict;
  restore: RestoreVerdict;
  /** Bytes; undefined until an agent has registered. */
  mtu: number | undefined;
  /** Nodes that wait for a block of that space, and find none. */
  exhausted: { space: LedgerSpace; nodes: string[] }[];
}

/** The next writes toward every node holding what it should; empty when all is as it should be. */
export function plan(view: View, memory: Memory): Plan {
  return new Planner(view, memory).plan();
}

/** One plan being made, from the configuration to every node's allocation. */
class Planner {
  readonly #view: View;
  readonly #memory: Memory;
  readonly #index: LedgerIndex;
  readonly #cooldownMs: number;
  readonly #networks: ReadonlyMap<string, OverlayNetwork>;
  /** In the order in which they are served. */
  readonly #nodes: readonly NodeFacts[];
  readonly #holdings: Holdings;
  readonly #restore: RestoreVerdict;
  readonly #departures: DepartureVerdict;
  readonly #reads: Reads = {
    addresses: new Set(),
    ledger: new Map(),
    allocations: false,
    nodes: new Set(),
    networks: new Set(),
  };
  #nextPage: number;
  #wakeAt = Infinity;

  constructor(view: View, memory: Memory) {
    this.#view = view;
    this.#memory = memory;
    this.#index = repairedIndex(view);
    this.#nextPage = this.#index.nextPage;
    this.#cooldownMs = cooldown(view, this.#index);
    this.#nodes = [...view.nodes.values()].sort(byAge);
    this.#networks = new Map(
      view.networks.filter(({ metadata }) => !metadata.deletionTimestamp).map((n) => [n.metadata.name, n]),
    );
    this.#holdings = memory.holdings.read(view.ledger, this.#index);
    this.#restore = judgeRestore(view, this.#index);
    this.#departures = judgeDepartures(view, this.#index);
    for (const node of this.#departures.absent) this.#sureOfNode(node);
  }

  plan(): Plan {
    const view = this.#view;
    const index = this.#index;
    const refusedConfig = configRefusal(view, index);
    const wanted = view.config?.spec;
    const config =
      index.config === undefined
        ? refusedConfig === undefined && wanted !== undefined
          ? pinnable(wanted)
          : undefined
        : grown(index.config, view, refusedConfig);
    const registrations = this.#judgeRegistrations(config);
    const mtu = tunnelMTU(view, registrations, config, index);
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
    };
    if (view.config === undefined) {
      result.writes.push({ kind: 'create-config', spec: { ...index.config, ...index.settings } });
    }
    const pinned = index.config !== undefined || registrations.accepted.size > 0 ? config : undefined;
    const next = this.#nextIndex(spaces, pinned);
    // where the index as it should be was refused, everything else goes on from the one that is stored
    this.#fill(result, view.refusal('write-index') === undefined ? next : index);
    result.wakeAt = Math.min(this.#wakeAt, this.#departures.wakeAt);
    return result;
  }

  #judgeRegistrations(config: PinnedConfig | undefined): Registrations {
    const mtu = this.#view.config?.spec.mtu;
    const registrations = judgeRegistrations(
      this.#view,
      this.#nodes,
      { underlay: config?.underlay ?? 'IPv4', ...(mtu === undefined ? {} : { mtu }) },
      takenSpaces(this.#index, config),
      hasIPv6(this.#index),
      (node) => this.#holdings.has(node),
    );
    for (const node of registrations.unread) this.#reads.addresses.add(node);
    return registrations;
  }

  #judgeNetworks(registrations: Registrations, config: PinnedConfig | undefined, mtu: number | undefined) {
    const view = this.#view;
    const listed = new Set(
      this.#index.spaces.flatMap((space) => space.pages.map((number) => pageName(space, number))),
    );
    this.#remains = (space) => remainsOf(space, view, listed, config, () => this.#nextPage++);
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
      users: (space) =>
        [...view.agents].flatMap(([node, { spec }]) =>
          statedIndex(space, spec, this.#index.config) === undefined ? [] : [node],
        ),
      mtu,
      remains: this.#remains,
      mayRetire: (network) => !this.#restore.active && this.#sureOfNetwork(network),
    });
  }

  #remains: (space: LedgerSpace) => LedgerSpace = (space) => space;

  #nextIndex(spaces: LedgerSpace[], pinned: PinnedConfig | undefined): LedgerIndex {
    // keys stay in the order in which they are stored, so that what is the same has the same text
    const next: LedgerIndex = { ...this.#index };
    const settings = settingsOf(this.#view, next.settings);
    if (pinned !== undefined) next.config = pinned;
    if (settings !== undefined) next.settings = settings;
    const { restored } = this.#restore;
    if (restored !== undefined) next.restored = restored;
    const { departures } = this.#departures;
    if (departures === undefined) delete next.departures;
    else next.departures = departures;
    next.spaces = withVtepSpace(spaces, pinned, this.#remains);
    next.nextPage = this.#nextPage;
    return next;
  }

  /** Plans the spaces, then the pages or the index: pages and allocations follow from the index that is stored. */
  #fill(result: Plan, next: LedgerIndex): void {
    const view = this.#view;
    const plans = planSpaces({
      view,
      index: next,
      networks: this.#networks,
      claimants: this.#claimants(result.registrations),
      adopting: this.#restore.active,
      cooldownMs: this.#cooldownMs,
      sureOfNode: (node) => this.#sureOfNode(node),
      sureOfNetwork: (network) => this.#sureOfNetwork(network),
      isGone: (node) => this.#isGone(node),
      reads: this.#reads,
    });
    for (const [space, { exhausted, wakeAt }] of plans) {
      this.#wakeAt = Math.min(this.#wakeAt, wakeAt);
      if (exhausted.length > 0) result.exhausted.push({ space, nodes: exhausted });
    }
    const finished = { ...next, spaces: this.#finishSpaces(next.spaces, plans), nextPage: this.#nextPage };
    const stored = indexOf(view.ledger);
    const changes = view.ledger.spaces === undefined || JSON.stringify(finished) !== JSON.stringify(stored);
    if (changes && view.refusal('write-index') === undefined) {
      // that there is no index must be the API server's own word
      if (view.ledger.spaces === undefined && !view.ledger.fresh.has(spacesName))
        this.#reads.ledger.set(spacesName, 1);
      else result.writes.push({ kind: 'write-index', over: view.ledger.spaces, index: finished });
      return;
    }
    for (const { writes } of plans.values())
      for (const write of writes) result.writes.push({ kind: 'write-page', ...write });
    this.#dropUnlistedPages(result, next.spaces);
    const allocations = new Allocations(
      {
        view,
        index: next,
        holdings: this.#holdings,
        networks: this.#networks,
        registrations: result.registrations,
        plans: [...plans.values()],
        keepsAll: this.#restore.active,
        sureOfNode: (node) => this.#sureOfNode(node),
        sureOfNetwork: (network) => this.#sureOfNetwork(network),
        isGone: (node) => this.#isGone(node),
        reads: this.#reads,
      },
      this.#memory,
    );
    for (const write of allocations.plan()) result.writes.push(write);
  }

  #claimants({ accepted, unread }: Registrations): Claimant[] {
    const { allocations, agents, refusal } = this.#view;
    return this.#nodes.flatMap(({ name, uid }) => {
      if (!accepted.has(name)) return [];
      const comes =
        agents.has(name) && !unread.has(name) && refusal(`create-allocation ${name}`) === undefined;
      return [{ node: name, uid, standing: allocations.has(name) ? 'ready' : comes ? 'soon' : 'later' }];
    });
  }

  #sureOfNode(node: string): boolean {
    if (this.#view.asked.nodes.has(node)) return true;
    this.#reads.nodes.add(node);
    return false;
  }

  #sureOfNetwork(network: string): boolean {
    if (this.#view.asked.networks.has(network)) return true;
    this.#reads.networks.add(network);
    return false;
  }

  /** Its Node is gone, and that is believed. */
  #isGone(node: string): boolean {
    if (this.#view.nodes.has(node) || this.#restore.active) return false;
    return !this.#departures.disbelieved || this.#view.confirmedGone.has(node);
  }

  /**
   * Lists the pages that are needed, says which exist, lists others in place of lost ones, and forgets spaces whose blocks
   * have all cooled.
   */
  #finishSpaces(spaces: readonly LedgerSpace[], plans: ReadonlyMap<LedgerSpace, SpacePlan>): LedgerSpace[] {
    return spaces.flatMap((space) => {
      const known = this.#withPages(space, plans.get(space));
      if (known.retiredAt === undefined) return [known];
      const rests = listedPages(this.#view.ledger, known).some(
        ({ page, state }) =>
          state !== 'good' ||
          page.retired !== true ||
          page.blocks.length > 0 ||
          page.recovering !== undefined,
      );
      if (rests) return [known];
      const done = Date.parse(known.retiredAt) + this.#cooldownMs;
      if (done <= this.#view.now) return [];
      this.#wakeAt = Math.min(this.#wakeAt, done);
      return [known];
    });
  }

  #withPages(space: LedgerSpace, plan: SpacePlan | undefined): LedgerSpace {
    const listed = plan?.listed ?? [];
    const pages = [...space.pages];
    const recovering = new Set(space.recovering);
    for (const { name, number, ordinal, object, page, state } of listed) {
      if (state === 'good' && page.recovering === undefined) recovering.delete(number);
      if (state !== 'lost' || (object === undefined && !this.#isSurelyAbsent(name))) continue;
      recovering.delete(number);
      pages[ordinal] = this.#nextPage++;
      recovering.add(pages[ordinal]);
    }
    for (let needed = plan?.pagesNeeded ?? 0; needed > 0; needed--) {
      if (space.recovered === true) recovering.add(this.#nextPage);
      pages.push(this.#nextPage++);
    }
    const unmade = listed.findIndex(({ state }) => state === 'absent' || state === 'lost');
    const made = Math.max(space.made ?? 0, unmade === -1 ? listed.length : unmade);
    const same =
      made === (space.made ?? 0) &&
      String(pages) === String(space.pages) &&
      String([...recovering]) === String(space.recovering ?? []);
    if (same) return space;
    const { recovering: was, ...rest } = space;
    return {
      ...rest,
      pages,
      ...(made > 0 ? { made } : {}),
      ...(recovering.size > 0 ? { recovering: [...recovering] } : {}),
    };
  }

  /** A page that the index calls made, and that the API server has not, as of that index or later. */
  #isSurelyAbsent(name: string): boolean {
    const { ledger } = this.#view;
    const needed = version(ledger.spaces);
    if (asOf(ledger, name) >= needed) return true;
    this.#reads.ledger.set(name, needed);
    return false;
  }

  /** Tombstones, and what a late writer made empty. A page that holds blocks and is not listed is not understood. */
  #dropUnlistedPages(result: Plan, spaces: readonly LedgerSpace[]): void {
    const { ledger } = this.#view;
    const listed = new Set(spaces.flatMap((space) => space.pages.map((number) => pageName(space, number))));
    for (const [name, object] of ledger.pages) {
      const { page } = object.spec;
      const spent = page?.retired === true || page?.blocks.length === 0;
      if (listed.has(name) || !spent || object.metadata.deletionTimestamp !== undefined) continue;
      // an index that we have not seen yet may list it
      if (asOf(ledger, spacesName) < version(object)) this.#reads.ledger.set(spacesName, version(object));
      else result.writes.push({ kind: 'delete-page', name, over: object });
    }
  }
}
