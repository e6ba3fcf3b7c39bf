import PQueue from 'p-queue';
import { faultsOf, type Log } from '../log.ts';
import { Recurring } from '../recurring.ts';
import { backoffDelay, type BackoffOptions } from './wait.ts';

export interface Result {
  /** Runs the key again after this many ms, even if nothing changes. */
  requeueAfterMs?: number;
}

// void beside Result: a reconcile without a result needs no return statement
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type
export type Reconcile<K extends string> = (key: K, signal: AbortSignal) => Promise<Result | void>;

export interface KeyedQueueOptions<K extends string> {
  reconcile: Reconcile<K>;
  /** The most keys that run at the same time. */
  concurrency?: number;
  /**
   * Minimal time between the starts of two runs of one key. The first request of a burst runs at once, the others
   * become one run.
   */
  minIntervalMs?: number;
  /** Delays before a failed key runs again. */
  backoff?: BackoffOptions;
  log: Log;
}

/**
 * The limit of setTimeout, which fires at once beyond it. A run that starts early asks for the remaining time again.
 */
const longestTimeoutMs = 2 ** 31 - 1;

/** Minimal time between runs of a key that keeps failing and keeps changing, if the key has a minimal interval. */
const busyRetryMs = 1_000;

/** State of a key that runs, waits, or has run within `minIntervalMs`. */
interface Key {
  state: 'idle' | 'waiting' | 'running';
  startedAt: number;
  failures: number;
  faults?: Recurring;
  /** Requested again during its run. */
  again: boolean;
  /** When the request came that it waits to run for. */
  askedAt: number;
  timer?: { at: number; handle: NodeJS.Timeout };
}

/**
 * Runs reconcile requests by name; a request says only that something changed (level, not edge). A key never runs
 * twice at a time and waits at most once. A key that is added during its run runs once more. A failed run is repeated
 * with growing delays until it succeeds.
 */
export class KeyedQueue<K extends string> {
  readonly #options: KeyedQueueOptions<K>;
  readonly #queue: PQueue;
  readonly #keys = new Map<K, Key>();
  readonly #stopped = new AbortController();
  readonly #minIntervalMs: number;
  #retries = 0;
  readonly #backoff: BackoffOptions;

  constructor(options: KeyedQueueOptions<K>) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency ?? 1 });
    this.#minIntervalMs = options.minIntervalMs ?? 0;
    this.#backoff = options.backoff ?? { baseMs: 200, maxMs: 60_000 };
  }

  /** Runs a key as soon as its minimal interval allows. This overrides a retry's delay, because there is news. */
  add(key: K): void {
    this.addAfter(key, 0);
  }

  /**
   * Runs a key after `ms`. The soonest of several requests counts, and its run settles all; `requeueAfterMs` asks for
   * a later one.
   */
  addAfter(key: K, ms: number): void {
    if (this.#stopped.signal.aborted) return;
    const known = this.#key(key);
    if (known.state === 'waiting') return;
    const now = performance.now();
    const at = Math.max(now + ms, known.startedAt + this.#intervalMs(known));
    if (known.state === 'running' && ms <= 0) {
      if (!known.again) known.askedAt = now;
      known.again = true;
    } else if (at <= now) {
      this.#enqueue(key, known);
    } else if (known.timer === undefined || at < known.timer.at) {
      this.#setTimer(key, known, at, now);
    }
  }

  /** For metrics: keys that wait for their turn, how long the oldest has, and runs that failed since the start. */
  get load(): { depth: number; oldestMs: number; retries: number } {
    const waiting = [...this.#keys.values()].filter(({ state, again }) => state === 'waiting' || again);
    const now = performance.now();
    const oldestMs = waiting.reduce((most, { askedAt }) => Math.max(most, now - askedAt), 0);
    return { depth: waiting.length, oldestMs, retries: this.#retries };
  }

  /** Stops: starts no further run, fires the signal of those under way and waits for them. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const { timer } of this.#keys.values()) clearTimeout(timer?.handle);
    this.#keys.clear();
    this.#queue.clear();
    await this.#queue.onIdle();
  }

  #key(key: K): Key {
    const known = this.#keys.get(key) ?? {
      state: 'idle',
      startedAt: -Infinity,
      failures: 0,
      again: false,
      askedAt: 0,
    };
    this.#keys.set(key, known);
    return known;
  }

  /**
   * Minimal time between runs. News overrides a retry's delay, but a key that fails and changes all the time must not
   * run without pause.
   */
  #intervalMs({ failures }: Key): number {
    return failures === 0
      ? this.#minIntervalMs
      : Math.max(
          this.#minIntervalMs,
          Math.min(busyRetryMs, this.#minIntervalMs * 2 ** Math.min(failures, 10)),
        );
  }

  #setTimer(key: K, known: Key, at: number, now: number): void {
    clearTimeout(known.timer?.handle);
    const handle = setTimeout(
      () => {
        delete known.timer;
        if (known.state === 'running') {
          if (!known.again) known.askedAt = performance.now();
          known.again = true;
        } else if (known.state === 'idle') this.#enqueue(key, known);
      },
      Math.min(at - now, longestTimeoutMs),
    );
    known.timer = { at, handle };
  }

  #enqueue(key: K, known: Key): void {
    clearTimeout(known.timer?.handle);
    delete known.timer;
    known.state = 'waiting';
    known.askedAt = performance.now();
    // #run never rejects; a task that stop() removes rejects, which needs no handling
    this.#queue.add(() => this.#run(key, known)).catch(() => undefined);
  }

  async #run(key: K, known: Key): Promise<void> {
    known.state = 'running';
    known.startedAt = performance.now();
    let nextMs: number | undefined;
    try {
      const result = await this.#options.reconcile(key, this.#stopped.signal);
      known.failures = 0;
      known.faults?.succeeded(key);
      nextMs = result?.requeueAfterMs;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      nextMs = backoffDelay(this.#backoff, known.failures++);
      this.#retries++;
      known.faults ??= new Recurring(this.#options.log, 'reconcile failed', 'reconcile succeeds again');
      known.faults.failed(faultsOf(key, error, 'reconcile'), { retryMs: Math.round(nextMs) });
    }
    if (this.#stopped.signal.aborted) return;
    known.state = 'idle';
    if (known.again) {
      known.again = false;
      this.addAfter(key, 0);
    } else if (nextMs !== undefined) {
      this.addAfter(key, nextMs);
    } else if (known.timer === undefined) {
      this.#forgetLater(key, known);
    }
  }

  /**
   * Forgets a key later, so that keys of deleted objects do not stay for ever. The state is kept for the minimal
   * interval after a run.
   */
  #forgetLater(key: K, known: Key): void {
    if (this.#minIntervalMs === 0) {
      this.#keys.delete(key);
      return;
    }
    const ran = known.startedAt;
    const forget = () => {
      const unused = known.startedAt === ran && known.state === 'idle' && known.timer === undefined;
      if (unused && this.#keys.get(key) === known) this.#keys.delete(key);
    };
    setTimeout(forget, Math.max(0, ran + this.#minIntervalMs - performance.now())).unref();
  }
}
