import type { AllocationLedger, LedgerIndex, LedgerPage } from '../../../src/api/types.ts';
import { spacesName } from '../../../src/allocate/view.ts';
import { entriesOf, type Entry } from './blocks.ts';
import { handAnnotation } from './hands.ts';

/** What a change of the ledger did to one block. */
export interface Turn {
  block: string;
  before: Entry | undefined;
  after: Entry | undefined;
  byHand: boolean;
}

interface Stored {
  object: AllocationLedger;
  /** Its last write changed the mark: a deletion that follows is that person's. */
  fresh: boolean;
}

/** The ledger as it is at one revision of the history, block by block. */
export class LedgerHistory {
  #index: LedgerIndex | undefined;
  readonly #objects = new Map<string, Stored>();
  readonly #pages = new Map<string, Map<string, Entry>>();

  /** Everything that the ledger says of a block: one entry, or none, unless two pages say something of it. */
  entries(block: string): Entry[] {
    return [...this.#pages.values()].flatMap((page) => page.get(block) ?? []);
  }

  /** Whether the ledger says that the block is that node's own. */
  owns(node: string, block: string): boolean {
    return this.entries(block).some(
      (entry) => entry.node === node && (entry.state === 'Held' || entry.state === 'Releasing'),
    );
  }

  /** Takes the object's next state, undefined for none, and returns what that does to each block. */
  take(name: string, object: AllocationLedger | undefined): Turn[] {
    const known = this.#objects.get(name);
    const markOf = (one: AllocationLedger | undefined) => one?.metadata.annotations?.[handAnnotation];
    const fresh =
      object !== undefined && markOf(object) !== undefined && markOf(object) !== markOf(known?.object);
    const byHand = object === undefined ? known?.fresh === true : fresh;
    if (object === undefined) this.#objects.delete(name);
    else this.#objects.set(name, { object, fresh });
    if (name !== spacesName) return this.#takePage(name, object?.spec.page, byHand);
    // pages say whose each VTEP is also while a person has deleted `spaces`; by which addresses, the last index says
    this.#index = object?.spec.index ?? this.#index;
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
