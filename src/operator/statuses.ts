import { isDeepStrictEqual } from 'node:util';
import type { DeletionVerdict } from '../allocate/deleting.ts';
import { roomForPods } from '../allocate/fullness.ts';
import type { Plan } from '../allocate/plan.ts';
import { Holdings } from '../allocate/render.ts';
import { allocationStatus } from '../allocate/allocationstatus.ts';
import { configStatus } from '../allocate/configstatus.ts';
import { gather } from '../allocate/facts.ts';
import { reservationStatus } from '../allocate/reservationstatus.ts';
import { networkStatus } from '../allocate/networkstatus.ts';
import type { View } from '../allocate/view.ts';
import type { Condition, KubeObject, OverlayNetwork, OverlayNetworkStatus } from '../api/types.ts';
import { ApiError, type Client } from '../kube/client.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Informer } from '../kube/informer.ts';
import {
  agentAllocations,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  type Resource,
} from '../kube/resources.ts';
import type { Settled } from './allocator.ts';
import type { Caches } from './caches.ts';
import type { OperatorMetrics } from './metrics.ts';
import type { NetworkGuard } from './guard.ts';
import { NodePods } from './nodepods.ts';
import { inParallel } from './parallel.ts';

/**
 * Minimal time between writes of a status whose numbers alone changed, where there are many agents, which all see it;
 * in milliseconds.
 */
const numbersMs = 5_000;
const manyAgents = 100;

/** Reasons of transitional states, which get no Event. */
const quiet = new Set(['Progressing', 'NoAgents', 'NotStored', 'AgentsAsked']);

/** Conditions that report a problem when they are True. */
const alarmTypes = new Set(['Restored', 'Degraded', 'Quarantined', 'Exhausting', 'TightBlocks', 'Deleting']);

/** No node takes many more pods than this: a network whose nodes have room for more is never tight. */
const mostPods = 256;

/** The next Nodes whose pods are not known are read after so many milliseconds. */
const readPodsMs = 1_000;

/** Writes the status of every object that the allocation changed, and an Event for each new reason. */
export class Statuses {
  readonly #client: Client;
  readonly #caches: Caches;
  readonly #events: EventRecorder;
  readonly #metrics: OperatorMetrics;
  readonly #pods: NodePods;
  readonly #guard: NetworkGuard;
  readonly #holdings = new Holdings();
  /** By network: time of the last status write. */
  readonly #written = new Map<string, number>();

  constructor(options: {
    client: Client;
    caches: Caches;
    events: EventRecorder;
    metrics: OperatorMetrics;
    pods?: NodePods;
    guard: NetworkGuard;
  }) {
    this.#client = options.client;
    this.#caches = options.caches;
    this.#events = options.events;
    this.#metrics = options.metrics;
    this.#guard = options.guard;
    this.#pods = options.pods ?? new NodePods(options.client);
  }

  /**
   * Writes the statuses that follow from a plan, for exactly the objects that were planned, because nothing is known
   * of objects that changed since. Rejects where a status could not be written; after a lost race the other change
   * stands.
   * @param signal fires when the Lease ends: what was planned under it does not count any more
   * @returns when to look again, where a status whose numbers alone changed is written later, and whether to plan
   * again first
   */
  async write(
    { view: planned, plan }: Settled,
    signal: AbortSignal,
  ): Promise<{ requeueAfterMs?: number; outdated: boolean }> {
    const agents = this.#caches.agents.byName;
    const view = { ...planned, now: Date.now(), agents };
    let later = (await this.#readPods(view, plan)) ? readPodsMs : Infinity;
    const deletions = this.#guard.judge(view, plan);
    const { set, failures } = await this.#setFinalizers(view, deletions, signal);
    for (const { wakeAt } of deletions.values()) later = Math.min(later, Math.max(0, wakeAt - view.now) + 1);
    const facts = gather(view, plan, {
      holdings: this.#holdings,
      pods: (node) => this.#pods.of(node),
      deletions: new Map(
        [...deletions].flatMap(([name, { finding }]) => (finding === undefined ? [] : [[name, finding]])),
      ),
    });
    const puts: Put[] = [];
    const shown = new Map<string, OverlayNetworkStatus>();
    for (const network of view.networks) {
      const status = networkStatus(network, facts);
      shown.set(network.metadata.name, status);
      const wait = this.#patience(network, status, view.now);
      if (wait > 0) later = Math.min(later, wait);
      else puts.push(new StatusPut(overlayNetworks, this.#caches.networks, network, status));
    }
    this.#metrics.networks(shown);
    this.#metrics.alarms(plan);
    if (view.config !== undefined) {
      puts.push(new StatusPut(overlayConfigs, this.#caches.configs, view.config, configStatus(facts)));
    }
    for (const object of view.allocations.values()) {
      const status = allocationStatus(object, facts);
      if (status !== undefined)
        puts.push(new StatusPut(agentAllocations, this.#caches.allocations, object, status));
    }
    for (const object of view.reservations.values()) {
      const status = reservationStatus(object, facts);
      puts.push(new StatusPut(overlayReservations, this.#caches.reservations, object, status));
    }
    const due = puts.filter((put) => put.differs);
    const current = due.filter((put) => put.isCurrent);
    await inParallel(current, async (put) => {
      if (signal.aborted || !(await put.send(this.#client))) return;
      for (const [type, condition] of put.changedConditions())
        this.#events.event(put.object, type, condition);
    });
    // one network whose finalizer is refused holds up no status
    if (failures.length > 0) throw failures[0];
    return {
      ...(later === Infinity ? {} : { requeueAfterMs: later }),
      // what was judged is not what is stored any more
      outdated: set || current.length < due.length,
    };
  }

  /** @returns whether any was set, so that what is stored is not what was planned, and what the API server refused */
  async #setFinalizers(
    { networks }: View,
    deletions: ReadonlyMap<string, DeletionVerdict>,
    signal: AbortSignal,
  ): Promise<{ set: boolean; failures: unknown[] }> {
    const due = networks.flatMap((network) => {
      const finalizer = deletions.get(network.metadata.name)?.finalizer;
      return finalizer === undefined ? [] : [{ network, finalizer }];
    });
    const failures: unknown[] = [];
    await inParallel(due, async ({ network, finalizer }) => {
      if (signal.aborted) return;
      try {
        await this.#guard.set(network, finalizer);
      } catch (error) {
        failures.push(error);
      }
    });
    return { set: due.length > failures.length, failures };
  }

  /** Only a network of small blocks makes it matter how many pods nodes take. @returns whether there are more to read */
  async #readPods({ networks, nodes }: View, { registrations }: Plan): Promise<boolean> {
    if (!networks.some(({ spec }) => (roomForPods(spec) ?? Infinity) < mostPods)) return false;
    return this.#pods.readSome([...registrations.accepted.keys()].flatMap((name) => nodes.get(name) ?? []));
  }

  /** How long a status whose numbers alone changed can still wait, in milliseconds. */
  #patience({ metadata, status: before }: OverlayNetwork, status: OverlayNetworkStatus, now: number): number {
    if (isDeepStrictEqual(status, before)) return 0;
    const rest = this.#caches.agents.list().length > manyAgents ? numbersMs : 0;
    const wait =
      substance(status) === substance(before) ? (this.#written.get(metadata.name) ?? 0) + rest - now : 0;
    if (wait <= 0) this.#written.set(metadata.name, now);
    return wait;
  }
}

type WithConditions = KubeObject & { status?: { conditions?: Condition[] } | undefined };

type Put = Pick<StatusPut<WithConditions>, 'differs' | 'isCurrent' | 'send' | 'changedConditions' | 'object'>;

/** The next status of one object, to be written over exactly the object that it was made for. */
class StatusPut<T extends WithConditions> {
  readonly object: T;
  readonly #resource: Resource<T>;
  readonly #informer: Informer<T>;
  readonly #status: T['status'];

  constructor(resource: Resource<T>, informer: Informer<T>, object: T, status: T['status']) {
    this.object = object;
    this.#resource = resource;
    this.#informer = informer;
    this.#status = status;
  }

  get differs(): boolean {
    return !isDeepStrictEqual(this.#status, this.object.status);
  }

  /** Whether the cache still has the version that was planned. */
  get isCurrent(): boolean {
    const { name, resourceVersion } = this.object.metadata;
    return this.#informer.get(name)?.metadata.resourceVersion === resourceVersion;
  }

  /** Writes a status; false after a lost race. */
  async send(client: Client): Promise<boolean> {
    try {
      this.#informer.learn(
        await client.updateStatus(this.#resource, { ...this.object, status: this.#status }),
      );
      return true;
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return false;
      throw error;
    }
  }

  /** Conditions with a new reason, by the type of Event that reports it. */
  changedConditions(): ['Warning' | 'Normal', Condition][] {
    return (this.#status?.conditions ?? []).flatMap((condition) => {
      const old = this.object.status?.conditions?.find(({ type }) => type === condition.type);
      if (old?.reason === condition.reason || quiet.has(condition.reason)) return [];
      // these repeat what the others report
      if (condition.type === 'Stalled' || condition.type === 'Reconciling') return [];
      // there are as many as nodes; a new reason for a refusal is news
      if (condition.type === 'Reserved' || condition.type === 'Bound') return [];
      // the user asked for that
      if (condition.type === 'Draining')
        return condition.reason === 'NotDraining' ? [] : [['Normal', condition]];
      if (old === undefined && condition.status === 'True' && isUsual(condition, this.object)) return [];
      const bad = alarmTypes.has(condition.type) ? 'True' : 'False';
      return [[condition.status === bad ? 'Warning' : 'Normal', condition]];
    });
  }
}

const isUsual = ({ type }: Condition, { kind }: KubeObject): boolean =>
  type === 'Ready' || kind === overlayReservations.kind;

/** A network's status without its numbers. */
const substance = (status: OverlayNetworkStatus | undefined): string =>
  JSON.stringify([
    status?.subnets,
    status?.capacity?.map(({ cidr }) => cidr),
    status?.draining?.map(({ cidr, state }) => [cidr, state]),
    status?.conditions?.map(({ type, status: is, reason, observedGeneration }) => [
      type,
      is,
      reason,
      observedGeneration,
    ]),
  ]);
