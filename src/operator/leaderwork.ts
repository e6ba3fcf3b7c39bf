import { KeyedQueue, type Result } from '../kube/queue.ts';
import type { Log } from '../log.ts';
import type { Allocator, Settled } from './allocator.ts';
import type { Caches } from './caches.ts';
import type { Statuses } from './statuses.ts';

/** Changes in a burst share one run. A single join does not wait. */
const allocateIntervalMs = 50;
/** How often statuses are written at most: their counts change with every join, and every agent sees each change. */
const statusIntervalMs = 1_000;

/** State of one term as leader. What was planned ends with it. */
interface Term {
  signal: AbortSignal;
  /** Whether everything has been listed again since the term began. */
  listed: boolean;
  /** The last allocation that had nothing left to write. The statuses follow from it. */
  settled?: Settled;
}

/**
 * The leader's work: it allocates, and writes the statuses that follow. An operator that does not lead does nothing.
 */
export class LeaderWork {
  readonly #caches: Caches;
  readonly #allocator: Allocator;
  readonly #statuses: Statuses;
  readonly #allocation: KeyedQueue<'allocate'>;
  readonly #status: KeyedQueue<'status'>;
  #term: Term | undefined;

  constructor({
    caches,
    allocator,
    statuses,
    log,
  }: {
    caches: Caches;
    allocator: Allocator;
    statuses: Statuses;
    log: Log;
  }) {
    this.#caches = caches;
    this.#allocator = allocator;
    this.#statuses = statuses;
    this.#allocation = new KeyedQueue({
      log,
      minIntervalMs: allocateIntervalMs,
      reconcile: (_key, signal) => this.#allocate(signal),
    });
    this.#status = new KeyedQueue({
      log,
      minIntervalMs: statusIntervalMs,
      reconcile: () => this.#writeStatuses(),
    });
  }

  get leading(): boolean {
    return this.#term?.signal.aborted === false;
  }

  /** For metrics. */
  get queues() {
    return { allocation: this.#allocation, status: this.#status };
  }

  /** @param signal aborted when the Lease is lost */
  begin(signal: AbortSignal): void {
    this.#term = { signal, listed: false };
    this.allocate();
  }

  end(): void {
    this.#term = undefined;
  }

  allocate(afterMs = 0): void {
    this.#allocation.addAfter('allocate', afterMs);
  }

  writeStatuses(): void {
    this.#status.add('status');
  }

  async stop(): Promise<void> {
    await Promise.all([this.#allocation.stop(), this.#status.stop()]);
  }

  async #allocate(signal: AbortSignal): Promise<Result | undefined> {
    const term = this.#term;
    if (term?.signal.aborted !== false || !this.#caches.synced) return undefined;
    // a standby's watches may have been hanging for a long time
    if (!term.listed) await this.#caches.relist();
    term.listed = true;
    return this.#allocator.run(AbortSignal.any([signal, term.signal]), (settled) => {
      term.settled = settled;
      this.writeStatuses();
    });
  }

  async #writeStatuses(): Promise<Result | undefined> {
    const term = this.#term;
    if (term?.settled === undefined || term.signal.aborted) return undefined;
    const { outdated, ...result } = await this.#statuses.write(term.settled, term.signal);
    if (outdated) this.allocate();
    return result;
  }
}
