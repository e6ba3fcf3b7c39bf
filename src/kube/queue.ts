import PQueue from 'p-queue';
import type { Log } from '../log.ts';
import { backoffDelay, type BackoffOptions } from './wait.ts';

export interface Result {
  /** Run the key again after so many ms, even if nothing changes. */
  requeueAfterMs?: number;
}

// void beside Result: a reconcile without a result needs no return statement
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type
export type Reconcile<K extends string> = (key: K, signal: AbortSignal) => Promise<Result | void>;

export interface KeyedQueueOptions<K extends string> {
  reconcile: Reconcile<K>;
  /** Keys that run at the same time. */
  concurrency?: number;
  /** At least so long between the starts of two runs of one key: the first of a burst runs at once, the rest become one. */
  minIntervalMs?: number;
  /** Delays of a key whose runs fail. */
  backoff?: BackoffOptions;
  log: Log;
}

/** setTimeout's own limit; beyond it, it fires at once. A run before its time asks for the rest again. */
const longestTimeoutMs = 2 ** 31 - 1;

/** A key with a minimal interval whose runs keep failing is run so often at most, however often it changes. */
const busyRetryMs = 1_000;

/** What is known of a key that runs, waits, or has run within `minIntervalMs`. */
interface Key {
  state: 'idle' | 'waiting' | 'running';
  startedAt: number;
  failures: number;
  /** Asked for during a run. */
  again: boolean;
  timer?: { at: number; handle: NodeJS.Timeout };
}

/**
 * Reconcile requests by name: level, not edge. A key never runs twice at a time and waits at most once; one that is
 * added during its run runs once more; a failed run is repeated with growing delays until it succeeds.
 */
export class KeyedQueue<K extends string> {
  readonly #options: KeyedQueueOptions<K>;
  readonly #queue: PQueue;
  readonly #keys = new Map<K, Key>();
  readonly #stopped = new AbortController();
  readonly #minIntervalMs: number;
  readonly #backoff: BackoffOptions;

  constructor(options: KeyedQueueOptions<K>) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency ?? 1 });
    this.#minIntervalMs = options.minIntervalMs ?? 0;
    this.#backoff = options.backoff ?? { baseMs: 200, maxMs: 60_000 };
  }

  /** As soon as its minimal interval allows. It overrides a retry's delay: there is news. */
  add(key: K): void {
    this.addAfter(key, 0);
  }

  /** Of several times asked for, the soonest holds, and a run settles them all: what must come later still, `requeueAfterMs` asks for. */
  addAfter(key: K, ms: number): void {
    if (this.#stopped.signal.aborted) return;
    const known = this.#key(key);
    if (known.state === 'waiting') return;
    const now = performance.now();
    const at = Math.max(now + ms, known.startedAt + this.#intervalMs(known));
    if (known.state === 'running' && ms <= 0) {
      known.again = true;
    } else if (at <= now) {
      this.#enqueue(key, known);
    } else if (known.timer === undefined || at < known.timer.at) {
      this.#setTimer(key, known, at, now);
    }
  }

  /** Starts no further run, fires the signal of those under way and waits for them. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const { timer } of this.#keys.values()) clearTimeout(timer?.handle);
    this.#keys.clear();
    this.#queue.clear();
    await this.#queue.onIdle();
  }

  #key(key: K): Key {
    const known = this.#keys.get(key) ?? { state: 'idle', startedAt: -Infinity, failures: 0, again: false };
    this.#keys.set(key, known);
    return known;
  }

  /** News overrides a retry's delay, and yet a key whose runs fail and that changes all the time is not run without pause. */
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
        if (known.state === 'running') known.again = true;
        else if (known.state === 'idle') this.#enqueue(key, known);
      },
      Math.min(at - now, longestTimeoutMs),
    );
    known.timer = { at, handle };
  }

  #enqueue(key: K, known: Key): void {
    clearTimeout(known.timer?.handle);
    delete known.timer;
    known.state = 'waiting';
    // #run never rejects; a task that stop() removes does, with nothing to tell
    this.#queue.add(() => this.#run(key, known)).catch(() => undefined);
  }

  async #run(key: K, known: Key): Promise<void> {
    known.state = 'running';
    known.startedAt = performance.now();
    let nextMs: number | undefined;
    try {
      const result = await this.#options.reconcile(key, this.#stopped.signal);
      known.failures = 0;
      nextMs = result?.requeueAfterMs;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      nextMs = backoffDelay(this.#backoff, known.failures++);
      this.#options.log.warn('reconcile failed', { key, error, retryMs: Math.round(nextMs) });
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

  /** A key of an object that is gone must not stay for ever; one that ran just now still owes its minimal interval. */
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
