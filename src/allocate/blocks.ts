import type { LedgerBlock, LedgerPage, LedgerSpace } from '../api/types.ts';
import { blockKey, inPage, listedPages, pageSize, type ListedPage } from './space.ts';
import type { Ledger } from './view.ts';

/** A node that should hold a block of a space. */
export interface Claimant {
  node: string;
  uid: string;
  /** Step 1 is done: its AgentAllocation exists. Until then nobody after it is served, so that the order stays. */
  ready: boolean;
  /** The block that it or its AgentAllocation says it holds: taken where the ledger knows nothing of it. */
  preferred: () => number | undefined;
}

export interface Demand {
  /** In the order in which they are served. */
  claimants: readonly Claimant[];
  /** Draining: who holds a block keeps it, nobody gets one. */
  keepOnly?: boolean;
  /** Blocks in the space. */
  capacity: number;
  now: number;
  cooldownMs: number;
  withdrawn: ReadonlySet<string>;
  /** Whether the node's agent says it holds that block: containers may have its addresses, allocated or not. */
  inUse: (node: string, index: number) => boolean;
}

export interface SpacePlan {
  /** Pages whose content changes, or that are listed and absent. */
  writes: { name: string; page: LedgerPage }[];
  /** Pages to list before the rest can be served. */
  pagesNeeded: number;
  /** Nodes for which no block is left. */
  exhausted: string[];
  /** By node: its blocks that are marked Releasing in the ledger and still need the AgentAllocation's write. */
  releasing: Map<string, string[]>;
  /** Nodes of which a block is marked by these writes: their AgentAllocations wait for the mark. */
  marked: Set<string>;
  /** Nodes that hold a block once the writes are done. */
  holders: Set<string>;
  /** When the next cooling block is free, in milliseconds since the epoch. */
  wakeAt: number;
}

/**
 * One space: what its pages should become. Held → Releasing → (AgentAllocation written) → Cooling → free once the time
 * is over and the node's agent does not say that it is in use; a node that comes back gets what is still marked as its
 * own, before anything new.
 */
export function planSpace(ledger: Ledger, space: LedgerSpace, demand: Demand): SpacePlan {
  const retired = space.retiredAt !== undefined;
  const wanted = new Map(retired ? [] : demand.claimants.map((claimant) => [claimant.node, claimant]));
  const plan: SpacePlan = {
    writes: [],
    pagesNeeded: 0,
    exhausted: [],
    releasing: new Map(),
    marked: new Set(),
    holders: new Set(),
    wakeAt: Infinity,
  };
  const drafts = listedPages(ledger, space).map((listed) => new Draft(listed, retired));
  for (const draft of drafts) draft.keepHeld(wanted, plan, demand);
  for (const draft of drafts) draft.ageOthers(wanted, plan, demand);
  // a page is created empty, and used once a later read shows it listed: a late create gives nothing out
  const complete = drafts.every(({ listed }) => listed.object !== undefined);
  if (!retired && complete) serve(drafts, demand, plan);
  plan.writes = drafts
    .filter(({ changed }) => changed)
    .map(({ listed, page }) => ({ name: listed.name, page }));
  return plan;
}

/** Gives every claimant without a block the one that it holds already, where that is free, else the lowest free. */
function serve(drafts: readonly Draft[], demand: Demand, plan: SpacePlan): void {
  const room = Math.min(demand.capacity, drafts.length * pageSize);
  const draftOf = (index: number) => drafts[Math.floor(index / pageSize)];
  const isFree = (index: number) => index < room && draftOf(index)?.taken.has(index) === false;
  const give = (index: number, claimant: Claimant, inTurn: boolean) => {
    // out of turn its place is kept, and those behind it wait
    if (!inTurn) return draftOf(index)?.taken.add(index);
    draftOf(index)?.hold(index, claimant, demand.now);
    return plan.holders.add(claimant.node);
  };
  const adopted = new Set<string>();
  for (const claimant of demand.claimants) {
    const preferred = plan.holders.has(claimant.node) ? undefined : claimant.preferred();
    if (preferred === undefined || !isFree(preferred)) continue;
    adopted.add(claimant.node);
    give(preferred, claimant, claimant.ready);
  }
  if (demand.keepOnly === true) return;
  let lowest = 0;
  let inTurn = true;
  let short = 0;
  for (const claimant of demand.claimants) {
    if (plan.holders.has(claimant.node) || adopted.has(claimant.node)) continue;
    inTurn &&= claimant.ready;
    while (lowest < room && !isFree(lowest)) lowest++;
    if (lowest < room) give(lowest, claimant, inTurn);
    else if (room + ++short > demand.capacity) plan.exhausted.push(claimant.node);
  }
  plan.pagesNeeded = Math.ceil(Math.min(short, demand.capacity - room) / pageSize);
}

/** A page being rewritten. */
class Draft {
  readonly listed: ListedPage;
  page: LedgerPage;
  changed: boolean;
  readonly taken: Set<number>;

  constructor(listed: ListedPage, retired: boolean) {
    this.listed = listed;
    this.page = listed.page;
    this.taken = new Set(listed.page.blocks.map(({ index }) => index));
    this.changed = listed.object === undefined;
    if (!listed.understood) {
      for (let at = 0; at < pageSize; at++) this.taken.add(listed.ordinal * pageSize + at);
      return;
    }
    this.rewrite((block) => (inPage(this.page, block) ? block : to(block, 'Quarantined', 0)));
    if ((this.page.retired ?? false) !== retired) {
      const { retired: was, ...rest } = this.page;
      this.replace(retired ? { ...rest, retired } : rest);
    }
  }

  /** What is Held and wanted stays, once a node; the rest is marked. */
  keepHeld(wanted: ReadonlyMap<string, Claimant>, plan: SpacePlan, { now, capacity }: Demand): void {
    this.rewrite((block) => {
      if (block.state !== 'Held') return block;
      const claimant = wanted.get(block.node);
      if (claimant === undefined || plan.holders.has(block.node) || block.index >= capacity) {
        plan.marked.add(block.node);
        return to(block, 'Releasing', now);
      }
      plan.holders.add(block.node);
      return block.uid === claimant.uid ? block : { ...block, uid: claimant.uid };
    });
  }

  ageOthers(wanted: ReadonlyMap<string, Claimant>, plan: SpacePlan, demand: Demand): void {
    const durable = new Map(this.listed.page.blocks.map((block) => [block.index, block.state]));
    this.rewrite((block) => {
      if (block.state !== 'Releasing' && block.state !== 'Cooling') return block;
      const claimant = wanted.get(block.node);
      if (claimant !== undefined && !plan.holders.has(block.node) && block.index < demand.capacity) {
        plan.holders.add(block.node);
        return { ...to(block, 'Held', demand.now), uid: claimant.uid };
      }
      if (block.state === 'Releasing') {
        // only a mark that the ledger already shows counts: the write that withdraws must come after it
        if (durable.get(block.index) !== 'Releasing') return block;
        const key = blockKey(this.listed.name, block);
        if (demand.withdrawn.has(key)) {
          plan.wakeAt = Math.min(plan.wakeAt, demand.now + demand.cooldownMs);
          return to(block, 'Cooling', demand.now);
        }
        plan.releasing.set(block.node, [...(plan.releasing.get(block.node) ?? []), key]);
        return block;
      }
      const freeAt = Date.parse(block.since) + demand.cooldownMs;
      if (freeAt <= demand.now) {
        // its agent's next word is what it waits for
        if (demand.inUse(block.node, block.index)) return block;
        this.taken.delete(block.index);
        return undefined;
      }
      plan.wakeAt = Math.min(plan.wakeAt, freeAt);
      return block;
    });
  }

  hold(index: number, { node, uid }: Claimant, now: number): void {
    const block: LedgerBlock = { index, node, uid, state: 'Held', since: new Date(now).toISOString() };
    this.taken.add(index);
    this.replace({ ...this.page, blocks: [...this.page.blocks, block].sort((a, b) => a.index - b.index) });
  }

  private rewrite(change: (block: LedgerBlock) => LedgerBlock | undefined): void {
    if (!this.listed.understood) return;
    const blocks = this.page.blocks.map(change);
    if (blocks.some((block, at) => block !== this.page.blocks[at])) {
      this.replace({ ...this.page, blocks: blocks.filter((block) => block !== undefined) });
    }
  }

  private replace(page: LedgerPage): void {
    this.page = page;
    this.changed = true;
  }
}

const to = (block: LedgerBlock, state: LedgerBlock['state'], now: number): LedgerBlock => ({
  ...block,
  state,
  since: new Date(now).toISOString(),
});
