import { selects } from '../api/selector.ts';
import type { LedgerIndex, LedgerSpace, OverlayNetwork } from '../api/types.ts';
import { planSpace } from './blocks.ts';
import type { Claimant, SpacePlan } from './demand.ts';
import type { Certainty } from './certainty.ts';
import type { Memory } from './allocations.ts';
import { allWrittenSince } from './evidence.ts';
import { Strays } from './strays.ts';
import { capacity, statedIndex, statedIndexes, touchedIndexes, vtepSpace } from './space.ts';
import { version, type NodeFacts, type Reads, type View } from './view.ts';

export interface SpacesInput {
  view: View;
  index: LedgerIndex;
  networks: ReadonlyMap<string, OverlayNetwork>;
  /** Accepted nodes, in the order in which they are served. */
  claimants: readonly Claimant[];
  /** What agents hold is taken up, nothing new is given, nothing is taken back. */
  adopting: boolean;
  memory: Memory;
  cooldownMs: number;
  certain: Certainty;
  /** Nothing is taken from a node that seems to be gone, unless that is believed. */
  isGone: (node: string) => boolean;
  reads: Reads;
}

/** Plans every space, the VTEPs first: a node for which there is none gets nothing else. */
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

/** What the spaces ask about nodes, answered from one view. */
class Questions {
  readonly #in: SpacesInput;
  readonly #byName: ReadonlyMap<string, Claimant>;
  readonly #knownAt: number;
  readonly #strays: Strays;

  constructor(input: SpacesInput) {
    this.#in = input;
    this.#strays = new Strays(input.view, input.index.config, input.memory.settled);
    this.#byName = new Map(input.claimants.map((claimant) => [claimant.node, claimant]));
    input.memory.kept.claim(this.#byName);
    const { view } = input;
    this.#knownAt = Math.max(view.ledger.readAt, view.allocationsAt, version(view.ledger.spaces));
  }

  plan(space: LedgerSpace, without: ReadonlySet<string>): SpacePlan {
    const { view, index, networks, adopting, cooldownMs, certain, isGone } = this.#in;
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
      // where all claim it, and nothing is collected, a page that was once looked at need not be again
      holders: (pages) =>
        wants === undefined && !adopting && pages.every((page) => kept.has(page, blocks))
          ? holdings.nodesOf(space.cidr, pages)
          : undefined,
      claimant: (node) => {
        const claimant = this.#byName.get(node);
        return claimant !== undefined && (wants === undefined || wants(claimant)) ? claimant : undefined;
      },
      mode: adopting ? 'adopt' : !isVtep && entry?.state === 'Draining' ? 'keep' : 'serve',
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
        // where the network alone is the reason, nothing about the node has to be known
        const ofNetwork = !isVtep && (space.retiredAt !== undefined || network?.spec.enabled !== true);
        const there = view.nodes.has(node) || isGone(node);
        return [
          isVtep || certain.ofNetwork(space.network),
          ofNetwork || (there && certain.ofNode(node)),
        ].every(Boolean);
      },
      isRefused: (page) => view.refusal(`write-page ${page}`) !== undefined,
      allWrittenSince: (at) => allWrittenSince(view, at, this.#in.reads),
      touchedBy: () => this.#touched(space),
      knownAt: this.#knownAt,
    });
  }

  /** undefined: every accepted node wants a block of it. */
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

  /** What the node's AgentAllocation shows, or what its agent says it holds: a ledger that lost it takes it up again. */
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

  /** Every block of which an agent says that it has addresses, whatever network it calls it by, and one such node. */
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
