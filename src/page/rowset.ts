import { signal } from '@preact/signals';
import type { ContainerCount, Kind, LastPass, Rows, Unanswered } from '../rows/row.ts';
import { messageOf } from '../error.ts';
import { Again, leastPauseMs } from './again.ts';
import { ask } from './api.ts';

/** The rows that have arrived. */
export interface Found<T> {
  items: readonly T[];
  /** Number of all matching rows, including those that have not arrived. */
  total: number;
  /** For containers: their number in each network. */
  counts: readonly ContainerCount[];
  /** For containers: the nodes whose agents did not answer. */
  unanswered: readonly Unanswered[];
  /** For containers of one node: the last pass of its agent, if it said it. */
  pass?: LastPass | undefined;
  /** Whether an answer has arrived. */
  here: boolean;
  problem: string;
}

export interface Wish {
  network?: string | undefined;
  node?: string | undefined;
  search?: string | undefined;
}

interface Options {
  /** Number of rows to request; default: all. */
  first?: number;
  /** Also requests the rows again after that many ms, because operators do not notice changes of containers. */
  everyMs?: number;
}

export const largestPage = 5_000;
/** The pause grows with the number of rows: 65,536 blocks are requested again after a minute. */
const pausePerRowMs = 1;

const nothing: Found<never> = { items: [], total: 0, counts: [], unanswered: [], here: false, problem: '' };

/** The rows of one kind in a view, which are requested again when something changes. */
export class RowSet<K extends Kind> {
  readonly found = signal<Found<Rows[K]>>(nothing);
  readonly #kind: K;
  readonly #wish: Wish;
  readonly #next = new Again(() => {
    this.#soon(leastPauseMs);
  });
  readonly #wanted: number;
  readonly #everyMs: number | undefined;
  #running = false;
  /** A change arrived while rows were loading. */
  #again = false;

  constructor(kind: K, wish: Wish, { first = Infinity, everyMs }: Options = {}) {
    this.#kind = kind;
    this.#wish = wish;
    this.#wanted = first;
    this.#everyMs = everyMs;
    void this.#run();
  }

  close(): void {
    this.#next.close();
  }

  #soon(leastMs: number): void {
    if (this.#running) this.#again = true;
    else
      this.#next.after(Math.max(leastMs, pausePerRowMs * this.found.value.items.length), () => {
        void this.#run();
      });
  }

  async #run(): Promise<void> {
    this.#running = true;
    const start = performance.now();
    try {
      await this.#load();
    } catch (error) {
      if (!this.#next.signal.aborted)
        this.found.value = { ...this.found.value, here: true, problem: messageOf(error) };
      if (this.#next.mayHelp(error)) this.#again = true;
    }
    this.#next.tookMs = performance.now() - start;
    this.#running = false;
    if (this.#again) this.#soon(leastPauseMs);
    else if (this.#everyMs !== undefined && this.found.value.problem === '') this.#soon(this.#everyMs);
    this.#again = false;
  }

  async #load(): Promise<void> {
    // old rows stay until the new ones have arrived
    const quiet = this.found.value.items.length > 0;
    let items: Rows[K][] = [];
    let after: string | undefined;
    do {
      const limit = Math.min(largestPage, Math.max(1, this.#wanted - items.length));
      const page = await ask(
        this.#kind,
        { ...this.#wish, limit: String(limit), continue: after },
        this.#next.signal,
      );
      items = [...items, ...page.items];
      after = page.continue;
      const { total, counts = [], unanswered = [], pass } = page;
      const done = after === undefined || items.length >= this.#wanted;
      if (!quiet || done)
        this.found.value = { items, total, counts, unanswered, pass, here: true, problem: '' };
      if (done) return;
    } while (after !== undefined);
  }
}
