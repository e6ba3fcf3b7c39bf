import type { AllocationLedger, LedgerIndex, LedgerPage } from '../../../src/api/types.ts';
import { spacesName } from '../../../src/allocate/view.ts';
import { entriesOf, type Entry } from './blocks.ts';
import { handAnnotation } from './hands.ts';

/** The effect of a ledger change on one block. */
export interface Turn {
  block: string;
  before: Entry | undefined;
  after: Entry | undefined;
  byHand: boolean;
}

interface Stored {
  object: AllocationLedger;
  /** True if the last write changed the mark: a deletion that follows was made by hand. */
  fresh: boolean;
}

/** The ledger at one revision of the history, block by block. */
export class LedgerHistory {
  #index: LedgerIndex | undefined;
  #last: LedgerIndex | undefined;
  readonly #objects = new Map<string, Stored>();
  readonly #pages = new Map<string, Map<string, Entry>>();

  /** Returns the ledger's entries of a block: none or one, or more if several pages contain it. */
  entries(block: string): Entry[] {
    return [...this.#pages.values()].flatMap((page) => page.get(block) ?? []);
  }

  /**
   * Returns whether the ledger gives the block to that node. After a person has deleted `spaces`, an operator that has
   * not seen that still uses the pages of the last index.
   */
  owns(node: string, block: string): boolean {
    const entries = this.#index === undefined ? this.#entriesByLast(block) : this.entries(block);
    return entries.some(
      (entry) => entry.node === node && (entry.state === 'Held' || entry.state === 'Releasing'),
    );
  }

  #entriesByLast(block: string): Entry[] {
    return [...this.#objects].flatMap(([name, { object }]) => {
      const { page } = object.spec;
      return (page === undefined ? undefined : entriesOf(name, page, this.#last).get(block)) ?? [];
    });
  }

  /** Applies the object's next state (undefined: deleted) and returns the effect on each block. */
  take(name: string, object: AllocationLedger | undefined): Turn[] {
    const known = this.#objects.get(name);
    const markOf = (one: AllocationLedger | undefined) => one?.metadata.annotations?.[handAnnotation];
    const fresh =
      object !== undefined && markOf(object) !== undefined && markOf(object) !== markOf(known?.object);
    const byHand = object === undefined ? known?.fresh === true : fresh;
    if (object === undefined) this.#objects.delete(name);
    else this.#objects.set(name, { object, fresh });
    if (name !== spacesName) return this.#takePage(name, object?.spec.page, byHand);
    this.#index = object?.spec.index;
    this.#last = this.#index ?? this.#last;
    return [...this.#objects].flatMap(([page, { object: of }]) => this.#takePage(page, of.spec.page, byHand));
  }

  #takePage(name: string, page: LedgerPage | undefined, byHand: boolean): Turn[] {
    const before = this.#pages.get(name) ?? new Map<string, Entry>();
    const after = page === undefined ? new Map<string, Entry>() : entriesOf(name, page, this.#index);
    this.#pages.set(name, after);
    return [...new Set([...before.keys(), ...after.keys()])]
      .map((block) => ({ block, before: before.get(block), after: after.get(block), byHand }))
      .filter(({ before: was, after: is }) => was?.node !== is?.node || was?.state !== is?.state);
  }
}
