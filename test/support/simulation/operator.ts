import { silent } from '../../../src/log.ts';
import type { OperatorMetrics } from '../../../src/operator/metrics.ts';
import { MemoryClient } from './client.ts';
import type { Program } from './program.ts';
import type { Process, Scheduler } from './scheduler.ts';
import type { MemoryServer } from './server.ts';

/** The same value as in src/operator/run.ts. */
const allocateIntervalMs = 50;

const uncounted = { planned: () => undefined, wrote: () => undefined } as unknown as OperatorMetrics;

interface Options {
  program: Program;
  process: Process;
  server: MemoryServer;
  scheduler: Scheduler;
}

/** The operator's real parts, connected as in its main program; the simulation decides which operator has the Lease. */
export class SimulatedOperator {
  readonly process: Process;
  /**
   * The revision at which the current run began. What the run removes must be unneeded at that revision or a later one.
   */
  runningSince = Infinity;
  readonly #queue: InstanceType<Program['KeyedQueue']>;
  readonly #scheduler: Scheduler;
  #leading: { controller: AbortController; listed: boolean } | undefined;

  constructor(options: Options) {
    const { process, scheduler } = options;
    this.process = process;
    this.#scheduler = scheduler;
    scheduler.add(process);
    this.#queue = scheduler.as(process, () => this.#connected(options));
  }

  #connected({ program, process, server, scheduler }: Options): InstanceType<Program['KeyedQueue']> {
    const client = new MemoryClient({
      server,
      gate: scheduler,
      actor: process.name,
      error: program.ApiError,
    }).asClient;
    const caches = new program.Caches(client, silent);
    const allocator = new program.Allocator({ client, caches, log: silent, metrics: uncounted });
    const queue = new program.KeyedQueue({
      log: silent,
      minIntervalMs: allocateIntervalMs,
      reconcile: async (_key, signal) => {
        const term = this.#leading;
        if (term?.controller.signal.aborted !== false || !caches.synced) return undefined;
        this.runningSince = server.revision;
        if (!term.listed) await caches.relist();
        term.listed = true;
        return allocator.run(AbortSignal.any([signal, term.controller.signal]), () => undefined);
      },
    });
    caches.start(
      () => {
        queue.add('allocate');
      },
      () => undefined,
    );
    return queue;
  }

  get leads(): boolean {
    return this.#leading?.controller.signal.aborted === false;
  }

  lead(): void {
    if (this.leads) return;
    this.#leading = { controller: new AbortController(), listed: false };
    this.#scheduler.as(this.process, () => {
      this.#queue.add('allocate');
    });
  }

  /** Tells the operator that it does not lead any more. */
  depose(): void {
    this.#scheduler.as(this.process, () => this.#leading?.controller.abort(new Error('no longer leading')));
  }
}
