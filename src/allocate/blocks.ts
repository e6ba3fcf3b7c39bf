import type { LedgerPage, LedgerSpace } from '../api/types.ts';
import { Holders, type Claimant, type Demand, type SpacePlan } from './demand.ts';
import { Draft, ordinalOf } from './page.ts';
import { listedPages, mostPages, pageSize } from './space.ts';
import { version, type Ledger } from './view.ts';

/**
 * Plans one space: what its pages should become.
 * A block goes from Held to Releasing, then, once the AgentAllocation is written, to Cooling. It is free when its time
 * is over and the node's agent no longer says that it uses it. A node that comes back gets its own marked blocks before
 * anything new.
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
  if (!retired && demand.mode === 'serve') reserve(drafts, demand, plan);
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

/**
 * The content of a page that is created: it is empty. One that replaces a lost page records from which resourceVersion
 * on writes are no longer late.
 */
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
    // the API server's data went back to an older state, and its versions count from a lower number
    draft.replace({ ...rest, recovering: { ...recovering, version: String(demand.knownAt) } });
    return;
  }
  const until = Math.min(Date.parse(recovering.since), demand.now) + demand.cooldownMs;
  if (until > demand.now) plan.wakeAt = Math.min(plan.wakeAt, until);
  else if (demand.allWrittenSince(Number(recovering.version))) {
    draft.replace(rest);
    // nodes may still use blocks that were Cooling, and the lost page held the record of it
    draft.rest(demand.touchedBy(), demand.now);
  }
}

/** Keeps what is reserved, before anything is given out, so that no other node gets it. */
function reserve(drafts: readonly Draft[], demand: Demand, plan: SpacePlan): void {
  let most = -1;
  for (const claim of demand.reserved.byIndex.values()) {
    const { index, node } = claim;
    if (index >= demand.capacity) continue;
    most = Math.max(most, index);
    const draft = drafts[ordinalOf(index)];
    // the content of a lost page is unknown until all agents have reported again
    if (draft?.isFree(index) !== true || draft.page.recovering !== undefined) continue;
    if ((demand.shownTo(index) ?? node) !== node || demand.statedBy(index).some((other) => other !== node))
      continue;
    draft.reserve(claim, demand.now);
  }
  needPages(plan, ordinalOf(most) + 1 - drafts.length, drafts);
}

/** Lists at least this many more pages. */
function needPages(plan: SpacePlan, count: number, drafts: readonly Draft[]): void {
  plan.pagesNeeded = Math.max(plan.pagesNeeded, Math.min(count, mostPages - drafts.length));
}

/**
 * Gives a block to every claimant that has none: the block that it already uses if that is free, otherwise the lowest
 * free one.
 */
function serve(drafts: readonly Draft[], demand: Demand, plan: SpacePlan): void {
  const isFree = (index: number, node: string) =>
    index < demand.capacity &&
    (drafts[ordinalOf(index)]?.isFree(index) === true || isYielded(index)) &&
    (demand.shownTo(index) ?? node) === node;
  // what nodes hold already comes before what is reserved
  const isYielded = (index: number) =>
    demand.mode === 'adopt' && drafts[ordinalOf(index)]?.isReserved(index) === true;
  const give = (index: number, claimant: Claimant, inTurn: boolean) => {
    const draft = drafts[ordinalOf(index)];
    // the node is not ready for the block: keep it, so that no node behind it gets it
    if (!inTurn) {
      draft?.take(index);
      return;
    }
    draft?.hold(index, claimant, demand.now, demand.macOf(claimant.node, index));
    plan.touched.add(claimant.node);
    plan.holders.add(claimant.node);
  };
  // it gets an unreserved block only because of an entry that still exists
  const isDoubted = (node: string) => {
    const draft = drafts[ordinalOf(demand.reserved.refused.get(node) ?? -1)];
    return draft !== undefined && !demand.knowsPage(draft.listed.name, node);
  };
  const waiting: Claimant[] = [];
  let most = -1;
  for (const claimant of demand.claimants) {
    if (plan.holders.has(claimant.node)) continue;
    const preferred = demand.preferred(claimant.node);
    if (preferred !== undefined && preferred < demand.capacity) most = Math.max(most, preferred);
    if (preferred === undefined || !isFree(preferred, claimant.node)) {
      // the ledger lost the fact that the block was this node's, and gave it to another
      const isContested = preferred !== undefined && demand.inUse(claimant.node, preferred);
      // give another block only once this one is known to be contested
      if (isContested && !demand.mayFree(claimant.node)) continue;
      if (isContested) drafts[ordinalOf(preferred)]?.contest(preferred, claimant.node, demand.now);
      // it waits for its reserved block
      if (!demand.reserved.byNode.has(claimant.node) && !isDoubted(claimant.node)) waiting.push(claimant);
    } else give(preferred, claimant, claimant.standing === 'ready');
  }
  // after a loss, the index must list every page in which a node holds a block
  if (demand.mode === 'adopt') needPages(plan, ordinalOf(most) + 1 - drafts.length, drafts);
  const refused = ({ listed }: Draft) => demand.isRefused(listed.name);
  // wait for pages that were just listed: serving from later pages first would break the order
  if (demand.mode !== 'serve' || drafts.some((draft) => !draft.usable && !refused(draft))) return;
  const next = demand.exclusive ? [] : waiting.filter(({ standing }) => standing !== 'later');
  const ready = next.filter(({ standing }) => standing === 'ready').map(({ node }) => node);
  if (ready.length > 0 && !demand.knowsReservations(undefined, ready)) return;
  const isOpen = (index: number, node: string) =>
    !demand.reserved.byIndex.has(index) && demand.mayHaveMAC(index) && isFree(index, node);
  serveNew(next, drafts, demand, plan, isOpen, give);
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
  // the blocks of a lost page are unknown until agents and AgentAllocations have named all of them
  const recovering = drafts.filter(({ page }) => page.recovering !== undefined);
  const closed = new Set(recovering.map(({ listed }) => listed.ordinal));
  // a further page would have to recover as well, so wait for blocks in the existing pages
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
  needPages(plan, more, drafts);
}
