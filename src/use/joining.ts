import { answerMs } from '../containers/ask.ts';
import { recordFile } from '../containers/attachments.ts';
import type { Known } from '../containers/choose.ts';

/** How long a container counts as asking, at most: by then the plugin has given up. */
const askedMs = 2 * answerMs;

type By = Known['snapshot'];
type Container = Parameters<typeof recordFile>[0];

/** Containers that asked for their networks and have no answer yet, with the state that each answer is based on. */
export class Joining {
  readonly #asking = new Map<string, { by: By; at: number }>();
  readonly #startedAt: number;

  /** @param startedAt when this agent started, by the monotonic clock */
  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  asked(container: Container, by: By): void {
    this.#asking.set(recordFile(container), { by, at: performance.now() });
  }

  answered(container: Container): void {
    this.#asking.delete(recordFile(container));
  }

  /**
   * Whether a container that is not counted yet may still join on the basis of an older state: a container that has asked,
   * or one that an earlier agent answered and that has no record yet.
   */
  mayDifferFrom(now: By | undefined): boolean {
    const at = performance.now();
    for (const [key, asked] of this.#asking) if (asked.at + askedMs < at) this.#asking.delete(key);
    return at < this.#startedAt + askedMs || [...this.#asking.values()].some(({ by }) => by !== now);
  }
}
