import { isDeepStrictEqual } from 'node:util';
import { allocationStatus, configStatus, gather, networkStatus } from '../allocate/status.ts';
import type {
  AgentAllocation,
  Condition,
  KubeObject,
  OverlayConfig,
  OverlayNetwork,
  OverlayNetworkStatus,
  SubnetCapacity,
} from '../api/types.ts';
import { ApiError, type Client } from '../kube/client.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Informer } from '../kube/informer.ts';
import { agentAllocations, overlayConfigs, overlayNetworks, type Resource } from '../kube/resources.ts';
import type { Settled } from './allocator.ts';
import type { Caches } from './caches.ts';
import type { OperatorMetrics } from './metrics.ts';
import { inParallel } from './parallel.ts';

type WithConditions = KubeObject & { status?: { conditions?: Condition[] } | undefined };

/** Every agent sees every status: where there are many, numbers alone are written at most so often, in milliseconds. */
const numbersMs = 5_000;
const manyAgents = 100;

/** States on the way to another: not worth an Event each. */
const quiet = new Set(['Progressing', 'NoAgents']);

/** Writes the status of every object that the allocation shows to have changed, and an Event for each new reason. */
export class Statuses {
  private readonly client: Client;
  private readonly caches: Caches;
  private readonly events: EventRecorder;
  private readonly metrics: OperatorMetrics;
  /** By network: when its status was last written. */
  private readonly written = new Map<string, number>();

  constructor(options: { client: Client; caches: Caches; events: EventRecorder; metrics: OperatorMetrics }) {
    this.client = options.client;
    this.caches = options.caches;
    this.events = options.events;
    this.metrics = options.metrics;
  }

  /**
   * Rejects where a status could not be written; a lost race is left to the change that won it.
   * @returns when to look again, where a status whose numbers alone changed is written later
   */
  async write({ view: planned, plan }: Settled): Promise<{ requeueAfterMs?: number }> {
    const agents = new Map(this.caches.agents.list().map((agent) => [agent.metadata.name, agent]));
    const view = { ...planned, now: Date.now(), agents };
    const facts = gather(view, plan);
    let later = Infinity;
    const work: (() => Promise<void>)[] = [];
    const capacity = new Map<string, SubnetCapacity[]>();
    for (const known of view.networks) {
      const network = this.caches.networks.get(known.metadata.name);
      if (network === undefined) continue;
      const status = networkStatus(network, facts);
      capacity.set(network.metadata.name, status.capacity ?? []);
      const wait = this.patience(network, status, view.now);
      if (wait > 0) {
        later = Math.min(later, wait);
        continue;
      }
      work.push(() =>
        this.put<OverlayNetwork>(overlayNetworks, this.caches.networks, { ...network, status }, network),
      );
    }
    this.metrics.capacity(capacity);
    const config = this.caches.configs.get('default');
    if (config !== undefined) {
      const status = configStatus({ ...facts, view: { ...view, config } });
      work.push(() =>
        this.put<OverlayConfig>(overlayConfigs, this.caches.configs, { ...config, status }, config),
      );
    }
    for (const object of this.caches.allocations.list()) {
      const status = allocationStatus(object, facts);
      if (status === undefined) continue;
      work.push(() =>
        this.put<AgentAllocation>(agentAllocations, this.caches.allocations, { ...object, status }, object),
      );
    }
    await inParallel(work, (task) => task());
    return later === Infinity ? {} : { requeueAfterMs: later };
  }

  /** How long a status whose numbers alone changed can still wait, in milliseconds. */
  private patience(
    { metadata, status: before }: OverlayNetwork,
    status: OverlayNetworkStatus,
    now: number,
  ): number {
    if (isDeepStrictEqual(status, before)) return 0;
    const rest = this.caches.agents.list().length > manyAgents ? numbersMs : 0;
    const wait =
      substance(status) === substance(before) ? (this.written.get(metadata.name) ?? 0) + rest - now : 0;
    if (wait <= 0) this.written.set(metadata.name, now);
    return wait;
  }

  private async put<T extends WithConditions>(
    resource: Resource<T>,
    cache: Informer<T>,
    next: T,
    before: T,
  ): Promise<void> {
    if (isDeepStrictEqual(next.status, before.status)) return;
    try {
      cache.learn(await this.client.updateStatus(resource, next));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return;
      throw error;
    }
    for (const condition of next.status?.conditions ?? []) {
      const old = before.status?.conditions?.find(({ type }) => type === condition.type);
      if (old?.reason === condition.reason || quiet.has(condition.reason)) continue;
      if (old === undefined && condition.status === 'True' && condition.type === 'Ready') continue;
      const type = condition.status === 'False' ? 'Warning' : 'Normal';
      this.events.event(next, type, condition.reason, condition.message);
    }
  }
}

/** A network's status without its numbers. */
const substance = (status: OverlayNetworkStatus | undefined): string =>
  JSON.stringify([
    status?.subnets,
    status?.capacity?.map(({ cidr }) => cidr),
    status?.conditions?.map(({ type, status: is, reason, observedGeneration }) => [
      type,
      is,
      reason,
      observedGeneration,
    ]),
  ]);
