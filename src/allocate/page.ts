import type { LedgerBlock, LedgerPage } from '../api/types.ts';
import type { Claimant, Demand, SpacePlan } from './demand.ts';
import type { Claim } from './reserved.ts';
import { inPage, markOf, pageSize, skewMs, type ListedPage } from './space.ts';

/** Draft of one page's new content. */
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

  /**
   * Whether the page's blocks count. A newly created page is empty, and gives out nothing before the index says `made`.
   */
  get usable(): boolean {
    return this.listed.state === 'good';
  }

  get isFull(): boolean {
    return this.page.blocks.length >= pageSize;
  }

  isFree(index: number): boolean {
    return this.usable && !this.#indexes.has(index);
  }

  isReserved(index: number): boolean {
    return this.page.blocks.some((block) => block.index === index && block.state === 'Reserved');
  }

  take(index: number): void {
    this.#indexes.add(index);
  }

  get #indexes(): Set<number> {
    this.#taken ??= new Set(this.page.blocks.map(({ index }) => index));
    return this.#taken;
  }

  /**
   * Keeps one Held block for each node that should have one, and marks the other Held blocks Releasing where that is
   * allowed.
   */
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
      if (block.state === 'Reserved') return this.#settleReserved(block, plan, demand);
      if (block.state !== 'Releasing' && block.state !== 'Cooling') return block;
      durable ??= new Map(this.listed.page.blocks.map(({ index, state }) => [index, state]));
      const heir = this.#heir(block, plan, demand);
      if (heir !== undefined) {
        plan.holders.add(heir.node);
        plan.touched.add(heir.node);
        return { ...to(block, 'Held', demand.now), node: heir.node, uid: heir.uid };
      }
      if (demand.mode === 'adopt') return block;
      // only a mark that the ledger already shows counts: the AgentAllocation must be written after it
      if (block.state === 'Releasing')
        return durable.get(block.index) === 'Releasing' ? this.#release(block, plan, demand) : block;
      return this.#cool(block, plan, demand);
    });
  }

  /**
   * Quarantines a block that the ledger names as another node's, because this node's agent says that it holds it as
   * well.
   */
  contest(index: number, node: string, now: number): void {
    this.#rewrite((block) =>
      block.index === index && block.state === 'Held' && block.node !== node
        ? to(block, 'Quarantined', now)
        : block,
    );
  }

  /** @param mac of a VTEP, where it does not follow from the index */
  hold(index: number, { node, uid }: Claimant, now: number, mac?: string): void {
    const since = new Date(now).toISOString();
    this.#put({ index, node, uid, state: 'Held', since, ...(mac === undefined ? {} : { mac }) });
  }

  reserve(claim: Claim, now: number): void {
    this.#put({
      index: claim.index,
      state: 'Reserved',
      since: new Date(now).toISOString(),
      ...keptFor(claim),
    });
  }

  /** In place of what was Reserved there. */
  #put(block: LedgerBlock): void {
    this.#indexes.add(block.index);
    const others = this.page.blocks.filter(({ index }) => index !== block.index);
    this.replace({ ...this.page, blocks: [...others, block].sort((a, b) => a.index - b.index) });
  }

  /** Marks these blocks Cooling if they are free, each under the name of a node that uses it. */
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
   * Quarantines a block, or ends its quarantine.
   * During a restore, a Held block is quarantined if the agent of another node says that it holds it as well. `contest`
   * quarantines blocks at other times. The block stays with the node that the ledger names, and no node gets it. It is
   * Held again once no other agent claims it.
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

  /**
   * The node that gets a block back without cooling: its last holder; during a restore also the only node whose agent
   * says that it holds it.
   */
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

  /** A reserved block becomes its node's once that is there, and is free once nothing reserves it any more. */
  #settleReserved(block: LedgerBlock, plan: SpacePlan, demand: Demand): LedgerBlock | undefined {
    if (demand.mode === 'adopt' || !demand.knowsReservations(this.listed.object)) return block;
    const claim = demand.reserved.byIndex.get(block.index);
    if (claim === undefined) {
      this.#taken?.delete(block.index);
      return undefined;
    }
    const heir = this.#reservedFor(claim, plan, demand);
    if (heir !== undefined) {
      plan.holders.add(heir.node);
      plan.touched.add(heir.node);
      const { index, mac } = claim;
      const { since } = to(block, 'Held', demand.now);
      const held: LedgerBlock = { index, node: heir.node, uid: heir.uid, state: 'Held', since };
      return mac === undefined ? held : { ...held, mac };
    }
    const kept = keptFor(claim);
    const same =
      block.uid === kept.uid &&
      block.node === kept.node &&
      block.reservation === kept.reservation &&
      block.mac === kept.mac;
    return same ? block : { index: block.index, state: 'Reserved', since: block.since, ...kept };
  }

  /** The claim's node, where it may have the block now. */
  #reservedFor(claim: Claim, plan: SpacePlan, demand: Demand): Claimant | undefined {
    const { index, node, mac } = claim;
    const claimant = demand.claimant(node);
    if (claimant?.standing !== 'ready' || demand.mode !== 'serve' || plan.holders.has(node)) return undefined;
    const may =
      index < demand.capacity &&
      (demand.shownTo(index) ?? node) === node &&
      // containers may have its addresses
      demand.statedBy(index).every((other) => other === node) &&
      demand.knowsReservations(this.listed.object, [node]) &&
      (mac === undefined || demand.mayHaveMAC(index));
    return may ? claimant : undefined;
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
    // the leader that wrote it had a clock that was ahead: do not wait for years
    if (since > demand.now + skewMs) return { ...block, since: new Date(demand.now).toISOString() };
    const freeAt = since + demand.cooldownMs;
    if (freeAt > demand.now) {
      plan.wakeAt = Math.min(plan.wakeAt, freeAt);
      return block;
    }
    // the block waits until its agent, and every other agent that held it, no longer says that it uses it
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

const keptFor = ({ name, uid, node, mac }: Claim) => ({
  node,
  uid,
  reservation: name,
  ...(mac === undefined ? {} : { mac }),
});

/** Index of the page within its space that holds a block. */
export const ordinalOf = (index: number): number => Math.floor(index / pageSize);

/** The block in its new state. Its time is always later than before, so two marks of a block are never equal. */
function to(block: LedgerBlock, state: LedgerBlock['state'], now: number): LedgerBlock {
  const before = Date.parse(block.since);
  const least = before <= now + skewMs ? before + (state === 'Releasing' ? 1 : 0) : now;
  return { ...block, state, since: new Date(Math.max(now, least)).toISOString() };
}
