import { selects } from '../api/selector.ts';
import type {
  AllocationLedger,
  LedgerIndex,
  LedgerSpace,
  NetworkSubnet,
  OverlayNetwork,
} from '../api/types.ts';
import { MACs } from './macs.ts';
import { noClaims, type Reservations } from './reserved.ts';
import { planSpace } from './blocks.ts';
import type { Claimant, SpacePlan } from './demand.ts';
import type { Certainty } from './certainty.ts';
import type { Memory } from './allocations.ts';
import { allWrittenSince } from './evidence.ts';
import { Strays } from './strays.ts';
import { capacity, statedIndex, statedIndexes, touchedIndexes, vtepSpace } from './space.ts';
import { asOf, version, type NodeFacts, type Reads, type View } from './view.ts';

export interface SpacesInput {
  view: View;
  index: LedgerIndex;
  networks: ReadonlyMap<string, OverlayNetwork>;
  /** Accepted nodes, in the order in which they are served. */
  claimants: readonly Claimant[];
  /** The ledger takes over the blocks that agents hold. It gives out nothing new and takes nothing back. */
  adopting: boolean;
  memory: Memory;
  cooldownMs: number;
  reservations: Reservations;
  certain: Certainty;
  /** Whether the node is gone, and the plan believes it. Otherwise its blocks stay. */
  isGone: (node: string) => boolean;
  reads: Reads;
}

/** Plans every space, the VTEPs first: a node without a VTEP gets no block. */
export function planSpaces(input: SpacesInput): Map<LedgerSpace, SpacePlan> {
  const { index } = input;
  const plans = new Map<LedgerSpace, SpacePlan>();
  const asked = new Questions(input);
  let without: ReadonlySet<string> = new Set();
  for (const space of index.spaces) {
    if (space.cidr !== vtepSpace) continue;
    const plan = asked.plan(space, without);
    plans.set(space, plan);
    without = new Set(plan.exhausted);
  }
  for (const space of index.spaces)
    if (space.cidr !== vtepSpace) plans.set(space, asked.plan(space, without));
  return plans;
}

/** Whether the entry gives out no new blocks. Nodes keep those that they have. */
const givesNothing = (network: OverlayNetwork | undefined, entry: NetworkSubnet | undefined): boolean =>
  entry?.state === 'Draining' || network?.metadata.deletionTimestamp !== undefined;

/** Answers the planning of spaces: facts about nodes, from one view. */
class Questions {
  readonly #in: SpacesInput;
  readonly #byName: ReadonlyMap<string, Claimant>;
  readonly #knownAt: number;
  readonly #strays: Strays;
  readonly #macs: MACs;

  constructor(input: SpacesInput) {
    this.#in = input;
    this.#strays = new Strays(input.view, input.index.config, input.memory.settled);
    this.#macs = new MACs(input);
    this.#byName = new Map(input.claimants.map((claimant) => [claimant.node, claimant]));
    input.memory.kept.claim(this.#byName);
    const { view } = input;
    this.#knownAt = Math.max(view.ledger.readAt, view.allocationsAt, version(view.ledger.spaces));
  }

  plan(space: LedgerSpace, without: ReadonlySet<string>): SpacePlan {
    const { view, index, networks, adopting, cooldownMs, certain, isGone, reservations } = this.#in;
    const { kept, holdings } = this.#in.memory;
    const blocks = capacity(space, index.config);
    const isVtep = space.cidr === vtepSpace;
    const network = networks.get(space.network);
    const entry = network?.spec.subnets.find(({ cidr }) => cidr === space.cidr);
    const wants = this.#wants(space, network, without);
    const claimants = wants === undefined ? this.#in.claimants : this.#in.claimants.filter(wants);
    const stated = new Map<number, string[]>();
    let collected = false;
    return planSpace(view.ledger, space, {
      claimants,
      // if every node claims a block and nothing is taken over, a page that was checked once need not be checked again
      holders: (pages) =>
        wants === undefined && !adopting && pages.every((page) => kept.has(page, blocks))
          ? holdings.nodesOf(space.cidr, pages)
          : undefined,
      claimant: (node) => {
        const claimant = this.#byName.get(node);
        return claimant !== undefined && (wants === undefined || wants(claimant)) ? claimant : undefined;
      },
      mode: adopting ? 'adopt' : !isVtep && givesNothing(network, entry) ? 'keep' : 'serve',
      rebuilding: index.rebuilt !== undefined,
      capacity: blocks,
      now: view.now,
      cooldownMs,
      withdrawn: view.withdrawn,
      preferred: (node) => this.#preferred(space, node),
      shownTo: (at) => this.#strays.in(space).get(at),
      statedBy: (at) => {
        if (!collected) this.#collect(space, stated);
        collected = true;
        return stated.get(at) ?? [];
      },
      inUse: (node, at) => !isVtep && this.#states(space, node).includes(at),
      mayFree: (node) => isVtep || certain.ofAgent(node),
      mayRelease: (node) => {
        // if the network itself is the reason, the node's own state does not matter
        const ofNetwork = !isVtep && (space.retiredAt !== undefined || network?.spec.enabled !== true);
        const there = view.nodes.has(node) || isGone(node);
        return [
          isVtep || certain.ofNetwork(space.network),
          ofNetwork || (there && certain.ofNode(node)),
        ].every(Boolean);
      },
      isRefused: (page) => view.refusal(`write-page ${page}`) !== undefined,
      reserved: reservations.claims.get(space) ?? noClaims,
      exclusive: reservations.exclusive,
      knowsReservations: (page, nodes = []) => this.#knowsReservations(network, page, nodes),
      knowsPage: (page, node) => this.#knowsPage(page, version(view.allocations.get(node))),
      mayHaveMAC: (at) => !isVtep || this.#macs.mayHave(space, at),
      macOf: (node, at) => (isVtep ? this.#macs.of(node, at) : undefined),
      allWrittenSince: (at) => allWrittenSince(view, at, this.#in.reads),
      touchedBy: () => this.#touched(space),
      knownAt: this.#knownAt,
    });
  }

  #knowsPage(page: string, needed: number): boolean {
    const { view, reads } = this.#in;
    if (asOf(view.ledger, page) >= needed) return true;
    reads.ledger.set(page, Math.max(needed, reads.ledger.get(page) ?? 0));
    return false;
  }

  /** What came later than the reservations that are known may have been made with one in mind. */
  #knowsReservations(
    network: OverlayNetwork | undefined,
    page: AllocationLedger | undefined,
    nodes: readonly string[],
  ): boolean {
    const { view, reads } = this.#in;
    const come = nodes.map((node) => version(view.allocations.get(node)));
    const needed = Math.max(version(page), version(nodes.length > 0 ? network : undefined), ...come);
    if (view.reservationsAt >= needed) return true;
    reads.reservations = Math.max(reads.reservations, needed);
    return false;
  }

  /** Returns which nodes should have a block of the space. Undefined means all accepted nodes. */
  #wants(
    space: LedgerSpace,
    network: OverlayNetwork | undefined,
    without: ReadonlySet<string>,
  ): ((claimant: Claimant) => boolean) | undefined {
    if (space.retiredAt !== undefined) return () => false;
    if (space.cidr === vtepSpace) return undefined;
    if (network?.spec.enabled !== true) return () => false;
    const { nodeSelector } = network.spec;
    if (nodeSelector === undefined && without.size === 0) return undefined;
    const { nodes } = this.#in.view;
    return ({ node }) => !without.has(node) && selects(nodeSelector, nodes.get(node)?.labels);
  }

  /**
   * The block that the node's AgentAllocation shows, or that its agent says it holds. A ledger that lost the block
   * takes it over again.
   */
  #preferred(space: LedgerSpace, node: string): number | undefined {
    const { view, index } = this.#in;
    for (const spec of [view.allocations.get(node)?.spec, view.agents.get(node)?.spec]) {
      const at = spec && statedIndex(space, spec, index.config);
      if (at !== undefined) return at;
    }
    return undefined;
  }

  #states(space: LedgerSpace, node: string): number[] {
    const { view, index } = this.#in;
    const spec = view.agents.get(node)?.spec;
    return spec === undefined ? [] : statedIndexes(space, spec, index.config);
  }

  /**
   * Every block in which some agent says it has addresses, under any network's name, with one such node for each block.
   */
  #touched(space: LedgerSpace): Map<number, NodeFacts> {
    const touched = new Map<number, NodeFacts>();
    for (const [name, { spec }] of this.#in.view.agents) {
      const node = this.#in.view.nodes.get(name);
      if (node !== undefined) for (const at of touchedIndexes(space, spec)) touched.set(at, node);
    }
    return touched;
  }

  #collect(space: LedgerSpace, stated: Map<number, string[]>): void {
    for (const node of this.#in.view.agents.keys()) {
      if (!this.#in.view.nodes.has(node)) continue;
      for (const at of this.#states(space, node)) stated.set(at, [...(stated.get(at) ?? []), node]);
    }
  }
}
