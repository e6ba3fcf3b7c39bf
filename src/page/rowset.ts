import { signal } from '@preact/signals';
import type { Kind, Rows, Unanswered } from '../rows/row.ts';
import { messageOf } from '../error.ts';
import { ask, Refusal } from './api.ts';
import { change } from './live.ts';

/** Rows as far as they are here. */
export interface Found<T> {
  items: readonly T[];
  /** Also of rows that are not here yet. */
  total: number;
  unanswered: readonly Unanswered[];
  /** Whether something has come at all. */
  here: boolean;
  problem: string;
}

export interface Wish {
  network?: string | undefined;
  node?: string | undefined;
  search?: string | undefined;
}

interface Options {
  /** Rows that are asked for first; default: all. More come by `want`. */
  first?: number;
  /** Asks again by itself: an operator does not notice changes of containers. */
  poll?: boolean;
}

const largestPage = 5_000;
const leastPauseMs = 2_000;
const leastPollMs = 5_000;
/** With more rows than this, rows that are here are not asked for again by themselves. */
const mostLive = largestPage;

const nothing = { items: [], total: 0, unanswered: [], here: false, problem: '' };

/** Rows of one kind that a view shows, asked for again when something changes. */
export class RowSet<K extends Kind> {
  readonly found = signal<Found<Rows[K]>>(nothing);
  readonly #kind: K;
  readonly #wish: Wish;
  readonly #poll: boolean;
  readonly #ended = new AbortController();
  readonly #stopFollowing: () => void;
  #wanted: number;
  #next: string | undefined;
  #running = false;
  /** A change came while rows were on their way. */
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tookMs = 0;

  constructor(kind: K, wish: Wish, { first = Infinity, poll = false }: Options = {}) {
    this.#kind = kind;
    this.#wish = wish;
    this.#poll = poll;
    this.#wanted = first;
    let begun = false;
    this.#stopFollowing = change.subscribe(() => {
      if (begun) this.#soon(leastPauseMs);
      begun = true;
    });
    void this.#run(true);
  }

  /** Whether changes are shown by themselves. */
  get isLive(): boolean {
    return this.found.value.items.length <= mostLive;
  }

  /** Sees to it that so many rows are here. */
  want(count: number): void {
    if (count <= this.#wanted) return;
    this.#wanted = count;
    if (this.#next !== undefined) void this.#run(false);
  }

  reload(): void {
    void this.#run(true);
  }

  /** All rows. */
  async all(): Promise<readonly Rows[K][]> {
    this.want(Infinity);
    while (!this.#ended.signal.aborted && this.found.value.items.length < this.found.value.total) {
      if (this.found.value.problem !== '') throw new Error(this.found.value.problem);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return this.found.value.items;
  }

  close(): void {
    this.#ended.abort();
    this.#stopFollowing();
    clearTimeout(this.#timer);
  }

  #soon(leastMs: number): void {
    if (this.#running) this.#again = true;
    else if (this.isLive && !this.#ended.signal.aborted)
      this.#timer ??= setTimeout(
        () => {
          this.#timer = undefined;
          if (document.hidden) this.#soon(leastMs);
          else void this.#run(true);
        },
        Math.max(leastMs, 5 * this.#tookMs),
      );
  }

  /** @param anew from the first row on; else behind the last one */
  async #run(anew: boolean): Promise<void> {
    if (this.#running) {
      this.#again ||= anew;
      return;
    }
    this.#running = true;
    const start = performance.now();
    try {
      await this.#load(anew);
    } catch (error) {
      if (!this.#ended.signal.aborted)
        this.found.value = { ...this.found.value, here: true, problem: messageOf(error) };
      // an operator that restarts is there again in a moment; one that refuses would refuse again
      if (!(error instanceof Refusal && error.isFinal)) this.#again = true;
    }
    this.#tookMs = performance.now() - start;
    this.#running = false;
    if (this.#again) this.#soon(leastPauseMs);
    else if (this.#poll && this.found.value.problem === '') this.#soon(leastPollMs);
    this.#again = false;
  }

  async #load(anew: boolean): Promise<void> {
    const before = this.found.value;
    // rows that are shown stay until the new ones are here
    const quiet = anew && before.items.length > 0;
    let items: Rows[K][] = anew ? [] : [...before.items];
    let after = anew ? undefined : this.#next;
    const wanted = () => Math.max(this.#wanted, quiet ? before.items.length : 0);
    do {
      const limit = Math.min(largestPage, Math.max(1, wanted() - items.length));
      const page = await ask(
        this.#kind,
        { ...this.#wish, limit: String(limit), continue: after },
        this.#ended.signal,
      );
      items = [...items, ...page.items];
      after = page.continue;
      const { total, unanswered = [] } = page;
      const done = after === undefined || items.length >= wanted();
      if (!quiet || done) {
        this.#next = after;
        this.found.value = { items, total, unanswered, here: true, problem: '' };
      }
    } while (after !== undefined && items.length < wanted());
  }
}
