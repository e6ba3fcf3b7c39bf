import type { AgentAllocation, AgentAllocationSpec, LedgerIndex, OverlayNetwork } from '../api/types.ts';
import type { Certainty } from './certainty.ts';
import type { SpacePlan } from './demand.ts';
import { dropped, Renderer, sameSpec, Holdings, type Dropped, type HeldBlock } from './render.ts';
import { KeptPages } from './kept.ts';
import { ordinalOf } from './page.ts';
import { untoldNodes } from './quarantine.ts';
import { Standing, type Accepted, type Registrations } from './register.ts';
import { pageName, statedIndexes } from './space.ts';
import { hasUrgent, waits } from './urgent.ts';
import {
  asOf,
  spacesName,
  version,
  type Ledger,
  type NodeFacts,
  type Reads,
  type View,
  type Write,
} from './view.ts';
import { bridgesLabel } from '../api/labels.ts';

/**
 * How many AgentAllocations one plan updates, of nodes that wait and of the others each. More are not sent before the
 * next plan; a roll-out to thousands of nodes would make every plan long, and joins wait for plans.
 */
export const mostUpdates = 200;

/** A status that is about to be written is looked for again after so many milliseconds. */
const untoldMs = 500;

/** What is remembered of a node from plan to plan: as long as all of it and its blocks are the same, so is its AgentAllocation. */
interface Settled {
  object: AgentAllocation;
  addresses: readonly string[];
  further: readonly string[] | undefined;
  uid: string;
  bridges: string | undefined;
}

/** A node's own addresses. */
type Own = Pick<Accepted, 'addresses' | 'further'>;

/** What outlives one plan, so that the next does only what changed. */
export class Memory {
  readonly renderer = new Renderer();
  readonly holdings = new Holdings();
  readonly settled = new Map<string, Settled>();
  readonly standing = new Standing();
  readonly kept = new KeptPages();
  /** Everything that all nodes' specs follow from. */
  basis = '';

  /** Takes the ledger in, and forgets what was known of nodes that hold something else than before. */
  read(ledger: Ledger, index: LedgerIndex): Holdings {
    const changed = this.holdings.read(ledger, index);
    if (changed === 'all') this.settled.clear();
    else for (const node of changed) this.settled.delete(node);
    return this.holdings;
  }
}

export interface AllocationsInput {
  view: View;
  index: LedgerIndex;
  holdings: Holdings;
  networks: ReadonlyMap<string, OverlayNetwork>;
  registrations: Registrations;
  plans: readonly SpacePlan[];
  /** What is written before: where it is urgent, nodes that have what they need are not looked at yet. */
  writes: readonly Write[];
  /** Nothing that an AgentAllocation shows is taken away. */
  keepsAll: boolean;
  certain: Certainty;
  /** The node is gone, and that is believed. */
  isGone: (node: string) => boolean;
  reads: Reads;
}

/** Steps 1 and 3 of the protocol, and the ends of releases: what is to become of every AgentAllocation. */
export class Allocations {
  readonly #in: AllocationsInput;
  readonly #memory: Memory;
  readonly #writes: Write[] = [];
  readonly #withdraws = new Map<string, string[]>();
  readonly #touched = new Set<string>();
  /** Updates so far. */
  readonly #updates = { waiting: 0, others: 0 };
  /** Pages that cannot be believed. */
  readonly #unknown = new Set<string>();
  /** Nodes that are shown nothing else before OverlayConfig's status says which of their blocks are quarantined. */
  readonly #untold: ReadonlySet<string>;
  /** AgentAllocations of this or a lower version are written once more: a page recovers. */
  readonly #rewriteTo: number;

  constructor(input: AllocationsInput, memory: Memory) {
    this.#in = input;
    this.#memory = memory;
    for (const { releasing, touched } of input.plans) {
      for (const [node, marks] of releasing)
        this.#withdraws.set(node, [...(this.#withdraws.get(node) ?? []), ...marks]);
      for (const node of touched) this.#touched.add(node);
    }
    this.#untold = untoldNodes(input.view, input.index);
    for (const { listed } of input.plans)
      for (const { name, state } of listed) if (state !== 'good') this.#unknown.add(name);
    const recovering = input.plans.flatMap(({ listed }) =>
      listed.map(({ page }) => page.recovering?.version),
    );
    const rebuilt = Number(input.index.rebuilt?.version ?? 0);
    this.#rewriteTo = recovering.reduce((most, text) => Math.max(most, Number(text ?? 0)), rebuilt);
  }

  /** When to look whether the status has been written, in milliseconds since the epoch; Infinity: it need not be. */
  get wakeAt(): number {
    return this.#untold.size === 0 ? Infinity : this.#in.view.now + untoldMs;
  }

  plan(): Write[] {
    const { view } = this.#in;
    this.#startMemory();
    const others: NodeFacts[] = [];
    for (const node of view.nodes.values()) {
      const spec = view.allocations.get(node.name)?.spec;
      if (spec !== undefined && !waits(spec)) others.push(node);
      else this.#planNode(node);
    }
    if (hasUrgent([...this.#in.writes, ...this.#writes], view)) return this.#writes;
    for (const node of others) this.#planNode(node);
    for (const object of view.allocations.values()) {
      if (!view.nodes.has(object.metadata.name)) this.#planGone(object);
    }
    for (const [node, withdraws] of this.#withdraws)
      this.#writes.push({ kind: 'confirm-absent', node, withdraws });
    for (const agent of view.agents.values()) {
      const { name, deletionTimestamp } = agent.metadata;
      const goes = !view.nodes.has(name) && deletionTimestamp === undefined;
      if (goes && this.#in.isGone(name) && this.#in.certain.ofNode(name))
        this.#writes.push({ kind: 'delete-agent', node: name, over: agent });
    }
    this.#memory.renderer.forgetUnused();
    return this.#writes;
  }

  /** What all nodes share is compared once; where it changed, every node is looked at again. */
  #startMemory(): void {
    const { index, networks } = this.#in;
    const basis = JSON.stringify([
      index.config,
      index.spaces.map(({ cidr, prefix, network, retiredAt }) => [cidr, prefix, network, retiredAt]),
      [...networks.values()].map(({ metadata, spec }) => [metadata.name, spec.containerizers]),
      this.#rewriteTo,
    ]);
    const { settled } = this.#memory;
    if (basis !== this.#memory.basis) settled.clear();
    this.#memory.basis = basis;
    for (const node of settled.keys()) if (!this.#in.view.nodes.has(node)) settled.delete(node);
  }

  #take(node: string): string[] {
    const marks = this.#withdraws.get(node) ?? [];
    this.#withdraws.delete(node);
    return marks;
  }

  #planNode(node: NodeFacts): void {
    const withdraws = this.#take(node.name);
    // a block is neither shown nor taken away before the ledger says so
    if (this.#touched.has(node.name)) return;
    const { view, registrations } = this.#in;
    const object = view.allocations.get(node.name);
    const accepted = registrations.accepted.get(node.name);
    if (object !== undefined) {
      const { addresses, furtherAddresses: further } = object.spec;
      this.#planUpdate(node, object, accepted ?? { addresses, further }, withdraws);
      return;
    }
    const registers = view.agents.has(node.name) && !registrations.unread.has(node.name);
    if (registers && view.refusal(`create-allocation ${node.name}`) === undefined) {
      const spec = { revision: 1, nodeUID: node.uid, addresses: [...(accepted?.addresses ?? [])] };
      this.#writes.push({ kind: 'create-allocation', node: node.name, spec, withdraws });
    } else if (withdraws.length > 0)
      this.#writes.push({ kind: 'confirm-absent', node: node.name, withdraws });
  }

  #planUpdate(node: NodeFacts, object: AgentAllocation, own: Own, withdraws: string[]): void {
    const { holdings, index, networks } = this.#in;
    const { settled, renderer } = this.#memory;
    if (this.#untold.has(node.name)) return;
    const late = version(object) <= this.#rewriteTo;
    const quiet = withdraws.length === 0 && !late;
    if (quiet && this.#isSettled(node, object, own)) return;
    const kind = waits(object.spec) ? 'waiting' : 'others';
    if (this.#updates[kind] >= mostUpdates) return;
    const blocks = holdings.of(node.name);
    const spec = renderer.render(node, own, blocks, index.config, networks);
    if (quiet && sameSpec(object.spec, spec)) {
      const { uid, labels, name } = node;
      const { addresses, further } = own;
      settled.set(name, { object, addresses, further, uid, bridges: labels[bridgesLabel] });
      return;
    }
    const loses = dropped(object.spec, spec);
    if (!this.#mayShow(node.name, object, blocks, loses)) return;
    this.#update(object, spec, withdraws);
    // one that the API server refused holds back nobody
    if (this.#in.view.refusal(`update-allocation ${node.name}`) === undefined) this.#updates[kind]++;
  }

  #isSettled(
    { name, uid, labels }: NodeFacts,
    object: AgentAllocation,
    { addresses, further }: Own,
  ): boolean {
    const known = this.#memory.settled.get(name);
    return (
      known?.object === object &&
      known.addresses === addresses &&
      known.further === further &&
      known.uid === uid &&
      known.bridges === labels[bridgesLabel]
    );
  }

  /**
   * Step 3 needs a ledger read no earlier than the object it is written under, else a release in between is undone. What
   * the object loses may stand in the page of that block, or in an index that we have not seen.
   */
  #mayShow(node: string, object: AgentAllocation, blocks: readonly HeldBlock[], loses: Dropped): boolean {
    const { view, keepsAll, certain } = this.#in;
    const losesBlocks = loses.vtep || loses.subnets.length > 0;
    const gone = loses.subnets.map(({ network }) => network).filter((name) => !this.#in.networks.has(name));
    if (keepsAll && (losesBlocks || loses.bridges.length > 0)) return false;
    // no VTEP can be told before OverlayConfig is there again
    if (loses.vtep && this.#in.index.config === undefined) return false;
    const pages = new Set(blocks.map(({ page }) => page));
    if (losesBlocks) for (const name of [spacesName, ...this.#pagesOf(object.spec)]) pages.add(name);
    const needed = version(object);
    // a page that is lost, or not made yet, says nothing about the blocks in it
    if (losesBlocks && [...pages].some((name) => this.#unknown.has(name))) return false;
    const stale = [...pages].filter((name) => asOf(view.ledger, name) < needed);
    for (const name of stale) this.#need(name, needed);
    // a label or a containerizer that an old cache shows must not take bridges away
    const sure = [...gone, ...loses.bridges].map((network) => certain.ofNetwork(network));
    const doubtful = ![loses.bridges.length === 0 || certain.ofNode(node), ...sure].every(Boolean);
    return stale.length === 0 && !doubtful;
  }

  #need(name: string, at: number): void {
    const { ledger } = this.#in.reads;
    ledger.set(name, Math.max(at, ledger.get(name) ?? 0));
  }

  /** Pages in which the blocks that it shows are, by the index. */
  #pagesOf(spec: AgentAllocationSpec): string[] {
    const { index } = this.#in;
    return index.spaces.flatMap((space) =>
      statedIndexes(space, spec, index.config).flatMap((at) => {
        const number = space.pages[ordinalOf(at)];
        return number === undefined ? [] : [pageName(space, number)];
      }),
    );
  }

  #update(object: AgentAllocation, spec: Omit<AgentAllocationSpec, 'revision'>, withdraws: string[]): void {
    const node = object.metadata.name;
    const revision = object.spec.revision + 1;
    if (Number.isSafeInteger(revision)) {
      const next = { revision, ...spec };
      this.#writes.push({ kind: 'update-allocation', node, over: object, spec: next, withdraws });
      return;
    }
    // somebody wrote that by hand; the object is made again
    this.#writes.push({ kind: 'delete-allocation', node, over: object, withdraws });
  }

  /**
   * Of a node that is gone. First the marks, then the object: nobody may think it gone while the ledger still says Held.
   * It is emptied before it is deleted: agents can tell it from one that was lost, and one that a finalizer keeps is
   * still followed.
   */
  #planGone(object: AgentAllocation): void {
    const { metadata, spec } = object;
    const withdraws = this.#take(metadata.name);
    const { holdings, isGone, certain } = this.#in;
    if (this.#touched.has(metadata.name) || holdings.has(metadata.name)) return;
    if (!isGone(metadata.name) || !certain.ofNode(metadata.name)) return;
    const empty = spec.vtep === undefined && spec.networks === undefined && spec.addresses.length === 0;
    if (!empty || withdraws.length > 0)
      this.#update(object, { nodeUID: spec.nodeUID, addresses: [] }, withdraws);
    else if (metadata.deletionTimestamp === undefined)
      this.#writes.push({ kind: 'delete-allocation', node: metadata.name, over: object, withdraws });
  }
}
