import type { KubeObject, OverlayNetwork, OverlayNetworkSpec } from '../../../src/api/types.ts';
import {
  nodes,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { Agents } from './agents.ts';
import { byHand, foreign, importing, most, usual, variants, type Happening } from './happenings.ts';
import { reservationFor } from './reserving.ts';
import type { Random } from './random.ts';
import type { MemoryServer, Stored } from './server.ts';
import type { Trace } from './trace.ts';

/** Objects that an event may concern: one of each kind, if any exist. */
interface Picked {
  network: OverlayNetwork | undefined;
  node: string | undefined;
  allocation: string | undefined;
}

/** Everyone except the operators: nodes that come and go, people with kubectl, and foreign controllers. */
export class World {
  readonly #server: MemoryServer;
  readonly #agents: Agents;
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #clock: () => number;
  readonly #weights: Record<Happening, number>;
  readonly #happenings: Record<Happening, (picked: Picked) => void> = {
    join: () => {
      this.join();
    },
    leave: ({ node }) => {
      if (node !== undefined) this.#leave(node);
    },
    flap: ({ node }) => {
      if (node !== undefined) this.#flap(node);
    },
    label: ({ node }) => {
      if (node !== undefined) this.#label(node);
    },
    addNetwork: () => {
      this.#addNetwork();
    },
    deleteNetwork: ({ network }) => {
      if (network !== undefined) this.#delete('overlaynetworks', network.metadata.name);
    },
    replaceNetwork: ({ network }) => {
      if (network !== undefined) this.#replaceNetwork(network);
    },
    editSelector: ({ network }) => {
      if (network !== undefined) this.#editSelector(network);
    },
    toggleNetwork: ({ network }) => {
      if (network !== undefined) this.#edit(network, { enabled: !network.spec.enabled });
    },
    drain: ({ network }) => {
      if (network !== undefined) this.#drain(network);
    },
    editCooldown: () => {
      const reuseCooldown = this.#random.pick(['1s', '2s', '5s']);
      this.#patch('overlayconfigs', 'default', { spec: { reuseCooldown } });
    },
    containersExit: () => {
      this.#agents.containersExit(this.#random.pick(this.#agents.running) ?? '');
    },
    touchStatus: ({ allocation }) => {
      if (allocation !== undefined) this.#touchStatus(allocation);
    },
    deleteAllocation: ({ allocation }) => {
      if (allocation !== undefined) this.#delete('agentallocations', allocation);
    },
    emptyAllocation: ({ allocation }) => {
      if (allocation !== undefined)
        this.#patch('agentallocations', allocation, { spec: { vtep: null, networks: null } });
    },
    deletePage: () => {
      const pages = this.#server
        .list('allocationledgers')
        .filter(({ metadata }) => metadata.name !== 'spaces');
      const page = this.#random.pick(pages);
      if (page !== undefined) this.#delete('allocationledgers', page.metadata.name);
    },
    deleteSpaces: () => {
      this.#delete('allocationledgers', 'spaces');
    },
    deleteAgent: () => {
      const agent = this.#any('overlayagents');
      if (agent !== undefined) this.#delete('overlayagents', agent);
    },
    reserve: () => {
      this.#reserve();
    },
    unreserve: () => {
      const name = this.#any('overlayreservations');
      if (name !== undefined) this.#delete('overlayreservations', name);
    },
    joinReserved: () => {
      const name = this.#any('overlayreservations')?.slice(1);
      if (name !== undefined && this.#server.get('nodes', name) === undefined) this.join(name);
    },
    addFinalizer: ({ allocation }) => {
      if (allocation !== undefined)
        this.#patch('agentallocations', allocation, { metadata: { finalizers: ['foreign.dev/hold'] } });
    },
    dropFinalizers: ({ allocation }) => {
      if (allocation !== undefined) this.#dropFinalizers(allocation);
    },
  };

  constructor(options: {
    server: MemoryServer;
    agents: Agents;
    random: Random;
    trace: Trace;
    clock: () => number;
    hands: boolean;
    finalizers: boolean;
    reservations: boolean;
  }) {
    this.#server = options.server;
    this.#agents = options.agents;
    this.#random = options.random;
    this.#trace = options.trace;
    this.#clock = options.clock;
    const none = (weights: object) => Object.fromEntries(Object.keys(weights).map((name) => [name, 0]));
    this.#weights = {
      ...usual,
      ...((options.hands ? byHand : none(byHand)) as typeof byHand),
      ...((options.reservations ? importing : none(importing)) as typeof importing),
      ...((options.finalizers ? foreign : none(foreign)) as typeof foreign),
    };
  }

  begin(cooldown: string, size: number): void {
    this.#create(overlayConfigs, 'default', { vtepSubnets: ['44.128.0.0/24'], reuseCooldown: cooldown });
    this.#addNetwork();
    if (this.#random.chance(0.5)) this.#addNetwork();
    for (let count = 0; count < size; count++) this.join();
  }

  /** Plays the given event, or one that the seed chooses. */
  happen(given?: Happening): void {
    const what = given ?? this.#random.weighted(this.#weights);
    this.#trace.note('world', what);
    this.#do(what);
  }

  /** Adds a node. Names are few, so that it may have existed before. */
  join(name?: string): string | undefined {
    const free = Array.from({ length: most }, (_, i) => `n${i + 1}`).filter(
      (one) => this.#server.get('nodes', one) === undefined,
    );
    const chosen = name ?? this.#random.pick(free);
    if (chosen === undefined) return undefined;
    const address = `172.17.0.${chosen.slice(1)}`;
    this.#agents.start(chosen, address);
    this.#createNode(chosen, address, this.#random.chance(0.7));
    return chosen;
  }

  /** Ends the trouble that would block progress for ever. */
  calm(): void {
    for (const { metadata } of this.#server.list('agentallocations')) this.#dropFinalizers(metadata.name);
    // a small world has room for one
    for (const { metadata } of this.#server.list('overlayreservations').slice(1))
      this.#delete('overlayreservations', metadata.name);
    this.#agents.containersStay = false;
    for (const name of this.#agents.running) this.#agents.containersExit(name);
  }

  #do(what: Happening): void {
    const picked = {
      network: this.#random.pick(this.#server.list('overlaynetworks')) as unknown as
        OverlayNetwork | undefined,
      node: this.#any('nodes'),
      allocation: this.#any('agentallocations'),
    };
    this.#happenings[what](picked);
  }

  /** For one node each, so that the order in which they come decides nothing but whose block it is. */
  #reserve(): void {
    const node = this.#random.pick(Array.from({ length: most }, (_, i) => `n${i + 1}`))!;
    if (this.#server.get('overlayreservations', `r${node}`) !== undefined) return;
    this.#create(overlayReservations, `r${node}`, reservationFor(node, this.#random, this.#clock()));
  }

  #any(plural: string): string | undefined {
    return this.#random.pick(this.#server.list(plural))?.metadata.name;
  }

  #leave(name: string): void {
    this.#delete('nodes', name);
    this.#agents.stop(name);
  }

  /** Deletes a node by mistake and lets kubelet create it again: another uid, the same machine. */
  #flap(name: string): void {
    const { metadata } = this.#server.get('nodes', name)!;
    this.#delete('nodes', name);
    this.#createNode(name, `172.17.0.${name.slice(1)}`, metadata.labels?.on === 'yes');
  }

  #label(name: string): void {
    const on = this.#server.get('nodes', name)?.metadata.labels?.on === 'yes' ? 'no' : 'yes';
    this.#patch('nodes', name, { metadata: { labels: { on } } });
  }

  #addNetwork(): void {
    const free = Object.keys(variants).filter(
      (name) => this.#server.get('overlaynetworks', name) === undefined,
    );
    const name = this.#random.pick(free);
    if (name === undefined) return;
    this.#create(overlayNetworks, name, {
      subnets: this.#variant(name),
      enabled: true,
      containerizers: ['CNI', 'Docker'],
      ...(this.#random.chance(0.4) ? { nodeSelector: { matchLabels: { on: 'yes' } } } : {}),
    });
  }

  #variant(name: string): OverlayNetworkSpec['subnets'] {
    return this.#random.pick(variants[name] ?? [])!.map((entry) => ({ ...entry, state: 'Active' }));
  }

  /** Replaces a network in one step, as `kubectl replace --force` does, or by an edit. */
  #replaceNetwork({ metadata: { name }, spec }: OverlayNetwork): void {
    if (this.#random.chance(0.5)) {
      this.#delete('overlaynetworks', name);
      this.#create(overlayNetworks, name, { ...spec, subnets: this.#variant(name) });
    } else this.#patch('overlaynetworks', name, { spec: { subnets: this.#variant(name) } });
  }

  #editSelector(network: OverlayNetwork): void {
    const nodeSelector = network.spec.nodeSelector === undefined ? { matchLabels: { on: 'yes' } } : null;
    this.#patch('overlaynetworks', network.metadata.name, { spec: { nodeSelector } });
  }

  #drain(network: OverlayNetwork): void {
    const subnets = network.spec.subnets.map((entry) => ({
      ...entry,
      state: entry.state === 'Active' ? ('Draining' as const) : ('Active' as const),
    }));
    this.#edit(network, { subnets });
  }

  #edit({ metadata }: OverlayNetwork, spec: Partial<OverlayNetworkSpec>): void {
    this.#patch('overlaynetworks', metadata.name, { spec });
  }

  /** Changes only the resourceVersion, as the operator's own conditions do. */
  #touchStatus(name: string): void {
    const object = this.#server.get('agentallocations', name)!;
    const status = { conditions: [{ type: 'Accepted', message: String(this.#server.revision) }] };
    this.#server.updateStatus('agentallocations', { ...object, status } as Stored, 'world');
  }

  #dropFinalizers(name: string): void {
    this.#patch('agentallocations', name, { metadata: { finalizers: null } });
  }

  #createNode(name: string, address: string, on: boolean): void {
    const object = {
      apiVersion: nodes.apiVersion,
      kind: nodes.kind,
      metadata: { name, labels: { on: on ? 'yes' : 'no' } },
      status: { addresses: [{ type: 'InternalIP', address }] },
    };
    this.#server.create('nodes', object, 'world');
  }

  #create(resource: Resource<KubeObject>, name: string, spec: object): void {
    const { apiVersion, kind, plural } = resource;
    this.#server.create(plural, { apiVersion, kind, metadata: { name }, spec } as KubeObject, 'world');
  }

  #patch(plural: string, name: string, patch: object): void {
    if (this.#server.get(plural, name) !== undefined)
      this.#server.patch(plural, name, patch, undefined, 'world');
  }

  #delete(plural: string, name: string): void {
    if (this.#server.get(plural, name) !== undefined) this.#server.delete(plural, name, {}, 'world');
  }
}
