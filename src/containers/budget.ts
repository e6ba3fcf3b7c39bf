import { answerMs } from './ask.ts';

/** The total time for an answer's waits. The rest of the plugin's time is for the agent's own work. */
const budgetMs = answerMs - 1_000;

/**
 * The time of one answer to the CNI plugin. Every wait takes at most half of what is left, so that any number of waits
 * together stays below the plugin's time-out, and the last one still gets some time.
 */
export class Budget {
  readonly #end = performance.now() + budgetMs;

  /** The longest that the next wait may take, in whole milliseconds. */
  get waitMs(): number {
    return Math.max(1, Math.round((this.#end - performance.now()) / 2));
  }
}
