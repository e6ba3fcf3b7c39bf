import { signal } from '@preact/signals';
import { messageOf } from '../error.ts';
import type { ContainerRow, Unanswered } from '../rows/row.ts';
import { Again, leastPauseMs } from './again.ts';
import { ask } from './api.ts';
import { largestPage } from './rowset.ts';

/** The containers that the user looks at. */
export interface Seen {
  /** By position; rows that have not arrived are absent. */
  rows: ReadonlyMap<number, ContainerRow>;
  total: number;
  unanswered: readonly Unanswered[];
  /** Whether an answer has arrived. */
  here: boolean;
  problem: string;
}

export interface ContainerWish {
  network?: string | undefined;
  node?: string | undefined;
  search?: string | undefined;
  /** A column; `-` before it reverses the order. */
  sort?: string | undefined;
}

/** Rows are requested in chunks of this many, which start at a multiple of it. */
export const chunk = 100;
/** Operators do not notice changes of containers, so that these are polled. */
const pollMs = 5_000;

/**
 * The containers in a table of any length. Visible rows are requested, and requested again when something may have
 * changed. Other rows keep their last state until they are visible again.
 */
export class RowWindow {
  readonly seen = signal<Seen>({ rows: new Map(), total: 0, unanswered: [], here: false, problem: '' });
  readonly #wish: ContainerWish;
  readonly #next = new Again(() => {
    this.#soon(leastPauseMs);
  });
  /** The visible chunks: from the first to before the second. */
  #sight: [number, number] = [0, 1];
  /** Chunks that have arrived since the last possible change. */
  #fresh = new Set<number>();
  #running = false;

  constructor(wish: ContainerWish) {
    this.#wish = wish;
    void this.#run();
  }

  /** Loads the rows between two positions. */
  show(first: number, last: number): void {
    this.#sight = [Math.floor(first / chunk), Math.floor(last / chunk) + 1];
    void this.#run();
  }

  /**
   * Loads every row, in pages of the maximum size.
   * @throws Error
   */
  async all(): Promise<ContainerRow[]> {
    const rows: ContainerRow[] = [];
    let after: string | undefined;
    do {
      const page = await ask(
        'containers',
        { ...this.#wish, limit: String(largestPage), continue: after },
        this.#next.signal,
      );
      rows.push(...page.items);
      after = page.continue;
    } while (after !== undefined);
    return rows;
  }

  close(): void {
    this.#next.close();
  }

  #soon(leastMs: number): void {
    this.#next.after(leastMs, () => {
      this.#fresh.clear();
      void this.#run();
    });
  }

  /** Requests the visible rows until all have arrived. */
  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let missing = this.#missing(); missing !== undefined; missing = this.#missing())
        await this.#load(...missing);
      if (this.seen.value.problem === '') this.#soon(pollMs);
    } catch (error) {
      if (!this.#next.signal.aborted)
        this.seen.value = { ...this.seen.value, here: true, problem: messageOf(error) };
      if (this.#next.mayHelp(error)) this.#soon(leastPauseMs);
    }
    this.#running = false;
  }

  #missing(): [number, number] | undefined {
    const [first, end] = this.#sight;
    const chunks = Array.from({ length: end - first }, (_, at) => first + at).filter(
      (one) => !this.#fresh.has(one) && (one === 0 || one * chunk < this.seen.value.total),
    );
    const [from] = chunks;
    const last = chunks.at(-1);
    return from === undefined || last === undefined ? undefined : [from, last + 1];
  }

  async #load(from: number, end: number): Promise<void> {
    const start = performance.now();
    const limit = String((end - from) * chunk);
    const page = await ask(
      'containers',
      { ...this.#wish, offset: String(from * chunk), limit },
      this.#next.signal,
    );
    this.#next.tookMs = performance.now() - start;
    for (let one = from; one < end; one++) this.#fresh.add(one);
    const { total, unanswered = [] } = page;
    const rows = new Map([...this.seen.value.rows].filter(([at]) => at < total));
    page.items.forEach((row, at) => rows.set(from * chunk + at, row));
    this.seen.value = { rows, total, unanswered, here: true, problem: '' };
  }
}
