import type { LedgerPage, LedgerSpace } from '../api/types.ts';
import { Holders, type Claimant, type Demand, type SpacePlan } from './demand.ts';
import { Draft, ordinalOf } from './page.ts';
import { listedPages, mostPages, pageSize } from './space.ts';
import { version, type Ledger } from './view.ts';

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
