import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A pass over 200 peers stays below it. */
const worthBytes = 90 * 2 ** 20;
/** Passes come in bursts, and what follows one (checkpoint, report) leaves garbage too. */
const afterMs = 1_000;

/**
 * Gives back memory that only a pass needed. V8 keeps the pages that garbage was on, 40 to 60 MB at
 * 5,000 peers, until the machine itself runs short of memory.
 */
export class Garbage {
  readonly #collect: () => void;
  readonly #resident: () => number;
  readonly #afterMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { collect?: () => void; resident?: () => number; afterMs?: number } = {}) {
    this.#collect = options.collect ?? collect;
    this.#resident = options.resident ?? (() => process.memoryUsage.rss());
    this.#afterMs = options.afterMs ?? afterMs;
  }

  /** Called when a pass has ended: collects once no other pass ended for a moment, if that is worth its 50 ms. */
  passEnded(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#resident() > worthBytes) this.#collect();
    }, this.#afterMs).unref();
  }
}

/** Of V8's collections the only one that gives pages back. Set now, its flag costs a start nothing. */
export function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (options: object) => void;
  gc({ type: 'major', flavor: 'last-resort' });
}
