import type { LedgerIndex, LedgerSpace } from '../api/types.ts';
import type { SpacePlan } from './demand.ts';
import { listedNames } from './forgotten.ts';
import { listedPages } from './space.ts';
import { asOf, spacesName, version, type Reads, type View, type Write } from './view.ts';

/** Decides which pages the index lists for each space, and which spaces it still lists. */
export class Listing {
  /** The number of the next page. */
  nextPage: number;
  /** When the next space is forgotten, in milliseconds since the epoch; Infinity: never. */
  wakeAt = Infinity;
  readonly #view: View;
  readonly #cooldownMs: number;
  readonly #reads: Reads;

  /** Whether the index was rebuilt. Which pages there were is then unknown, and a new page may replace a lost one. */
  readonly #rebuilt: boolean;

  constructor(
    view: View,
    { nextPage, rebuilt }: Pick<LedgerIndex, 'nextPage' | 'rebuilt'>,
    cooldownMs: number,
    reads: Reads,
  ) {
    this.#view = view;
    this.nextPage = nextPage;
    this.#rebuilt = rebuilt !== undefined;
    this.#cooldownMs = cooldownMs;
    this.#reads = reads;
  }

  /**
   * Returns the space with the pages that it needs, the state of the existing ones, and new ones in place of lost ones.
   * It is the same object if nothing changes. Returns nothing once all blocks of a retired space have cooled.
   */
  finish(space: LedgerSpace, plan: SpacePlan | undefined): LedgerSpace[] {
    const known = this.#withPages(space, plan);
    if (known.retiredAt === undefined) return [known];
    const rests = listedPages(this.#view.ledger, known).some(
      ({ page, state }) =>
        state !== 'good' || page.retired !== true || page.blocks.length > 0 || page.recovering !== undefined,
    );
    if (rests) return [known];
    const done = Date.parse(known.retiredAt) + this.#cooldownMs;
    if (done <= this.#view.now) return [];
    this.wakeAt = Math.min(this.wakeAt, done);
    return [known];
  }

  #withPages(space: LedgerSpace, plan: SpacePlan | undefined): LedgerSpace {
    const listed = plan?.listed ?? [];
    const pages = [...space.pages];
    const recovering = new Set(space.recovering);
    for (const { name, number, ordinal, object, page, state } of listed) {
      if (state === 'good' && page.recovering === undefined) recovering.delete(number);
      if (state !== 'lost' || (object === undefined && !this.#isSurelyAbsent(name))) continue;
      recovering.delete(number);
      pages[ordinal] = this.nextPage++;
      recovering.add(pages[ordinal]);
    }
    for (let needed = plan?.pagesNeeded ?? 0; needed > 0; needed--) {
      if (this.#rebuilt) recovering.add(this.nextPage);
      pages.push(this.nextPage++);
    }
    const unmade = listed.findIndex(({ state }) => state === 'absent' || state === 'lost');
    const made = Math.max(space.made ?? 0, unmade === -1 ? listed.length : unmade);
    const same =
      made === (space.made ?? 0) &&
      String(pages) === String(space.pages) &&
      String([...recovering]) === String(space.recovering ?? []);
    if (same) return space;
    const { recovering: was, ...rest } = space;
    return {
      ...rest,
      pages,
      ...(made > 0 ? { made } : {}),
      ...(recovering.size > 0 ? { recovering: [...recovering] } : {}),
    };
  }

  /**
   * Whether a page is surely absent: the index says that it was made, and the API server, read as of that index or
   * later, does not have it.
   */
  #isSurelyAbsent(name: string): boolean {
    const { ledger } = this.#view;
    const needed = version(ledger.spaces);
    if (asOf(ledger, name) >= needed) return true;
    this.#reads.ledger.set(name, needed);
    return false;
  }
}

/**
 * Plans to delete pages that no space lists: tombstones, and empty ones from a late writer; under a rebuilt index that
 * is `whole`, all of them. Otherwise a page with blocks that is not listed stays, because its origin is unknown.
 */
export function unlistedPages(view: View, { spaces }: LedgerIndex, reads: Reads, whole: boolean): Write[] {
  const { ledger } = view;
  const listed = listedNames(spaces);
  return [...ledger.pages].flatMap(([name, object]): Write[] => {
    const { page } = object.spec;
    const spent = whole || page?.blocks.length === 0;
    if (listed.has(name) || !spent || object.metadata.deletionTimestamp !== undefined) return [];
    if (asOf(ledger, spacesName) >= version(object)) return [{ kind: 'delete-page', name, over: object }];
    // a later index, which this operator has not seen, may list it
    reads.ledger.set(spacesName, version(object));
    return [];
  });
}
