import type { AgentAllocation, OverlayAgent } from '../../src/api/types.ts';
import { overlayAgents } from '../../src/kube/resources.ts';
import PQueue from 'p-queue';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bed } from './bed.ts';

/**
 * Simulates the agents of all nodes: each reports in its OverlayAgent's spec and status what its AgentAllocation gives
 * it, as a real one does. So the operator's caches are as large as in a cluster, and it gets as many events.
 */
export class PlayedAgents {
  readonly #bed: Bed;
  readonly #answers = new PQueue({ concurrency: 10 });
  /** Number of networks in each node's AgentAllocation. */
  readonly #shown = new Map<string, number>();
  readonly #waiting = new Map<string, { networks: number; resolve: (at: number) => void }>();
  /** Nodes whose report is due. */
  readonly #due = new Set<string>();
  #failed: unknown;

  constructor(bed: Bed) {
    this.#bed = bed;
    bed.allocations.onChange((name, object) => {
      this.#see(name, object);
    });
  }

  /** Returns how many nodes have at least that many networks. */
  having(networks: number): number {
    return [...this.#shown.values()].filter((count) => count >= networks).length;
  }

  /** Resolves with the time at which that many nodes had that many networks. */
  async all(nodes: number, networks: number): Promise<number> {
    while (this.having(networks) < nodes) await sleep(10);
    return performance.now();
  }

  /** Resolves with the time at which a new node has that many networks. */
  filled(node: string, networks: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(node, { networks, resolve }));
  }

  /** Resolves when every agent has reported its allocation. */
  async answered(): Promise<void> {
    await this.#answers.onIdle();
    if (this.#failed !== undefined) throw new Error('an agent could not answer', { cause: this.#failed });
  }

  #see(name: string, object: AgentAllocation | undefined): void {
    const networks = object?.spec.networks?.length ?? 0;
    this.#shown.set(name, networks);
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined && networks >= waiting.networks) {
      this.#waiting.delete(name);
      waiting.resolve(performance.now());
    }
    if (networks === 0 || this.#due.has(name)) return;
    this.#due.add(name);
    this.#answers.add(() => this.#answer(name)).catch((error: unknown) => (this.#failed ??= error));
  }

  async #answer(name: string): Promise<void> {
    this.#due.delete(name);
    const spec = this.#bed.allocations.get(name)?.spec;
    const { client } = this.#bed.plane;
    const networks = (spec?.networks ?? []).map(({ name: network, subnets }) => ({
      name: network,
      subnets: subnets.map(({ cidr }) => cidr),
    }));
    const report = { vtep: spec?.vtep, networks, seenResourceVersion: this.#bed.allocations.resourceVersion };
    await client.patch<OverlayAgent>(overlayAgents, name, { spec: report }, { type: 'merge' });
    const status: OverlayAgent['status'] = {
      ...(spec === undefined ? {} : { revision: spec.revision }),
      networks: networks.map(({ name: network }) => ({ name: network, state: 'OK' as const })),
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'AllNetworksConfigured',
          message: `${networks.length} of ${networks.length} networks are configured`,
          lastTransitionTime: new Date().toISOString().replace(/\.\d+/, ''),
        },
      ],
    };
    await client.patch(overlayAgents, name, { status }, { type: 'merge', subresource: 'status' });
  }
}
