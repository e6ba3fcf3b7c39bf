import { messageOf } from '../../../src/error.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  apiVersion,
  type AgentAllocation,
  type OverlayAgent,
  type OverlayConfig,
} from '../../../src/api/types.ts';
import { ApiError, type Client } from '../../../src/kube/client.ts';
import { Informer } from '../../../src/kube/informer.ts';
import { agentAllocations, overlayAgents, overlayConfigs } from '../../../src/kube/resources.ts';
import type { Dice } from './dice.ts';

/** The longest time that an agent takes to follow its AgentAllocation, in ms: shorter than a block rests. */
const latest = 300;

/** The longest time that Docker's containers stay in a withdrawn block, in ms. */
const longestUse = 2_500;

interface Played {
  address: string;
  /** The kernel's state: the last AgentAllocation that the agent followed. */
  shown: AgentAllocation['spec'] | undefined;
  /** Withdrawn blocks with running containers, and when these end. */
  used: Map<string, { network: string; until: number }>;
  working: boolean;
  again: boolean;
}

/**
 * Simulates the agents of all nodes: each registers, follows its AgentAllocation a little late, reports its blocks and
 * those that containers still use, and reports every network as OK. They reach the API server directly, without faults.
 */
export class Agents {
  /** The first refusal of a write by the API server that was not a conflict. */
  refusal: string | undefined;
  readonly #client: Client;
  readonly #dice: Dice;
  readonly #played = new Map<string, Played>();
  readonly #allocations: Informer<AgentAllocation>;
  readonly #agents: Informer<OverlayAgent>;
  readonly #configs: Informer<OverlayConfig>;

  constructor(client: Client, dice: Dice) {
    this.#client = client;
    this.#dice = dice;
    this.#allocations = new Informer(client, agentAllocations);
    this.#agents = new Informer(client, overlayAgents);
    this.#configs = new Informer(client, overlayConfigs);
    this.#allocations.onChange((name) => {
      this.#look(name);
    });
    this.#agents.onChange((name) => {
      this.#look(name);
    });
    this.#configs.onChange((_name, now, old) => {
      if (now?.status?.restored?.id === old?.status?.restored?.id) return;
      for (const name of this.#played.keys()) this.#look(name);
    });
  }

  async start(): Promise<void> {
    const all = [this.#allocations, this.#agents, this.#configs];
    for (const informer of all) informer.start();
    await Promise.all(all.map((informer) => informer.synced()));
  }

  async stop(): Promise<void> {
    this.#played.clear();
    await Promise.all([this.#allocations, this.#agents, this.#configs].map((informer) => informer.stop()));
  }

  /** Starts a node's agent. If it existed before, its kernel has lost everything. */
  join(node: string, address: string): void {
    this.#played.set(node, { address, shown: undefined, used: new Map(), working: false, again: false });
    this.#look(node);
  }

  /** Removes a node and its agent. */
  leave(node: string): void {
    this.#played.delete(node);
  }

  #look(node: string): void {
    const played = this.#played.get(node);
    if (played === undefined) return;
    played.again = true;
    if (!played.working) void this.#work(node, played);
  }

  /** Runs one pass at a time; events during a pass cause another pass. */
  async #work(node: string, played: Played): Promise<void> {
    played.working = true;
    while (played.again && this.#played.get(node) === played) {
      played.again = false;
      await sleep(this.#dice.whole(5, latest));
      if (this.#played.get(node) !== played) break;
      try {
        await this.#pass(node, played);
      } catch (error) {
        // a conflict: the informer brings the rest
        played.again = !(error instanceof ApiError) || error.status !== 404;
        if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409))
          this.#refused(node, error);
      }
    }
    played.working = false;
  }

  async #pass(node: string, played: Played): Promise<void> {
    const now = this.#allocations.get(node)?.spec;
    // a deleted allocation is no order to remove everything
    if (now !== undefined) this.#follow(node, played, now);
    const current = this.#agents.get(node);
    const spec = this.#registration(played);
    if (current === undefined) {
      const object: OverlayAgent = { apiVersion, kind: overlayAgents.kind, metadata: { name: node }, spec };
      this.#agents.learn(await this.#client.create(overlayAgents, object));
      return;
    }
    if (stated(current.spec) !== stated(spec)) {
      this.#agents.learn(await this.#client.update(overlayAgents, { ...current, spec }));
      return;
    }
    const revision = played.shown?.revision;
    const networks = (played.shown?.networks ?? []).map(({ name }) => ({ name, state: 'OK' as const }));
    // an AgentAllocation that was deleted counts from 1 again
    const report = JSON.stringify([
      current.status?.revision,
      (current.status?.networks ?? []).map(({ name }) => name),
    ]);
    if (revision === undefined || report === JSON.stringify([revision, networks.map(({ name }) => name)]))
      return;
    const status = { revision, networks, conditions: [] };
    this.#agents.learn(await this.#client.updateStatus(overlayAgents, { ...current, status }));
  }

  /** The simulated agents' writes must be valid. */
  #refused(node: string, error: unknown): void {
    this.refusal ??= `${node}: ${messageOf(error)}`;
  }

  #follow(node: string, played: Played, next: AgentAllocation['spec']): void {
    const has = blocksOf(next);
    for (const [cidr, network] of blocksOf(played.shown)) {
      // containers on four of ten nodes end late
      if (has.has(cidr) || !/[0369]$/.test(node)) continue;
      const ms = this.#dice.whole(500, longestUse);
      played.used.set(cidr, { network, until: Date.now() + ms });
      setTimeout(() => {
        this.#look(node);
      }, ms + 5).unref();
    }
    played.shown = next;
  }

  #registration(played: Played): OverlayAgent['spec'] {
    const blocks = blocksOf(played.shown);
    for (const [cidr, { network, until }] of played.used) {
      if (until <= Date.now()) played.used.delete(cidr);
      else blocks.set(cidr, network);
    }
    const networks = new Map<string, string[]>();
    for (const [cidr, network] of blocks) networks.set(network, [...(networks.get(network) ?? []), cidr]);
    const restore = this.#configs.get('default')?.status?.restored?.id;
    const seen = this.#allocations.resourceVersion;
    return {
      addresses: [played.address],
      uplinkMTU: 1500,
      ...(played.shown?.vtep === undefined ? {} : { vtep: played.shown.vtep }),
      ...(networks.size === 0
        ? {}
        : { networks: [...networks].map(([name, subnets]) => ({ name, subnets })).sort(byName) }),
      ...(seen === '0' ? {} : { seenResourceVersion: seen }),
      ...(restore === undefined ? {} : { restore }),
    };
  }
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

/** Returns the network of each block. */
const blocksOf = (spec: AgentAllocation['spec'] | undefined): Map<string, string> =>
  new Map((spec?.networks ?? []).flatMap(({ name, subnets }) => subnets.map(({ cidr }) => [cidr, name])));

/** Returns the parts of the spec whose change causes a write. */
const stated = ({ addresses, vtep, networks = [], restore }: OverlayAgent['spec']): string =>
  JSON.stringify([
    addresses,
    [vtep?.ip, vtep?.ip6, vtep?.mac],
    networks.map(({ name, subnets }) => [name, [...subnets].sort()]),
    restore,
  ]);
