export interface BackoffOptions {
  baseMs: number;
  maxMs: number;
}

/**
 * The n-th delay (n from 0) in ms. It grows exponentially to `maxMs`; its upper half is random, so that thousands do
 * not retry in step.
 */
export const backoffDelay = ({ baseMs, maxMs }: BackoffOptions, n: number): number => {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(n, 30));
  return full / 2 + (Math.random() * full) / 2;
};

/** The step of the growing delay at which a server is tried that has just answered again: four times the base. */
const returnedStep = 2;

/**
 * Delays between attempts at one server. They grow while it fails. A server that answers again after silence refuses
 * requests for a second or two before it serves them, so the long delays of its absence do not apply to it.
 */
export class Attempts {
  readonly #options: BackoffOptions;
  #failed = 0;
  #answered = true;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** @param answered whether the server answered with a refusal, as opposed to not at all */
  failed(answered: boolean): void {
    if (answered && !this.#answered) this.#failed = Math.min(this.#failed, returnedStep);
    this.#answered = answered;
  }

  succeeded(): void {
    this.#failed = 0;
  }

  /** The delay before the next attempt, in ms. */
  nextMs(): number {
    return backoffDelay(this.#options, this.#failed++);
  }
}

/** Resolves after `ms`, or at once when the signal fires. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });

/**
 * The promise's result, or the signal's reason as soon as it fires. The promise itself goes on and its outcome is
 * ignored then.
 */
export const untilAborted = async <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> => {
  const aborted = Promise.withResolvers<never>();
  const abort = () => {
    aborted.reject(signal.reason as Error);
  };
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
};
