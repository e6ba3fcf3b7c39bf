import type { AllocationLedger, LedgerPage, LedgerSpace } from '../api/types.ts';
import { Draft, ordinalOf } from './page.ts';
import { listedPages, mostPages, pageSize, type ListedPage } from './space.ts';
import { version, type Ledger } from './view.ts';

/** A node that may hold blocks. */
export interface Claimant {
  node: string;
  uid: string;
  /**
   * `ready`: its AgentAllocation exists. `soon`: it is about to be created, and until then no block is given to those
   * that come after, so that the order stays. `later`: it keeps what it holds and gets nothing new, as long as its agent
   * does not register.
   */
  standing: 'ready' | 'soon' | 'later';
}

export interface Demand {
  /** Those that should hold a block, in the order in which they are served. */
  claimants: readonly Claimant[];
  /** The nodes in these pages, where each page stays as it is; undefined: each block has to be looked at. */
  holders: (pages: readonly LedgerPage[]) => ReadonlyMap<string, unknown> | undefined;
  /** The node's claim on this space, where it has one. */
  claimant: (node: string) => Claimant | undefined;
  /**
   * `serve`: everyone gets a block. `keep`: what is held stays, nothing is given out. `adopt`: besides that, what agents
   * say they hold is taken up, and nothing is taken back.
   */
  mode: 'serve' | 'keep' | 'adopt';
  /** The index is being rebuilt: a page that is listed now gives out nothing for a while. */
  rebuilding: boolean;
  /** Blocks in the space. */
  capacity: number;
  now: number;
  cooldownMs: number;
  withdrawn: ReadonlySet<string>;
  /** The block that the node's AgentAllocation or its agent says it holds: taken where the ledger knows nothing of it. */
  preferred: (node: string) => number | undefined;
  /** The node whose AgentAllocation shows that block, although the ledger has it as free. */
  shownTo: (index: number) => string | undefined;
  /** Nodes whose agents say that they hold that block. */
  statedBy: (index: number) => readonly string[];
  /** Whether the node's agent says it holds that block: containers may have its addresses, allocated or not. */
  inUse: (node: string, index: number) => boolean;
  /** Whether the API server itself has said what a block of the node is taken back for. */
  mayRelease: (node: string) => boolean;
  /** Whether the API server itself has said what the node's agent uses: a block of it is about to be free. */
  mayFree: (node: string) => boolean;
  /** A page whose write was refused in this run. */
  isRefused: (page: string) => boolean;
  /** Whether every AgentAllocation was written after that resourceVersion. */
  allWrittenSince: (version: number) => boolean;
  /** Blocks of which agents say that they have addresses, and one such node each. */
  touchedBy: () => ReadonlyMap<number, { name: string; uid: string }>;
  /** The highest resourceVersion known. */
  knownAt: number;
}

export interface PageWrite {
  name: string;
  over: AllocationLedger | undefined;
  page: LedgerPage;
}

export interface SpacePlan {
  listed: readonly ListedPage[];
  /** Pages whose content changes, or that are listed and absent. */
  writes: PageWrite[];
  /** Pages to list before the rest can be served. */
  pagesNeeded: number;
  /** Nodes for which no block is left. */
  exhausted: string[];
  /** By node: the marks of its Releasing blocks that still need the AgentAllocation's write. */
  releasing: Map<string, string[]>;
  /** Nodes of which these writes take up, give or mark a block: their AgentAllocations wait until the ledger shows it. */
  touched: Set<string>;
  /** Claimants that hold a block once the writes are done. */
  holders: Holders;
  /** When the next cooling block is free, in milliseconds since the epoch. */
  wakeAt: number;
}

/** Names of nodes: those of the pages that stay as they are, and more. */
class Holders {
  readonly #kept: ReadonlyMap<string, unknown>;
  readonly #more = new Set<string>();

  constructor(kept: ReadonlyMap<string, unknown> | undefined) {
    this.#kept = kept ?? new Map();
  }

  get size(): number {
    return this.#kept.size + this.#more.size;
  }

  has(node: string): boolean {
    return this.#kept.has(node) || this.#more.has(node);
  }

  add(node: string): void {
    if (!this.#kept.has(node)) this.#more.add(node);
  }
}

/**
 * One space: what its pages should become. Held → Releasing → (AgentAllocation written) → Cooling → free once the time
 * is over and the node's agent does not say that it is in use; a node that comes back gets what is still marked as its
 * own, before anything new.
 */
export function planSpace(ledger: Ledger, space: LedgerSpace, demand: Demand): SpacePlan {
  const retired = space.retiredAt !== undefined;
  const listed = listedPages(ledger, space);
  const drafts = listed.map((page) => new Draft(page, retired));
  const isWhole = drafts.every(({ usable, changed }) => usable && !changed);
  const kept = isWhole ? demand.holders(listed.map(({ page }) => page)) : undefined;
  const plan: SpacePlan = {
    listed,
    writes: [],
    pagesNeeded: 0,
    exhausted: [],
    releasing: new Map(),
    touched: new Set(),
    holders: new Holders(kept),
    wakeAt: Infinity,
  };
  if (kept === undefined) {
    for (const draft of drafts) draft.keepHeld(plan, demand);
    for (const draft of drafts) draft.ageOthers(plan, demand);
  }
  if (!retired && plan.holders.size < demand.claimants.length) serve(drafts, demand, plan);
  for (const draft of drafts) recover(draft, plan, demand);
  for (const draft of drafts) {
    const { name, object, page, state } = draft.listed;
    if (state === 'absent')
      plan.writes.push({ name, over: undefined, page: born(page, space, retired, draft, ledger, demand) });
    else if (draft.changed && object !== undefined)
      plan.writes.push({ name, over: object, page: draft.page });
  }
  return plan;
}

/** A page is created empty; one in place of a lost one says from which version on late writes no longer count. */
function born(
  page: LedgerPage,
  { recovering = [] }: LedgerSpace,
  retired: boolean,
  { listed }: Draft,
  ledger: Ledger,
  { now }: Demand,
): LedgerPage {
  const since = new Date(now).toISOString();
  return {
    ...page,
    ...(retired ? { retired } : {}),
    ...(recovering.includes(listed.number)
      ? { recovering: { version: String(version(ledger.spaces)), since } }
      : {}),
  };
}

/** Ends a page's recovery, or says when to look again. */
function recover(draft: Draft, plan: SpacePlan, demand: Demand): void {
  const { recovering, ...rest } = draft.page;
  if (!draft.usable || recovering === undefined || draft.changed) return;
  if (Number(recovering.version) > demand.knownAt) {
    // the API server's data went back, and counts from a lower version again
    draft.replace({ ...rest, recovering: { ...recovering, version: String(demand.knownAt) } });
    return;
  }
  const until = Math.min(Date.parse(recovering.since), demand.now) + demand.cooldownMs;
  if (until > demand.now) plan.wakeAt = Math.min(plan.wakeAt, until);
  else if (demand.allWrittenSince(Number(recovering.version))) {
    draft.replace(rest);
    // what a node uses beyond what it should hold was resting, and the record of it is lost
    draft.rest(demand.touchedBy(), demand.now);
  }
}

/** Gives every claimant without a block the one that it holds already, where that is free, else the lowest free. */
function serve(drafts: readonly Draft[], demand: Demand, plan: SpacePlan): void {
  const isFree = (index: number, node: string) =>
    index < demand.capacity &&
    drafts[ordinalOf(index)]?.isFree(index) === true &&
    (demand.shownTo(index) ?? node) === node;
  const give = (index: number, claimant: Claimant, inTurn: boolean) => {
    const draft = drafts[ordinalOf(index)];
    // out of turn its place is kept, and those behind it wait
    if (!inTurn) {
      draft?.take(index);
      return;
    }
    draft?.hold(index, claimant, demand.now);
    plan.touched.add(claimant.node);
    plan.holders.add(claimant.node);
  };
  const waiting: Claimant[] = [];
  let most = -1;
  for (const claimant of demand.claimants) {
    if (plan.holders.has(claimant.node)) continue;
    const preferred = demand.preferred(claimant.node);
    if (preferred !== undefined && preferred < demand.capacity) most = Math.max(most, preferred);
    if (preferred === undefined || !isFree(preferred, claimant.node)) {
      // the ledger forgot that it was this node's, and gave it away
      const isContested = preferred !== undefined && demand.inUse(claimant.node, preferred);
      // another block takes its place only once this one is known to be contested
      if (isContested && !demand.mayFree(claimant.node)) continue;
      if (isContested) drafts[ordinalOf(preferred)]?.contest(preferred, claimant.node, demand.now);
      waiting.push(claimant);
    } else give(preferred, claimant, claimant.standing === 'ready');
  }
  // of a lost ledger all pages are needed in which somebody holds a block
  if (demand.mode === 'adopt') plan.pagesNeeded = Math.max(0, ordinalOf(most) + 1 - drafts.length);
  const refused = ({ listed }: Draft) => demand.isRefused(listed.name);
  // a page that was just listed serves in a moment; the order would be lost if later ones served before it
  if (demand.mode !== 'serve' || drafts.some((draft) => !draft.usable && !refused(draft))) return;
  serveNew(
    waiting.filter(({ standing }) => standing !== 'later'),
    drafts,
    demand,
    plan,
    isFree,
    give,
  );
}

function serveNew(
  waiting: readonly Claimant[],
  drafts: readonly Draft[],
  { capacity, rebuilding }: Demand,
  plan: SpacePlan,
  isFree: (index: number, node: string) => boolean,
  give: (index: number, claimant: Claimant, inTurn: boolean) => void,
): void {
  const room = Math.min(capacity, drafts.length * pageSize);
  // what a lost page held is not known before all of it was said again
  const recovering = drafts.filter(({ page }) => page.recovering !== undefined);
  const closed = new Set(recovering.map(({ listed }) => listed.ordinal));
  // while each page more would have to recover as well, what will be free in these is waited for
  const later = (rebuilding ? recovering : []).reduce(
    (sum, { page }) => sum + Math.max(0, Math.min(pageSize, capacity - page.first) - page.blocks.length),
    0,
  );
  let lowest = 0;
  let inTurn = true;
  let short = 0;
  for (const claimant of waiting) {
    inTurn &&= claimant.standing === 'ready';
    while (lowest < room && (closed.has(ordinalOf(lowest)) || !isFree(lowest, claimant.node)))
      lowest += drafts[ordinalOf(lowest)]?.isFull === true ? pageSize - (lowest % pageSize) : 1;
    if (lowest < room) give(lowest, claimant, inTurn);
    else if (room + ++short > capacity + later) plan.exhausted.push(claimant.node);
  }
  const more = Math.ceil(Math.min(Math.max(0, short - later), capacity - room) / pageSize);
  plan.pagesNeeded = Math.min(more, mostPages - drafts.length);
}
