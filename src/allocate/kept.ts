import type { LedgerPage } from '../api/types.ts';
import type { Claimant } from './demand.ts';
import { inPage } from './space.ts';

/**
 * Pages that stay as they are: every block is Held by a claimant of its own. Nearly all pages are such at every plan, and
 * to look at each of 50,000 blocks anew costs more than all else.
 */
export class KeptPages {
  #claimants: ReadonlyMap<string, Claimant> = new Map();
  /** By page: the capacity of its space when it was looked at. */
  #seen = new WeakMap<LedgerPage, number>();

  /** Sets the nodes that may hold blocks. All pages are looked at again once a former claimant is gone or has another uid. */
  claim(claimants: ReadonlyMap<string, Claimant>): void {
    for (const { node, uid } of this.#claimants.values()) {
      if (claimants.get(node)?.uid === uid) continue;
      this.#seen = new WeakMap();
      break;
    }
    this.#claimants = claimants;
  }

  /** @param capacity blocks in the space */
  has(page: LedgerPage, capacity: number): boolean {
    // the capacity of a space grows, or it is another space
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
