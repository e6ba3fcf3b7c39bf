import type { OverlayAgent } from '../api/types.ts';
import { canonicalAddresses, statedAddresses } from '../allocate/stated.ts';
import type { NodeFacts } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { endpointSlices, nodes as nodeResource, type Node } from '../kube/resources.ts';
import { inParallel } from './parallel.ts';

/** With more objects, one list costs less than reading each by itself. */
const listFrom = 50;

/** How long a Node's stated addresses are trusted, in milliseconds: a cloud's controller may fill them in later. */
const believedMs = 30_000;

interface Reading {
  uid: string;
  /** The claim that it was read for. */
  claim: string;
  at: number;
  addresses: string[];
}

/** The addresses that Nodes state, read when an agent registers and not watched. */
export class NodeAddresses {
  readonly #readings = new Map<string, Reading>();
  readonly #client: Client;
  readonly #onRead: (node: Node) => void;
  #servers: readonly string[] = [];

  /** @param onRead called for each Node */
  constructor(client: Client, onRead: (node: Node) => void = () => undefined) {
    this.#client = client;
    this.#onRead = onRead;
  }

  /** Addresses of the API servers as of the last time that Nodes were read. */
  get apiServers(): readonly string[] {
    return this.#servers;
  }

  /** Reads Nodes, and before them the addresses of the API servers, which no Node may take later. */
  async read(names: readonly string[], agents: ReadonlyMap<string, OverlayAgent>): Promise<void> {
    if (names.length === 0) return;
    const slice = await this.#client.get(endpointSlices('default'), 'kubernetes');
    this.#servers = canonicalAddresses((slice?.endpoints ?? []).flatMap(({ addresses }) => addresses));
    const take = (node: Node) => {
      const { metadata } = node;
      this.#onRead(node);
      const addresses = statedAddresses(node);
      const claim = claimOf(agents.get(metadata.name));
      // a list of thousands takes time, so a reading is as old as its answer
      this.#readings.set(metadata.name, { uid: metadata.uid ?? '', claim, at: Date.now(), addresses });
    };
    if (names.length >= listFrom) {
      const wanted = new Set(names);
      const { items } = await this.#client.list(nodeResource);
      for (const node of items) if (wanted.has(node.metadata.name)) take(node);
      return;
    }
    await inParallel(names, async (name) => {
      const node = await this.#client.get(nodeResource, name);
      if (node !== undefined) take(node);
    });
  }

  /** Keeps the readings that are still trusted and drops the rest. */
  current(
    nodes: ReadonlyMap<string, NodeFacts>,
    agents: ReadonlyMap<string, OverlayAgent>,
    now: number,
  ): Map<string, readonly string[]> {
    for (const [name, { uid, claim, at }] of this.#readings) {
      const stale =
        nodes.get(name)?.uid !== uid || claimOf(agents.get(name)) !== claim || at + believedMs < now;
      if (stale) this.#readings.delete(name);
    }
    return new Map([...this.#readings].map(([name, { addresses }]) => [name, addresses]));
  }
}

const claimOf = (agent: OverlayAgent | undefined): string => agent?.spec.addresses.join() ?? '';
