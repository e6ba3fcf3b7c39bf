import type { AgentAllocation, AgentAllocationSpec, LedgerIndex, OverlayNetwork } from '../api/types.ts';
import type { Certainty } from './certainty.ts';
import type { SpacePlan } from './demand.ts';
import { dropped, Renderer, sameSpec, Holdings, type Dropped, type HeldBlock } from './render.ts';
import { KeptPages } from './kept.ts';
import { ordinalOf } from './page.ts';
import { unpublishedNodes } from './quarantine.ts';
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
 * The most AgentAllocations that one plan updates, separately for nodes that wait and for the others. More would make
 * each plan of a roll-out to thousands of nodes long, and nodes that join wait for plans.
 */
export const mostUpdates = 200;

/** How soon, in milliseconds, to look again whether a status has been written. */
const unpublishedMs = 500;

/**
 * Facts about a node that are kept between plans. While they and the node's blocks are the same, its AgentAllocation is
 * correct.
 */
interface Settled {
  object: AgentAllocation;
  addresses: readonly string[];
  further: readonly string[] | undefined;
  uid: string;
  bridges: string | undefined;
}

/** A node's own addresses. */
type Own = Pick<Accepted, 'addresses' | 'further'>;

/** State that is kept between plans, so that a plan works only on what changed. */
export class Memory {
  readonly renderer = new Renderer();
  readonly holdings = new Holdings();
  readonly settled = new Map<string, Settled>();
  readonly standing = new Standing();
  readonly kept = new KeptPages();
  /** The facts that are the same for all nodes' specs, as text. */
  basis = '';

  /** Reads the ledger, and forgets the nodes whose blocks changed. */
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
  /** Writes that were planned before these. If one of them is urgent, only nodes that wait are planned. */
  writes: readonly Write[];
  /** Whether AgentAllocations keep all that they show. */
  keepsAll: boolean;
  certain: Certainty;
  /** Whether the node is gone, and the plan believes it. */
  isGone: (node: string) => boolean;
  reads: Reads;
}

/** Plans every AgentAllocation: steps 1 and 3 of the protocol, and the end of each release. */
export class Allocations {
  readonly #in: AllocationsInput;
  readonly #memory: Memory;
  readonly #writes: Write[] = [];
  readonly #withdraws = new Map<string, string[]>();
  readonly #touched = new Set<string>();
  /** Number of updates in this plan so far. */
  readonly #updates = { waiting: 0, others: 0 };
  /** Pages that are lost or not made yet, so that they say nothing about their blocks. */
  readonly #unknown = new Set<string>();
  /** Nodes whose AgentAllocations must not change before OverlayConfig's status lists their quarantined blocks. */
  readonly #unpublished: ReadonlySet<string>;
  /** AgentAllocations with this resourceVersion or a lower one are written again, because a page recovers. */
  readonly #rewriteTo: number;

  constructor(input: AllocationsInput, memory: Memory) {
    this.#in = input;
    this.#memory = memory;
    for (const { releasing, touched } of input.plans) {
      for (const [node, marks] of releasing)
        this.#withdraws.set(node, [...(this.#withdraws.get(node) ?? []), ...marks]);
      for (const node of touched) this.#touched.add(node);
    }
    this.#unpublished = unpublishedNodes(input.view, input.index);
    for (const { listed } of input.plans)
      for (const { name, state } of listed) if (state !== 'good') this.#unknown.add(name);
    const recovering = input.plans.flatMap(({ listed }) =>
      listed.map(({ page }) => page.recovering?.version),
    );
    const rebuilt = Number(input.index.rebuilt?.version ?? 0);
    this.#rewriteTo = recovering.reduce((most, text) => Math.max(most, Number(text ?? 0)), rebuilt);
  }

  /** When to look again whether the status has been written, in milliseconds since the epoch; Infinity: never. */
  get wakeAt(): number {
    return this.#unpublished.size === 0 ? Infinity : this.#in.view.now + unpublishedMs;
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

  /** Compares the facts that are the same for all nodes. If they changed, all nodes are planned again. */
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
    // the ledger must say it before the AgentAllocation shows or drops a block
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
    if (this.#unpublished.has(node.name)) return;
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
    // an update that the API server refused does not count against the limit
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
   * Whether the ledger is known well enough to write this AgentAllocation.
   * Step 3 needs a ledger that was read no earlier than the AgentAllocation. Otherwise the write could undo a release
   * in between. A block that the object loses may be in its page, or in an index that this operator has not seen.
   */
  #mayShow(node: string, object: AgentAllocation, blocks: readonly HeldBlock[], loses: Dropped): boolean {
    const { view, keepsAll, certain } = this.#in;
    const losesBlocks = loses.vtep || loses.subnets.length > 0;
    const deleted = loses.subnets.map((one) => one.network).filter((name) => !this.#in.networks.has(name));
    if (keepsAll && (losesBlocks || loses.bridges.length > 0)) return false;
    // without OverlayConfig, the VTEP's address is unknown
    if (loses.vtep && this.#in.index.config === undefined) return false;
    const pages = new Set(blocks.map(({ page }) => page));
    if (losesBlocks) for (const name of [spacesName, ...this.#pagesOf(object.spec)]) pages.add(name);
    const needed = version(object);
    // a page that is lost or not made yet says nothing about its blocks
    if (losesBlocks && [...pages].some((name) => this.#unknown.has(name))) return false;
    const stale = [...pages].filter((name) => asOf(view.ledger, name) < needed);
    for (const name of stale) this.#need(name, needed);
    // bridges are taken away only if the API server itself confirms the label or containerizer: the cache may be old
    const sure = [...deleted, ...loses.bridges].map((network) => certain.ofNetwork(network));
    const doubtful = ![loses.bridges.length === 0 || certain.ofNode(node), ...sure].every(Boolean);
    return stale.length === 0 && !doubtful;
  }

  #need(name: string, at: number): void {
    const { ledger } = this.#in.reads;
    ledger.set(name, Math.max(at, ledger.get(name) ?? 0));
  }

  /** The pages that, by the index, have the blocks that an AgentAllocation shows. */
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
    // a person wrote the revision by hand: delete the object, so that it is made again
    this.#writes.push({ kind: 'delete-allocation', node, over: object, withdraws });
  }

  /**
   * Plans the end of the AgentAllocation of a node that is gone.
   * The ledger marks its blocks first: no operator may find the object absent while the ledger still says Held. The
   * object is emptied before it is deleted, so that agents can tell it from one that was lost, and so that they follow
   * one that a finalizer keeps.
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
