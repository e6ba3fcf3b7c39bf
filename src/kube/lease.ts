import { faultOf, type Log } from '../log.ts';
import { Recurring } from '../recurring.ts';
import { ApiError, type Client } from './client.ts';
import { leases, type Lease, type LeaseSpec } from './resources.ts';
import { pause } from './wait.ts';

export interface LeaderElectionOptions {
  client: Client;
  namespace: string;
  name: string;
  /** Differs between candidates, and between a process and its successor. */
  identity: string;
  /** How long others wait before they replace a leader that does not renew. */
  leaseDurationMs?: number;
  /** A leader that could not renew for this long gives up. Shorter than leaseDurationMs. */
  renewDeadlineMs?: number;
  retryPeriodMs?: number;
  /** The signal fires when leadership ends. */
  onStartedLeading: (signal: AbortSignal) => void;
  onStoppedLeading: () => void;
  log: Log;
}

/** Now, as metav1.MicroTime. */
const microTime = (): string => new Date().toISOString().replace('Z', '000Z');

/**
 * Elects one leader among several candidates by a Lease, as client-go does. This saves work and is no fence: a leader
 * that was paused can wake up and write before it notices. Clocks are not compared: a Lease has expired when this
 * process saw it unchanged for its duration, by its own clock.
 */
export class LeaderElection {
  readonly #options: Required<LeaderElectionOptions>;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  /** The Lease as last seen; `#seenAt` is when it began to look so. */
  #seen: Lease | undefined;
  #seenAt = 0;
  #leading: AbortController | undefined;
  #renewedAt = -Infinity;
  readonly #faults: Recurring;

  constructor(options: LeaderElectionOptions) {
    this.#options = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000, ...options };
    this.#faults = new Recurring(options.log, 'cannot get or renew the Lease', 'the Lease answers again');
  }

  /**
   * Whether this process leads. False as soon as others may lead, also in a process that was paused and has not
   * noticed.
   */
  get isLeader(): boolean {
    return this.#leading !== undefined && this.#sinceRenewalMs() < this.#options.leaseDurationMs;
  }

  /** Runs as a candidate until stop(): leads, loses, and tries again. Resolves after stop(). */
  run(): Promise<void> {
    this.#running ??= this.#run(this.#stopped.signal);
    return this.#running;
  }

  /** Stops, and releases the Lease so that another candidate can take it at once. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { retryPeriodMs, renewDeadlineMs } = this.#options;
    while (!signal.aborted) {
      // checked first, because this process may have been paused for long
      if (this.#leading !== undefined && this.#sinceRenewalMs() >= renewDeadlineMs)
        this.#end(`it was not renewed for ${renewDeadlineMs} ms`, 'renew');
      const held = await this.#tryOnce();
      if (held && this.#leading === undefined) this.#start();
      if (!held && this.#leading !== undefined && this.#heldByOther())
        this.#end('another holds the Lease', 'renew');
      // candidates spread out; a leader keeps its schedule and never sleeps past its deadline
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

  /** Tries to take or renew the Lease. Returns whether this process holds it. Never throws. */
  async #tryOnce(): Promise<boolean> {
    const { client, namespace, name, identity, leaseDurationMs, renewDeadlineMs } = this.#options;
    const resource = leases(namespace);
    // for a leader an answer after the deadline is too late; a candidate has time
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
      if (lease !== undefined && !this.#mayTake(lease)) {
        this.#faults.succeeded(`leases/${name}`);
        return false;
      }
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
      this.#faults.succeeded(`leases/${name}`);
      // the duration counts from before the write, because no other candidate can have seen it earlier
      this.#renewedAt = asked;
      return this.#sinceRenewalMs() < renewDeadlineMs;
    } catch (error) {
      const lost = error instanceof ApiError && error.status === 409;
      if (!lost && !this.#stopped.signal.aborted) {
        this.#faults.failed([faultOf(`leases/${name}`, error, 'update')]);
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
    // the holder's own duration counts, because it may have other settings
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

  /** @param command what failed; undefined: this process gave the Lease up */
  #end(why: string, command?: string): void {
    const { log, name, identity, onStoppedLeading } = this.#options;
    this.#leading?.abort(new Error(`${identity} no longer leads: ${why}`));
    this.#leading = undefined;
    const object = `leases/${name}`;
    if (command === undefined) log.info('no longer leading', { lease: name, identity, why });
    else log.warn('no longer leading', { object, command: `${command} ${object}`, output: why, identity });
    onStoppedLeading();
  }

  /** Releases the Lease. It is read first, because a write that stop() interrupted may have succeeded. */
  async #release(led: boolean): Promise<void> {
    const { client, namespace, name, identity, log } = this.#options;
    const options = { timeoutMs: 2000 };
    try {
      const lease = await client.get(leases(namespace), name, options);
      if (lease?.spec?.holderIdentity !== identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
      await client.update(leases(namespace), { metadata: lease.metadata, spec }, options);
    } catch (error) {
      if (led) log.warn('cannot release the lease', faultOf(`leases/${name}`, error, 'update'));
    }
  }
}
