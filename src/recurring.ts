import type { Fault, Log } from './log.ts';

/** How often a fault that lasts is logged. */
const everyMs = 60_000;
/** The most faults that one attempt logs, and the most different ones in a minute. */
const most = { ofAttempt: 10, ofMinute: 100 };

/**
 * Logs the faults of work that is tried again and again. A fault is logged when it is new, and each minute while it
 * lasts; at other times, and where too many differ, at level debug. Once the work succeeds, that is logged too.
 */
export class Recurring {
  readonly #log: Log;
  readonly #failing: string;
  readonly #well: string;
  #attempts = 0;
  #said = false;
  /** By text: when it was logged last. */
  readonly #logged = new Map<string, number>();

  /**
   * @param failing the message of a fault: `cannot follow`
   * @param well the message after the last one: `follows again`
   */
  constructor(log: Log, failing: string, well: string) {
    this.#log = log;
    this.#failing = failing;
    this.#well = well;
  }

  /** An attempt failed. @param fields what each line has beside the fault */
  failed(faults: readonly Fault[], fields: Readonly<Record<string, unknown>> = {}): void {
    this.#attempts++;
    const attempts = this.#attempts === 1 ? {} : { attempts: this.#attempts };
    const now = performance.now();
    for (const [text, at] of this.#logged) if (now - at >= everyMs) this.#logged.delete(text);
    const rest = faults.length - most.ofAttempt;
    const [first] = faults;
    const more =
      rest > 0 && first !== undefined ? [{ ...first, output: `${rest} more faults like these` }] : [];
    for (const fault of [...faults.slice(0, most.ofAttempt), ...more]) {
      const text = JSON.stringify([fault.object, fault.command, String(fault.output)]);
      const line: Fault = { ...fault, ...attempts, ...fields };
      if (this.#logged.has(text) || this.#logged.size >= most.ofMinute) {
        this.#log.debug(this.#failing, line);
        continue;
      }
      this.#logged.set(text, now);
      this.#said = true;
      this.#log.warn(this.#failing, line);
    }
  }

  /** An attempt succeeded. Faults that were logged less than a minute ago are not logged again if they come back. */
  succeeded(object: string): void {
    if (this.#said) this.#log.info(this.#well, { object, attempts: this.#attempts });
    this.#said = false;
    this.#attempts = 0;
  }
}
