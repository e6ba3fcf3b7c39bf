import type { LedgerPage } from '../api/types.ts';
import type { Claimant } from './demand.ts';
import { inPage } from './space.ts';

/**
 * Remembers pages that stay as they are: every block is Held, each by another claimant. Nearly all pages are like that
 * in every plan, and looking at each of 50,000 blocks again would cost more than all other work.
 */
export class KeptPages {
  #claimants: ReadonlyMap<string, Claimant> = new Map();
  /** By page: the capacity that its space had when the page was checked. */
  #seen = new WeakMap<LedgerPage, number>();

  /** Sets the nodes that may hold blocks. If a claimant is gone or has another uid, all pages are checked again. */
  claim(claimants: ReadonlyMap<string, Claimant>): void {
    for (const { node, uid } of this.#claimants.values()) {
      if (claimants.get(node)?.uid === uid) continue;
      this.#seen = new WeakMap();
      break;
    }
    this.#claimants = claimants;
  }

  /** Whether the page was checked with this capacity of its space. */
  has(page: LedgerPage, capacity: number): boolean {
    // the space has grown, or the page belongs to another space
    if ((this.#seen.get(page) ?? Infinity) <= capacity) return true;
    const isKept = page.blocks.every(
      (block) =>
        block.state === 'Held' &&
        block.index < capacity &&
        inPage(page, block) &&
        this.#claimants.get(block.node)?.uid === block.uid,
    );
    if (isKept) this.#seen.set(page, capacity);
    return isKept;
  }
}
