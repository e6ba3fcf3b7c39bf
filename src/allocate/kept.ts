import type { LedgerPage } from '../api/types.ts';
import type { Claimant } from './blocks.ts';
import { inPage } from './space.ts';

/**
 * Pages that stay as they are: every block is Held by a claimant of its own. Nearly all pages are such at every plan, and
 * to look at each of 50,000 blocks anew costs more than all else.
 */
export class KeptPages {
  /** Another one, as soon as a node no longer claims what it claimed. */
  #claims = new Map<string, string>();
  #seen = new WeakMap<LedgerPage, number>();

  /** Takes in who may hold blocks. What was known is forgotten where one of the last time is not among them. */
  claim(claimants: readonly Claimant[]): void {
    const claims = new Map(claimants.map(({ node, uid }) => [node, uid]));
    for (const [node, uid] of this.#claims) {
      if (claims.get(node) === uid) continue;
      this.#seen = new WeakMap();
      break;
    }
    this.#claims = claims;
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
        this.#claims.get(block.node) === block.uid,
    );
    if (isKept) this.#seen.set(page, capacity);
    return isKept;
  }
}
