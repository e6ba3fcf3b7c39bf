import { silent } from '../../../src/log.ts';
import type { OperatorMetrics } from '../../../src/operator/metrics.ts';
import { MemoryClient } from './client.ts';
import type { Program } from './program.ts';
import type { Process, Scheduler } from './scheduler.ts';
import type { MemoryServer } from './server.ts';

/** As in src/operator/run.ts. */
const allocateIntervalMs = 50;

const uncounted = { planned: () => undefined, wrote: () => undefined } as unknown as OperatorMetrics;

/** The operator's real parts, wired as its main program wires them; the simulation decides who has the Lease. */
export class SimulatedOperator {
  readonly process: Process;
  /** The revision at which the run under way began: what it destroys has to be right as of a later one. */
  runningSince = Infinity;
  readonly #queue: InstanceType<Program['KeyedQueue']>;
  readonly #scheduler: Scheduler;
  #leading: { controller: AbortController; listed: boolean } | undefined;

  constructor(options: { program: Program; process: Process; server: MemoryServer; scheduler: Scheduler }) {
    const { program, process, server, scheduler } = options;
    this.process = process;
    this.#scheduler = scheduler;
    scheduler.add(process);
    scheduler.current = process;
    const client = new MemoryClient({
      server,
      gate: scheduler,
      actor: process.name,
      error: program.ApiError,
    }).asClient;
    const caches = new program.Caches(client, silent);
    const allocator = new program.Allocator({ client, caches, log: silent, metrics: uncounted });
    this.#queue = new program.KeyedQueue({
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
        this.#queue.add('allocate');
      },
      () => undefined,
    );
  }

  get leads(): boolean {
    return this.#leading?.controller.signal.aborted === false;
  }

  lead(): void {
    if (this.leads) return;
    this.#scheduler.current = this.process;
    this.#leading = { controller: new AbortController(), listed: false };
    this.#queue.add('allocate');
  }

  /** It learns that it does not lead any more. */
  depose(): void {
    this.#scheduler.current = this.process;
    this.#leading?.controller.abort(new Error('no longer leading'));
  }
}
