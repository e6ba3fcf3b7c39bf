import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import type { OwnControlPlane } from '../../support/controlplane.ts';
import { ServerProcess } from '../../support/kubeprocess.ts';
import type { Dice } from './dice.ts';
import { calm, FaultyProxy, type Ambush, type Weather } from './proxy.ts';

/** Times of the Lease, in milliseconds. */
export interface LeaseTimes {
  duration: number;
  deadline: number;
  retry: number;
}

/** Short enough that a pause can outlast it, and long enough for a busy machine to renew it. */
export const shortLease: LeaseTimes = { duration: 3_000, deadline: 2_500, retry: 300 };

/** An operator: a real process of the bundle, behind its own proxy. */
export class Operator {
  readonly proxy: FaultyProxy;
  /** The fault that is being injected. There is one at a time. */
  busy: Promise<void> | undefined;
  readonly leaseMs: number;
  readonly identity: string;
  readonly #bundle: string;
  readonly #kubeconfig: string;
  readonly #log: string;
  readonly #lease: string[];
  #process: ServerProcess | undefined;

  constructor(
    identity: string,
    options: { proxy: FaultyProxy; bundle: string; kubeconfig: string; logs: string; lease: LeaseTimes },
  ) {
    this.identity = identity;
    this.proxy = options.proxy;
    this.#bundle = options.bundle;
    this.#kubeconfig = options.kubeconfig;
    const { duration, deadline, retry } = options.lease;
    const times = { 'lease-duration': duration, 'renew-deadline': deadline, 'retry-period': retry };
    this.leaseMs = duration;
    this.#lease = Object.entries(times).map(([flag, ms]) => `--${flag}=${ms}ms`);
    this.#log = join(options.logs, `${identity}.log`);
  }

  start(): void {
    const own = ['--identity', this.identity, '--kubeconfig', this.#kubeconfig, '--listen', '127.0.0.1:0'];
    this.#process = new ServerProcess(process.execPath, [this.#bundle, ...own, ...this.#lease], this.#log);
  }

  /** @throws Error with its last log lines if it ended by itself */
  check(): void {
    this.#process?.check();
  }

  /** Stops the process like a suspended machine: nothing runs, but its connections stay open. */
  stop(): void {
    this.#process?.signal('SIGSTOP');
  }

  wake(): void {
    this.#process?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    const dying = this.#process;
    this.#process = undefined;
    await dying?.kill();
  }
}

/** The write at which a fault is injected, and its duration. */
export interface Strike {
  write: string;
  moment: Ambush['moment'];
  /** Number of such writes to let pass before. */
  skip: number;
  ms: number;
}

/** The faults that were injected. */
export interface Injuries {
  /** Number of pauses by the write at which they happened. */
  pauses: Map<string, number>;
  kills: number;
}

/** All operators of a run, and the faults that are injected. */
export class Operators {
  readonly all: Operator[] = [];
  readonly injuries: Injuries = { pauses: new Map(), kills: 0 };

  static async start(
    plane: OwnControlPlane,
    options: { count: number; bundle: string; logs: string; dice: Dice; lease: LeaseTimes },
  ): Promise<Operators> {
    const operators = new Operators();
    for (let at = 0; at < options.count; at++) {
      const identity = `ovt-operator-${String.fromCharCode(97 + at)}`;
      const proxy = await FaultyProxy.to(plane.server, options.dice.fork(identity));
      const kubeconfig = plane.kubeconfigAt(proxy.url);
      const operator = new Operator(identity, {
        proxy,
        bundle: options.bundle,
        kubeconfig,
        logs: options.logs,
        lease: options.lease,
      });
      operator.start();
      operators.all.push(operator);
    }
    return operators;
  }

  /** Operators without a fault in progress. */
  get idle(): Operator[] {
    return this.all.filter(({ busy }) => busy === undefined);
  }

  /**
   * Pauses the operator at its next write of that kind, for longer than its Lease lasts. If no such write comes within
   * a second, pauses it at any write; if none comes within three, at once.
   */
  pause(operator: Operator, plan: Strike): void {
    this.#during(operator, async () => {
      const over = Promise.withResolvers<undefined>();
      const where = await lieInWait(
        operator,
        plan,
        () => {
          operator.stop();
        },
        over.promise,
      );
      this.injuries.pauses.set(where, (this.injuries.pauses.get(where) ?? 0) + 1);
      await sleep(operator.leaseMs + plan.ms);
      operator.wake();
      over.resolve(undefined);
    });
  }

  /** The same with SIGKILL; then starts the operator again. */
  kill(operator: Operator, plan: Strike): void {
    this.#during(operator, async () => {
      this.injuries.kills++;
      await lieInWait(operator, plan, () => void operator.kill(), Promise.resolve());
      await operator.kill();
      await sleep(plan.ms);
      operator.start();
    });
  }

  halfOpen(operator: Operator, plan: { resources: string[]; ms: number; end: 'cut' | 'resume' }): void {
    this.#during(operator, () =>
      operator.proxy.halfOpen((one) => plan.resources.includes(one), sleep(plan.ms), plan.end),
    );
  }

  /** The operator with the latest write other than a Lease's, which is usually the leader. */
  get leader(): Operator | undefined {
    return this.all.reduce<Operator | undefined>(
      (found, one) => (found === undefined || one.proxy.wroteAt > found.proxy.wroteAt ? one : found),
      undefined,
    );
  }

  weather(operator: Operator, weather: Weather): void {
    operator.proxy.weather = weather;
  }

  /** Ends all faults and wakes all operators. */
  async calm(): Promise<void> {
    for (const { proxy } of this.all) proxy.weather = calm;
    await Promise.all(this.all.flatMap(({ busy }) => busy ?? []));
  }

  check(): void {
    for (const operator of this.idle) operator.check();
  }

  async end(): Promise<void> {
    await Promise.all(this.all.map((operator) => operator.kill()));
    await Promise.all(this.all.map(({ proxy }) => proxy.close()));
  }

  #during(operator: Operator, work: () => Promise<void>): void {
    operator.busy = work().finally(() => {
      operator.busy = undefined;
    });
  }
}

/**
 * Strikes at the chosen write, at any write if no such write comes within a second, or at once if none comes at all.
 * Returns the write.
 */
async function lieInWait(
  { proxy }: Operator,
  { write: wanted, moment, skip }: Strike,
  blow: () => void,
  over: Promise<unknown>,
): Promise<string> {
  const sprung = Promise.withResolvers<string>();
  const from = performance.now();
  const anyWill = () => performance.now() - from > 1_000;
  let toSkip = skip;
  proxy.ambush = {
    moment,
    matches: (write) =>
      (write === wanted && toSkip-- <= 0) ||
      (anyWill() && !write.endsWith('leases') && !write.endsWith('events')),
    spring: async (write) => {
      blow();
      sprung.resolve(write);
      await over;
    },
  };
  const waiting = new AbortController();
  const late = sleep(3_000, undefined, { signal: waiting.signal }).catch(() => undefined);
  const where = await Promise.race([sprung.promise, late]);
  waiting.abort();
  proxy.ambush = undefined;
  if (where === undefined) blow();
  return where ?? 'no write';
}
