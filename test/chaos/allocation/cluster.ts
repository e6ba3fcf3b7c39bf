import { setTimeout as sleep } from 'node:timers/promises';
import type { OverlayNetwork, OverlayNetworkSpec } from '../../../src/api/types.ts';
import { ApiError, type Client } from '../../../src/kube/client.ts';
import { nodes, overlayNetworks, type Node } from '../../../src/kube/resources.ts';
import { deleteAtOnce } from '../../support/leader.ts';
import type { Agents } from './agents.ts';

/** The desired state of a Node. */
interface Machine {
  address: string;
  labels: Record<string, string>;
}

type NetworkSpec = Partial<OverlayNetworkSpec> & Pick<OverlayNetworkSpec, 'subnets'>;

/**
 * The cluster that its administrator wants: Nodes and networks. Every change is made here first, decided by the dice
 * alone, and then in the API server, directly.
 */
export class Cluster {
  readonly client: Client;
  readonly agents: Agents;
  readonly machines = new Map<string, Machine>();
  readonly networks = new Map<string, NetworkSpec>();
  /** Number of changes that the API server refused, for example because the object was gone. */
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

  /** Replaces the machine under its name: another uid, and an agent without any state. */
  async remake(name: string): Promise<void> {
    this.agents.leave(name);
    await this.try(() => this.client.delete(nodes, name));
    await this.#make(name);
  }

  async label(name: string, labels: Record<string, string>): Promise<void> {
    const machine = this.machines.get(name);
    if (machine === undefined) return;
    machine.labels = labels;
    // a merge patch keeps labels that it does not contain
    const noLabels = { role: null, 'overlaynet.dev/bridges': null };
    await this.try(() =>
      this.client.patch(nodes, name, { metadata: { labels: { ...noLabels, ...labels } } }, { type: 'merge' }),
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
      // an operator writes the finalizer and the status meanwhile
    }, 10);
  }

  async remove(name: string): Promise<void> {
    this.networks.delete(name);
    await this.try(() => deleteAtOnce(this.client, name));
  }

  /** Makes a change. A refusal that depends on the current objects is no failure of the run; a conflict is retried. */
  async try(change: () => Promise<unknown>, times = 1): Promise<void> {
    try {
      await change();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (times > 1 && error.status === 409) return this.try(change, times - 1);
      this.refused++;
    }
  }

  /** Makes a change after a while. The run continues meanwhile. */
  later(ms: number, change: () => Promise<void>): void {
    const done = sleep(ms, undefined, { signal: this.#over.signal }).then(change);
    // the error is reported when pending changes are awaited
    done.catch(() => undefined);
    this.#later.push(done);
  }

  /** Waits for all pending changes. */
  async settled(): Promise<void> {
    await Promise.all(this.#later.splice(0));
  }

  /** Ends: pending changes that have not begun are dropped. */
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
