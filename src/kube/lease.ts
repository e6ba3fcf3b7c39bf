import type { Log } from '../log.ts';
import { ApiError, type Client } from './client.ts';
import { messageOf } from './error.ts';
import { leases, type Lease, type LeaseSpec } from './resources.ts';
import { pause } from './wait.ts';

export interface LeaderElectionOptions {
  client: Client;
  namespace: string;
  name: string;
  /** Differs between candidates, and between one process and its successor. */
  identity: string;
  /** How long others wait for a leader that does not renew. */
  leaseDurationMs?: number;
  /** A leader that could not renew for so long gives up; shorter than leaseDurationMs. */
  renewDeadlineMs?: number;
  retryPeriodMs?: number;
  /** The signal fires when leadership ends. */
  onStartedLeading: (signal: AbortSignal) => void;
  onStoppedLeading: () => void;
  log: Log;
}

/** metav1.MicroTime */
const microTime = (): string => new Date().toISOString().replace('Z', '000Z');

/**
 * client-go's election: one of several candidates holds the Lease. It saves work and fences nothing: a paused leader
 * can wake up and write before it notices. Clocks are not compared: a Lease has expired when it was seen unchanged
 * for its duration by this process's own clock.
 */
export class LeaderElection {
  readonly #options: Required<LeaderElectionOptions>;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  /** The Lease as last seen, and since when it has looked so. */
  #seen: Lease | undefined;
  #seenAt = 0;
  #leading: AbortController | undefined;
  #renewedAt = -Infinity;

  constructor(options: LeaderElectionOptions) {
    this.#options = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000, ...options };
  }

  /** False as soon as others may lead, also in a process that was paused and has not noticed yet. */
  get isLeader(): boolean {
    return this.#leading !== undefined && this.#sinceRenewalMs() < this.#options.leaseDurationMs;
  }

  /** A candidate until stop(): leads, loses, and tries again. Resolves after stop(). */
  run(): Promise<void> {
    this.#running ??= this.#run(this.#stopped.signal);
    return this.#running;
  }

  /** Gives the Lease back, so that another can take it at once. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { retryPeriodMs, renewDeadlineMs } = this.#options;
    while (!signal.aborted) {
      // first, as this may be a process that was paused for long
      if (this.#leading !== undefined && this.#sinceRenewalMs() >= renewDeadlineMs)
        this.#end('could not renew');
      const held = await this.#tryOnce();
      if (held && this.#leading === undefined) this.#start();
      if (!held && this.#leading !== undefined && this.#heldByOther()) this.#end('another holds the lease');
      // candidates spread out; a leader keeps time, and never sleeps past its deadline
      const waitMs =
        this.#leading === undefined
          ? retryPeriodMs * (1 + Math.random() * 0.2)
          : Math.min(retryPeriodMs, Math.max(0, renewDeadlineMs - this.#sinceRenewalMs()));
      await pause(waitMs, signal);
    }
    const led = this.#leading !== undefined;
    if (led) this.#end('stopped');
    await this.#release(led);
  }

  /** Whether we hold the Lease now. Never throws. */
  async #tryOnce(): Promise<boolean> {
    const { client, namespace, name, identity, leaseDurationMs, renewDeadlineMs, log } = this.#options;
    const resource = leases(namespace);
    // an answer after the deadline comes too late for a leader; a candidate has time
    const options = () => ({
      signal: this.#stopped.signal,
      timeoutMs:
        this.#leading === undefined
          ? leaseDurationMs
          : Math.max(1, Math.ceil(renewDeadlineMs - this.#sinceRenewalMs())),
    });
    const asked = performance.now();
    const wanted: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.round(leaseDurationMs / 1000)),
      renewTime: microTime(),
    };
    try {
      const lease = await client.get(resource, name, options());
      this.#see(lease);
      if (lease !== undefined && !this.#mayTake(lease)) return false;
      const spec = lease?.spec ?? {};
      const ours = spec.holderIdentity === identity;
      const next: Lease = {
        metadata: { ...lease?.metadata, name },
        spec: {
          ...wanted,
          acquireTime: (ours ? spec.acquireTime : undefined) ?? microTime(),
          leaseTransitions: (spec.leaseTransitions ?? 0) + (lease === undefined || ours ? 0 : 1),
        },
      };
      const write =
        lease === undefined
          ? client.create(resource, next, options())
          : client.update(resource, next, options());
      this.#see(await write);
      // the duration counts from before the write, as no other candidate can have seen it earlier
      this.#renewedAt = asked;
      return this.#sinceRenewalMs() < renewDeadlineMs;
    } catch (error) {
      const lost = error instanceof ApiError && error.status === 409;
      if (!lost && !this.#stopped.signal.aborted) {
        log.warn('lease', { name, error: messageOf(error) });
      }
      return false;
    }
  }

  #see(lease: Lease | undefined): void {
    const changed = lease?.metadata.resourceVersion !== this.#seen?.metadata.resourceVersion;
    if (changed) this.#seenAt = performance.now();
    this.#seen = lease;
  }

  #heldByOther(): boolean {
    const holder = this.#seen?.spec?.holderIdentity ?? '';
    return holder !== '' && holder !== this.#options.identity;
  }

  #mayTake({ spec }: Lease): boolean {
    if (!this.#heldByOther()) return true;
    // the holder's own duration counts: it may run with other settings
    const durationMs = (spec?.leaseDurationSeconds ?? 0) * 1000;
    return performance.now() - this.#seenAt >= durationMs;
  }

  #sinceRenewalMs(): number {
    return performance.now() - this.#renewedAt;
  }

  #start(): void {
    const { log, name, identity, onStartedLeading } = this.#options;
    this.#leading = new AbortController();
    log.info('leading', { lease: name, identity });
    onStartedLeading(this.#leading.signal);
  }

  #end(why: string): void {
    const { log, name, identity, onStoppedLeading } = this.#options;
    this.#leading?.abort(new Error(`${identity} no longer leads: ${why}`));
    this.#leading = undefined;
    log.info('no longer leading', { lease: name, identity, why });
    onStoppedLeading();
  }

  /** Reads first: a write that stop() cut short may have been done all the same. */
  async #release(led: boolean): Promise<void> {
    const { client, namespace, name, identity, log } = this.#options;
    const options = { timeoutMs: 2000 };
    try {
      const lease = await client.get(leases(namespace), name, options);
      if (lease?.spec?.holderIdentity !== identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
      await client.update(leases(namespace), { metadata: lease.metadata, spec }, options);
    } catch (error) {
      if (led) log.warn('cannot release the lease', { name, error: messageOf(error) });
    }
  }
}
