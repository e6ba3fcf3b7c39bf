import type { AgentAllocation, AllocationLedger, OverlayAgent } from '../../../src/api/types.ts';
import { overlap, rangeOf, shownBlocks } from './blocks.ts';
import { markIn, type Change } from './history.ts';
import { LedgerHistory, type Turn } from './ledger.ts';

/** A rule that the history breaks. */
export interface Violation {
  rule: 'overlap' | 'not its own' | 'freed in use' | 'taken away' | 'not converged' | 'ended';
  revision: number;
  what: string;
  /** The previous changes of the block. */
  story: string[];
}

/** The harness writes this word when the cluster is at rest. From then on, no manual change excuses a violation. */
export const atRest = 'at rest';

/**
 * Reads the history change by change and checks each revision: AgentAllocations do not overlap; each contains only
 * blocks that the ledger gives to its node; and a block is not freed while an AgentAllocation contains it, or an agent
 * reports it in use.
 */
export class Judge {
  readonly violations: Violation[] = [];
  /** Number of changes that were read, including other keys. */
  read = 0;
  revision = 0;
  readonly #ledger = new LedgerHistory();
  /** Blocks in AgentAllocations, by node. */
  readonly #shown = new Map<string, Set<string>>();
  /** Blocks that agents report in use, if these were in their AgentAllocations when first reported. */
  readonly #used = new Map<string, Set<string>>();
  /** Blocks that a person removed from the ledger, and that it does not yet contain again. */
  readonly #excused = new Map<string, Set<string>>();
  /** Nodes that have a right to all blocks in their AgentAllocations. */
  readonly #kept = new Set<string>();
  readonly #stories = new Map<string, string[]>();

  /** From now on, these nodes must keep the blocks in their AgentAllocations. */
  keep(nodes: Iterable<string>): void {
    for (const node of nodes) this.#kept.add(node);
  }

  take(change: Change): void {
    this.read++;
    this.revision = change.revision;
    if (markIn(change) === atRest) this.#rest();
    const [, kind = '', name = ''] = /^\/registry\/overlaynet\.dev\/([^/]+)\/(.+)$/.exec(change.key) ?? [];
    if (kind === 'agentallocations') this.#show(name, change.object as AgentAllocation | undefined);
    if (kind === 'allocationledgers')
      this.#turn(this.#ledger.take(name, change.object as AllocationLedger | undefined));
    if (kind === 'overlayagents') this.#use(name, change.object as OverlayAgent | undefined);
  }

  #show(node: string, object: AgentAllocation | undefined): void {
    const before = this.#shown.get(node) ?? new Set<string>();
    const now = new Set(object === undefined ? [] : shownBlocks(object.spec));
    this.#shown.set(node, now);
    for (const block of before) {
      if (now.has(block)) continue;
      this.#tell(block, `${node} no longer shows it`);
      if (this.#kept.has(node))
        this.#violate('taken away', block, `${node} is no longer shown ${block}, to which it has a right`);
    }
    for (const block of now) {
      if (before.has(block)) continue;
      this.#tell(block, `${node} shows it`);
      for (const [other, theirs] of this.#shown)
        if (other !== node) this.#compare(node, block, other, theirs);
      this.#mustOwn(node, block);
    }
  }

  #compare(node: string, block: string, other: string, theirs: ReadonlySet<string>): void {
    const range = rangeOf(block);
    for (const one of theirs) {
      const second = rangeOf(one);
      const same = range === undefined || second === undefined ? one === block : overlap(range, second);
      if (same)
        this.#violate('overlap', block, `${node} is shown ${block} while ${other} is shown ${one}`, one);
    }
  }

  #mustOwn(node: string, block: string): void {
    if (this.#ledger.owns(node, block)) {
      this.#excused.get(node)?.delete(block);
      return;
    }
    if (this.#shown.get(node)?.has(block) !== true || this.#excused.get(node)?.has(block) === true) return;
    const says = this.#ledger.entries(block).map((entry) => `${entry.state} by ${entry.node}`);
    this.#violate(
      'not its own',
      block,
      `${node} is shown ${block}, of which the ledger says: ${says.join(', ') || 'nothing'}`,
    );
  }

  #turn(turns: readonly Turn[]): void {
    for (const { block, before, after, byHand } of turns) {
      const words = after === undefined ? 'gone from the ledger' : `${after.state} by ${after.node}`;
      this.#tell(block, byHand ? `${words}, by hand` : words);
      if (byHand && before !== undefined) this.#excuse(before.node, block);
    }
    for (const { block, before, after, byHand } of turns) {
      for (const node of new Set([before?.node, after?.node]))
        if (node !== undefined) this.#mustOwn(node, block);
      if (byHand) continue;
      if (before !== undefined && before.node !== after?.node)
        this.#mustBeUnused(block, before.node, 'freed');
      if (after?.state === 'Held' && before?.node !== after.node) {
        for (const node of this.#used.keys())
          if (node !== after.node) this.#mustBeUnused(block, node, `given to ${after.node}`);
      }
    }
  }

  #excuse(node: string, block: string): void {
    this.#excused.set(node, (this.#excused.get(node) ?? new Set()).add(block));
  }

  #mustBeUnused(block: string, node: string, how: string): void {
    if (this.#used.get(node)?.has(block) !== true) return;
    this.#violate('freed in use', block, `${block} is ${how} while ${node} says that it uses it`);
  }

  #use(node: string, object: OverlayAgent | undefined): void {
    const before = this.#used.get(node) ?? new Set<string>();
    const shown = this.#shown.get(node);
    const says = (object?.spec.networks ?? []).flatMap(({ subnets }) => subnets);
    // a block that an agent first reports after its withdrawal was reported too late
    const now = new Set(says.filter((block) => before.has(block) || shown?.has(block) === true));
    for (const block of now) if (!before.has(block)) this.#tell(block, `${node} says that it uses it`);
    for (const block of before)
      if (!now.has(block)) this.#tell(block, `${node} no longer says that it uses it`);
    this.#used.set(node, now);
  }

  #rest(): void {
    this.#excused.clear();
    for (const [node, blocks] of this.#shown) for (const block of blocks) this.#mustOwn(node, block);
  }

  #tell(block: string, words: string): void {
    const story = this.#stories.get(block) ?? [];
    story.push(`${this.revision} ${words}`);
    this.#stories.set(block, story.slice(-12));
  }

  #violate(rule: Violation['rule'], block: string, what: string, other = block): void {
    const stories = [...new Set([block, other])].flatMap((one) =>
      (this.#stories.get(one) ?? []).map((line) => `${one}: ${line}`),
    );
    this.violations.push({ rule, revision: this.revision, what, story: stories });
  }
}
