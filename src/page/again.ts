import { Refusal } from './api.ts';
import { change } from './live.ts';

/** The minimum pause between two requests. */
export const leastPauseMs = 2_000;

/**
 * Decides when rows are requested again: after a change and after pauses, but not while the page is hidden. Requests
 * take at most a sixth of the time.
 */
export class Again {
  readonly #ended = new AbortController();
  readonly #stopFollowing: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Duration of the last request. */
  tookMs = 0;

  /** @param changed is called when rows may have changed */
  constructor(changed: () => void) {
    let begun = false;
    this.#stopFollowing = change.subscribe(() => {
      if (begun) changed();
      begun = true;
    });
  }

  /** Aborts a request when the view is closed. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Does the work after at least that time. Does nothing if work is waiting already. */
  after(leastMs: number, work: () => void): void {
    if (this.#ended.signal.aborted) return;
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        if (document.hidden) this.after(leastMs, work);
        else work();
      },
      Math.max(leastMs, 5 * this.tookMs),
    );
  }

  /** Returns whether a retry may help after this error: an operator that restarts answers again in a moment. */
  mayHelp(error: unknown): boolean {
    if (!(error instanceof Refusal)) return true;
    // only another token brings the right
    if (error.status === 403) this.#stopFollowing();
    return !error.isFinal;
  }

  close(): void {
    this.#ended.abort();
    this.#stopFollowing();
    clearTimeout(this.#timer);
  }
}
