import { sweep } from '../containers/sweep.ts';

/** Removes, once at the agent's start, what is left of containers that are gone. */
export class Cleaner {
  /** Why it did not succeed. */
  problem: string | undefined;
  readonly #what: Parameters<typeof sweep>[0];
  #state: 'not yet' | 'asked for' | 'done' = 'not yet';

  constructor(what: Parameters<typeof sweep>[0]) {
    this.#what = what;
  }

  /** @returns true the first time: it is to be run from then on */
  ask(): boolean {
    if (this.#state !== 'not yet') return false;
    this.#state = 'asked for';
    return true;
  }

  /**
   * @param onNews the problem is another
   * @throws Error with what failed, for the queue to try again
   */
  async run(onNews: () => void): Promise<undefined> {
    if (this.#state === 'done') return;
    const before = this.problem;
    this.problem = await sweep(this.#what);
    if (this.problem !== before) onNews();
    if (this.problem !== undefined) throw new Error(this.problem);
    this.#state = 'done';
  }
}
