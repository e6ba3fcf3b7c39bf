import type {
  AgentAllocation,
  KubeObject,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import {
  agentAllocations,
  endpointSlices,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Resource,
} from '../kube/resources.ts';
import type { Log } from '../log.ts';
import { APIServers } from './apiservers.ts';
import type { InformerCounters } from '../kube/metrics.ts';
import { releasedNodes } from '../belief/released.ts';
import type { Cached } from '../belief/snapshot.ts';

/** The state of an informer of any kind. */
type Cache = Pick<
  Informer<KubeObject>,
  'start' | 'stop' | 'hasSynced' | 'resourceVersion' | 'lastError' | 'refused' | 'counters' | 'onWentBack'
>;

/** The objects that an agent follows; of OverlayAgents only its own. */
export class Caches {
  readonly configs: Informer<OverlayConfig>;
  readonly networks: Informer<OverlayNetwork>;
  readonly allocations: Informer<AgentAllocation>;
  readonly agents: Informer<OverlayAgent>;
  readonly apiServers: APIServers;
  /** Nodes whose AgentAllocation the operator emptied. */
  readonly released: Set<string>;
  readonly #node: string;
  readonly #all: { resource: Resource<KubeObject>; informer: Cache }[];

  constructor(client: Client, node: string, log: Log) {
    this.#node = node;
    this.configs = new Informer(client, overlayConfigs, { log });
    this.networks = new Informer(client, overlayNetworks, { log });
    this.allocations = new Informer(client, agentAllocations, { log });
    this.released = releasedNodes(this.allocations);
    this.agents = new Informer(client, overlayAgents, { fieldSelector: `metadata.name=${node}`, log });
    this.apiServers = new APIServers(client, log);
    this.#all = [
      { resource: overlayConfigs, informer: this.configs },
      { resource: overlayNetworks, informer: this.networks },
      { resource: agentAllocations, informer: this.allocations },
      { resource: overlayAgents, informer: this.agents },
    ];
  }

  start(): void {
    for (const { informer } of this.#all) informer.start();
    this.apiServers.informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#all, this.apiServers].map(({ informer }) => informer.stop()));
  }

  /** Whether all kinds have been listed once. Before that, an object's absence means nothing. */
  get synced(): boolean {
    return this.#all.every(({ informer }) => informer.hasSynced);
  }

  /** Whether a kind is on its way: it was not listed yet, and the API server has not refused it. */
  get listing(): boolean {
    return this.#all.some(({ informer }) => !informer.hasSynced && !informer.refused);
  }

  /**
   * Why kinds cannot be listed, one phrase for each. An unreachable API server is no problem once they were listed.
   */
  get problems(): string[] {
    return this.#all
      .filter(({ informer }) => !informer.hasSynced || informer.refused)
      .map(({ resource, informer }) => informer.lastError ?? `${resource.plural} are not listed yet`);
  }

  /** By kind, for those that were listed: the resourceVersion up to which everything has been seen. */
  get versions(): Map<string, bigint> {
    return new Map(
      this.#all
        .filter(({ informer }) => informer.hasSynced && /^[0-9]+$/.test(informer.resourceVersion))
        .map(({ resource, informer }) => [resource.plural, BigInt(informer.resourceVersion)]),
    );
  }

  /**
   * Whether the API server refuses a kind that the data path depends on. Objects that seem to be missing may exist
   * then.
   */
  get refused(): boolean {
    return [this.configs, this.networks, this.allocations].some(({ refused }) => refused);
  }

  /** Calls back when a kind's objects are older than those seen before, which versions need not show. */
  onWentBack(handler: () => void): void {
    for (const { informer } of this.#all) informer.onWentBack(handler);
  }

  /** Counters of each kind's informer since the start. */
  get counters(): InformerCounters[] {
    const { informer } = this.apiServers;
    return [...this.#all, { resource: endpointSlices('default'), informer }].map(
      ({ resource, informer }) => ({ resource: resource.plural, ...informer.counters }),
    );
  }

  get cached(): Cached {
    const apiServers = this.apiServers.known;
    return {
      config: this.configs.get('default'),
      networks: this.networks.list(),
      allocations: this.allocations.list(),
      ...(apiServers === undefined ? {} : { apiServers }),
    };
  }

  /** Only this node's own object. */
  get allocation(): AgentAllocation | undefined {
    return this.allocations.get(this.#node);
  }

  get agent(): OverlayAgent | undefined {
    return this.agents.get(this.#node);
  }
}
