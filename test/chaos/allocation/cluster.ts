import { setTimeout as sleep } from 'node:timers/promises';
import type { OverlayNetwork, OverlayNetworkSpec } from '../../../src/api/types.ts';
import { ApiError, type Client } from '../../../src/kube/client.ts';
import { nodes, overlayNetworks, type Node } from '../../../src/kube/resources.ts';
import type { Agents } from './agents.ts';

/** A Node as it is meant to be. */
interface Machine {
  address: string;
  labels: Record<string, string>;
}

type NetworkSpec = Partial<OverlayNetworkSpec> & Pick<OverlayNetworkSpec, 'subnets'>;

/**
 * The cluster as its administrator means it to be: Nodes and networks. Every change is made here first, which follows from
 * the dice alone, and then in the API server, where nobody stands in its way.
 */
export class Cluster {
  readonly client: Client;
  readonly agents: Agents;
  readonly machines = new Map<string, Machine>();
  readonly networks = new Map<string, NetworkSpec>();
  /** Changes that the API server refused, as to an object that was gone already. */
  refused = 0;
  readonly #later: Promise<void>[] = [];
  readonly #over = new AbortController();
  #made = 0;

  constructor(client: Client, agents: Agents) {
    this.client = client;
    this.agents = agents;
  }

  async join(count: number, labels: () => Record<string, string>): Promise<void> {
    const names = Array.from({ length: count }, () => {
      const number = this.#made++;
      const name = `ovt-${number}`;
      this.machines.set(name, { address: `172.18.${number >> 8}.${number & 255}`, labels: labels() });
      return name;
    });
    await Promise.all(names.map((name) => this.#make(name)));
  }

  async leave(name: string): Promise<void> {
    this.machines.delete(name);
    this.agents.leave(name);
    await this.try(() => this.client.delete(nodes, name));
  }

  /** The machine is made anew under its name: another uid, and an agent that knows nothing. */
  async remake(name: string): Promise<void> {
    this.agents.leave(name);
    await this.try(() => this.client.delete(nodes, name));
    await this.#make(name);
  }

  async label(name: string, labels: Record<string, string>): Promise<void> {
    const machine = this.machines.get(name);
    if (machine === undefined) return;
    machine.labels = labels;
    // a label that is left out of a merge patch stays
    const gone = { role: null, 'overlaynet.dev/bridges': null };
    await this.try(() =>
      this.client.patch(nodes, name, { metadata: { labels: { ...gone, ...labels } } }, { type: 'merge' }),
    );
  }

  async apply(name: string, spec: NetworkSpec): Promise<void> {
    this.networks.set(name, spec);
    await this.try(async () => {
      const known = await this.client.get(overlayNetworks, name);
      const { apiVersion, kind } = overlayNetworks;
      const metadata = known?.metadata ?? { name };
      const object = { apiVersion, kind, metadata, spec: spec as OverlayNetwork['spec'] };
      await (known === undefined
        ? this.client.create(overlayNetworks, object)
        : this.client.update(overlayNetworks, object));
    }, 3);
  }

  async remove(name: string): Promise<void> {
    this.networks.delete(name);
    await this.try(() => this.client.delete(overlayNetworks, name));
  }

  /** What the API server refuses because of what is there by now is no failure of the run; a conflict is tried again. */
  async try(change: () => Promise<unknown>, times = 1): Promise<void> {
    try {
      await change();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (times > 1 && error.status === 409) return this.try(change, times - 1);
      this.refused++;
    }
  }

  /** Does it after a while; the run goes on meanwhile. */
  later(ms: number, change: () => Promise<void>): void {
    const done = sleep(ms, undefined, { signal: this.#over.signal }).then(change);
    // it is reported when all that was to be done is waited for
    done.catch(() => undefined);
    this.#later.push(done);
  }

  /** All that was to be done later is done. */
  async settled(): Promise<void> {
    await Promise.all(this.#later.splice(0));
  }

  /** Does nothing more: what was to be done later and has not begun is left out. */
  async end(): Promise<void> {
    this.#over.abort();
    await Promise.allSettled(this.#later);
  }

  async #make(name: string): Promise<void> {
    const machine = this.machines.get(name);
    if (machine === undefined) return;
    const { address, labels } = machine;
    await this.try(async () => {
      const node = await this.client.create<Node>(nodes, {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels },
      });
      const status = { addresses: [{ type: 'InternalIP', address }] };
      await this.client.updateStatus<Node>(nodes, { ...node, status });
      this.agents.join(name, address);
    });
  }
}
