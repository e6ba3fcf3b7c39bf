import type { LedgerBlock, LedgerPage } from '../api/types.ts';
import type { Claimant, Demand, SpacePlan } from './demand.ts';
import { inPage, markOf, pageSize, skewMs, type ListedPage } from './space.ts';

/** A page being rewritten. */
export class Draft {
  readonly listed: ListedPage;
  page: LedgerPage;
  changed: boolean;
  #taken: Set<number> | undefined;

  constructor(listed: ListedPage, retired: boolean) {
    this.listed = listed;
    this.page = listed.page;
    this.changed = false;
    if (!this.usable) return;
    if (this.page.blocks.some((block) => !inPage(this.page, block)))
      this.#rewrite((block) => (inPage(this.page, block) ? block : { ...block, state: 'Quarantined' }));
    if ((this.page.retired ?? false) !== retired) {
      const { retired: was, ...rest } = this.page;
      this.replace(retired ? { ...rest, retired } : rest);
    }
  }

  /** Its blocks count. A page that was just created is empty, and nothing is given out from it before the index says `made`. */
  get usable(): boolean {
    return this.listed.state === 'good';
  }

  get isFull(): boolean {
    return this.page.blocks.length >= pageSize;
  }

  isFree(index: number): boolean {
    return this.usable && !this.#indexes.has(index);
  }

  take(index: number): void {
    this.#indexes.add(index);
  }

  get #indexes(): Set<number> {
    this.#taken ??= new Set(this.page.blocks.map(({ index }) => index));
    return this.#taken;
  }

  /** What is Held and wanted stays, once a node; the rest is marked, where that is allowed. */
  keepHeld(plan: SpacePlan, demand: Demand): void {
    this.#rewrite((block) => {
      const settled = this.#settleQuarantine(block, demand);
      const held =
        settled.state === 'Held' || (settled.state === 'Quarantined' && inPage(this.page, settled));
      return held ? this.#keepOrMark(settled, plan, demand) : settled;
    });
  }

  ageOthers(plan: SpacePlan, demand: Demand): void {
    let durable: Map<number, LedgerBlock['state']> | undefined;
    this.#rewrite((block) => {
      if (block.state !== 'Releasing' && block.state !== 'Cooling') return block;
      durable ??= new Map(this.listed.page.blocks.map(({ index, state }) => [index, state]));
      const heir = this.#heir(block, plan, demand);
      if (heir !== undefined) {
        plan.holders.add(heir.node);
        plan.touched.add(heir.node);
        return { ...to(block, 'Held', demand.now), node: heir.node, uid: heir.uid };
      }
      if (demand.mode === 'adopt') return block;
      // only a mark that the ledger already shows counts: the write that withdraws must come after it
      if (block.state === 'Releasing')
        return durable.get(block.index) === 'Releasing' ? this.#release(block, plan, demand) : block;
      return this.#cool(block, plan, demand);
    });
  }

  /** Quarantines a block that is Held by another node than this, whose agent says that it holds it as well. */
  contest(index: number, node: string, now: number): void {
    this.#rewrite((block) =>
      block.index === index && block.state === 'Held' && block.node !== node
        ? to(block, 'Quarantined', now)
        : block,
    );
  }

  hold(index: number, { node, uid }: Claimant, now: number): void {
    const block: LedgerBlock = { index, node, uid, state: 'Held', since: new Date(now).toISOString() };
    this.#indexes.add(index);
    this.replace({ ...this.page, blocks: [...this.page.blocks, block].sort((a, b) => a.index - b.index) });
  }

  /** Has these blocks rest where they are free, each in the name of a node that uses it. */
  rest(nodes: ReadonlyMap<number, { name: string; uid: string }>, now: number): void {
    const since = new Date(now).toISOString();
    const blocks = [...nodes].flatMap(([index, { name, uid }]): LedgerBlock[] =>
      inPage(this.page, { index }) && !this.#indexes.has(index)
        ? [{ index, node: name, uid, state: 'Cooling', since }]
        : [],
    );
    const all = [...this.page.blocks, ...blocks].sort((a, b) => a.index - b.index);
    this.replace({ ...this.page, blocks: all });
  }

  replace(page: LedgerPage): void {
    this.page = page;
    this.changed = true;
  }

  #keepOrMark(block: LedgerBlock, plan: SpacePlan, demand: Demand): LedgerBlock {
    const claimant = demand.claimant(block.node);
    const wanted = claimant !== undefined && !plan.holders.has(block.node) && block.index < demand.capacity;
    if (wanted) {
      plan.holders.add(block.node);
      return block.uid === claimant.uid ? block : { ...block, uid: claimant.uid };
    }
    if (demand.mode === 'adopt' || !demand.mayRelease(block.node)) return block;
    plan.touched.add(block.node);
    return to(block, 'Releasing', demand.now);
  }

  /**
   * While lost words are collected, a block that another agent says it holds as well is quarantined, as is one that an
   * agent holds which comes for a new one (`contest`). It stays with the node that the ledger names, and is given to
   * nobody. It is Held again once no other says so.
   */
  #settleQuarantine(block: LedgerBlock, demand: Demand): LedgerBlock {
    if (!inPage(this.page, block)) return block;
    const suspicious = block.state === 'Held' && demand.mode === 'adopt';
    if (!suspicious && block.state !== 'Quarantined') return block;
    const others = demand.statedBy(block.index).filter((node) => node !== block.node);
    if (others.length > 0)
      return block.state === 'Quarantined' ? block : to(block, 'Quarantined', demand.now);
    return block.state === 'Quarantined' ? to(block, 'Held', demand.now) : block;
  }

  /** The node that gets a block back without a rest: its last one, or during a restore the only one whose agent reports to hold it. */
  #heir(block: LedgerBlock, plan: SpacePlan, demand: Demand): Claimant | undefined {
    const may = (claimant: Claimant | undefined) =>
      claimant !== undefined && !plan.holders.has(claimant.node) && block.index < demand.capacity;
    const own = demand.claimant(block.node);
    if (may(own)) return own;
    if (demand.mode !== 'adopt' || block.state !== 'Cooling') return undefined;
    const [first, ...more] = demand.statedBy(block.index);
    const heir = first === undefined || more.length > 0 ? undefined : demand.claimant(first);
    return may(heir) ? heir : undefined;
  }

  #release(block: LedgerBlock, plan: SpacePlan, demand: Demand): LedgerBlock {
    const mark = markOf(this.listed.name, block);
    if (demand.withdrawn.has(mark)) {
      plan.wakeAt = Math.min(plan.wakeAt, demand.now + demand.cooldownMs);
      return to(block, 'Cooling', demand.now);
    }
    plan.releasing.set(block.node, [...(plan.releasing.get(block.node) ?? []), mark]);
    return block;
  }

  #cool(block: LedgerBlock, plan: SpacePlan, demand: Demand): LedgerBlock | undefined {
    const since = Date.parse(block.since);
    // a leader whose clock was ahead must not keep it for years
    if (since > demand.now + skewMs) return { ...block, since: new Date(demand.now).toISOString() };
    const freeAt = since + demand.cooldownMs;
    if (freeAt > demand.now) {
      plan.wakeAt = Math.min(plan.wakeAt, freeAt);
      return block;
    }
    // its agent's next word is what it waits for, and that of an agent which held it as well
    const users = [block.node, ...demand.statedBy(block.index)];
    if (users.some((node) => demand.inUse(node, block.index)) || !demand.mayFree(block.node)) return block;
    this.#taken?.delete(block.index);
    return undefined;
  }

  #rewrite(change: (block: LedgerBlock) => LedgerBlock | undefined): void {
    if (!this.usable) return;
    const { blocks } = this.page;
    let next: LedgerBlock[] | undefined;
    for (let at = 0; at < blocks.length; at++) {
      const block = blocks[at];
      if (block === undefined) continue;
      const changed = change(block);
      if (changed === block) {
        next?.push(block);
        continue;
      }
      next ??= blocks.slice(0, at);
      if (changed !== undefined) next.push(changed);
    }
    if (next !== undefined) this.replace({ ...this.page, blocks: next });
  }
}

/** Index of the page within its space that holds a block. */
export const ordinalOf = (index: number): number => Math.floor(index / pageSize);

/** Every mark of a block is later than what came before it: two are never the same. */
function to(block: LedgerBlock, state: LedgerBlock['state'], now: number): LedgerBlock {
  const before = Date.parse(block.since);
  const least = before <= now + skewMs ? before + (state === 'Releasing' ? 1 : 0) : now;
  return { ...block, state, since: new Date(Math.max(now, least)).toISOString() };
}
