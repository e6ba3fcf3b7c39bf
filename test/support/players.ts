import { Judge } from '../../src/agent/judge.ts';
import { releasedNodes } from '../../src/belief/released.ts';
import { register, registrationOf, SeenVersion } from '../../src/report/registration.ts';
import type { AgentAllocationSpec, KubeObject } from '../../src/api/types.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { Informer } from '../../src/kube/informer.ts';
import {
  agentAllocations,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Resource,
} from '../../src/kube/resources.ts';

/** Interval at which every player reads the caches, in milliseconds. */
const everyMs = 50;

/** Agents without nodes, which share one set of watches. Each believes and registers like a real one. */
export class Players {
  readonly #client: Client;
  readonly #caches: SharedCaches;
  readonly #players = new Map<string, Player>();
  #timer: NodeJS.Timeout;

  constructor(kubeconfig: string) {
    this.#client = connect({ kubeconfig });
    this.#caches = new SharedCaches(this.#client);
    this.#timer = setInterval(() => {
      if (!this.#caches.synced) return;
      for (const player of this.#players.values()) void player.look();
    }, everyMs);
  }

  add(node: string, address: string): void {
    this.#players.set(node, new Player(node, address, this.#client, this.#caches));
  }

  /** Removes a node that was switched off, with what it knew. */
  remove(node: string): void {
    this.#players.delete(node);
  }

  /** Returns the allocation that its kernel would have. */
  held(node: string): AgentAllocationSpec | undefined {
    return this.#players.get(node)?.held;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#caches.stop();
    await this.#client.close();
  }
}

class SharedCaches {
  readonly configs: Informer<Kinds['config']>;
  readonly networks: Informer<Kinds['network']>;
  readonly allocations: Informer<Kinds['allocation']>;
  readonly agents: Informer<Kinds['agent']>;
  readonly #all: Pick<
    Informer<KubeObject>,
    'hasSynced' | 'resource' | 'resourceVersion' | 'start' | 'stop' | 'onWentBack'
  >[];

  constructor(client: Client) {
    this.configs = new Informer(client, overlayConfigs);
    this.networks = new Informer(client, overlayNetworks);
    this.allocations = new Informer(client, agentAllocations);
    this.agents = new Informer(client, overlayAgents);
    const { configs, networks, allocations, agents } = this;
    this.#all = [configs, networks, allocations, agents];
    for (const informer of this.#all) informer.start();
  }

  get synced(): boolean {
    return this.#all.every(({ hasSynced }) => hasSynced);
  }

  get refused(): boolean {
    return [this.configs, this.networks, this.allocations].some(({ refused }) => refused);
  }

  get versions(): Map<string, bigint> {
    return new Map(
      this.#all.map(({ resource, resourceVersion }) => [resource.plural, BigInt(resourceVersion)]),
    );
  }

  /** Returns the caches as one node's agent sees them. */
  of(node: string): ConstructorParameters<typeof Judge>[0]['caches'] {
    const synced = () => this.synced;
    const refused = () => this.refused;
    const versions = () => this.versions;
    const { configs, networks, allocations } = this;
    return {
      configs,
      released: releasedNodes(allocations),
      onWentBack: (handler) => {
        for (const informer of this.#all) informer.onWentBack(handler);
      },
      get synced() {
        return synced();
      },
      get refused() {
        return refused();
      },
      get versions() {
        return versions();
      },
      get allocation() {
        return allocations.get(node);
      },
      get cached() {
        return {
          config: configs.get('default'),
          networks: networks.list(),
          allocations: allocations.list(),
        };
      },
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.stop()));
  }
}

interface Kinds {
  config: Of<typeof overlayConfigs>;
  network: Of<typeof overlayNetworks>;
  allocation: Of<typeof agentAllocations>;
  agent: Of<typeof overlayAgents>;
}
type Of<R> = R extends Resource<infer T> ? T : never;

class Player {
  readonly #node: string;
  readonly #address: string;
  readonly #client: Client;
  readonly #caches: SharedCaches;
  readonly #seen = new SeenVersion(undefined);
  readonly #judge: Judge;
  #busy = false;

  constructor(node: string, address: string, client: Client, caches: SharedCaches) {
    this.#node = node;
    this.#address = address;
    this.#client = client;
    this.#caches = caches;
    this.#judge = new Judge({ node, caches: caches.of(node), seen: this.#seen, last: undefined });
  }

  get held(): AgentAllocationSpec | undefined {
    return this.#judge.believed?.allocations.find(({ node }) => node === this.#node)?.spec;
  }

  async look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      this.#judge.run();
      await this.#register();
    } catch {
      // the API server is away, or another write came first: the next round tries again
    } finally {
      this.#busy = false;
    }
  }

  async #register(): Promise<void> {
    const { agents, configs, versions } = this.#caches;
    const { highest, wentBack } = this.#seen.observe(versions);
    const spec = registrationOf({
      addresses: [this.#address],
      uplinkMTU: 1500,
      held: this.held,
      docker: [],
      seenResourceVersion: highest,
      restore: configs.get('default')?.status?.restored?.id,
    });
    const written = await register(this.#client, this.#node, spec, agents.get(this.#node), wentBack);
    if (written !== undefined) agents.learn(written);
  }
}
