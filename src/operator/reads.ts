import type { KubeObject } from '../api/types.ts';
import type { Reads, View } from '../allocate/view.ts';
import type { Informer } from '../kube/informer.ts';
import type { Caches } from './caches.ts';
import type { NetworksKindReader } from './networkskind.ts';
import type { NodeAddresses } from './nodes.ts';
import { inParallel } from './parallel.ts';

/** Above so many, one list costs less than each by itself. */
const listFrom = 50;

/** How long the API server's own word on a Node or network is enough to take something away, in milliseconds. */
const askedMs = 5_000;

/** When an object was asked for, in milliseconds since the epoch, and whether it was there. */
interface Asked {
  at: number;
  there: boolean;
}

/** Names that were asked for just now. One that came or went after that has to be asked for again. */
const recent = (
  cache: { get: (name: string) => unknown },
  asked: ReadonlyMap<string, Asked>,
  now: number,
): Set<string> =>
  new Set(
    [...asked].flatMap(([name, { at, there }]) =>
      at + askedMs > now && there === (cache.get(name) !== undefined) ? [name] : [],
    ),
  );

/** What one run of the allocator asked the API server itself, past the caches. The caches follow the answers. */
export class Answers {
  /** Objects of the ledger: by name, the resourceVersion as of which each is known at least. */
  readonly fresh = new Map<string, number>();
  readonly #caches: Caches;
  readonly #addresses: NodeAddresses;
  readonly #networksKind: NetworksKindReader;
  readonly #asked = {
    nodes: new Map<string, Asked>(),
    networks: new Map<string, Asked>(),
    agents: new Map<string, Asked>(),
  };
  /** Nodes whose addresses were read in this run: one that states none must not be asked for ever. */
  readonly #read = new Set<string>();

  constructor(caches: Caches, addresses: NodeAddresses, networksKind: NetworksKindReader) {
    this.#caches = caches;
    this.#addresses = addresses;
    this.#networksKind = networksKind;
  }

  /** For `View.asked`. */
  asked(now: number): View['asked'] {
    const { nodes, networks, agents } = this.#caches;
    return {
      nodes: recent(nodes, this.#asked.nodes, now),
      networks: recent(networks, this.#asked.networks, now),
      agents: recent(agents, this.#asked.agents, now),
    };
  }

  /** Reads the addresses that Nodes state, whatever was read of them before. */
  async readAddresses(nodes: readonly string[]): Promise<void> {
    await this.#addresses.read(nodes, this.#caches.agents.byName);
    for (const node of nodes) this.#read.add(node);
  }

  /** Reads what a plan asks for. @returns whether there was anything to read */
  async read(reads: Reads, view: View): Promise<boolean> {
    const addresses = [...reads.addresses].filter((node) => !this.#read.has(node));
    const any =
      addresses.length + reads.ledger.size + reads.nodes.size + reads.networks.size + reads.agents.size > 0 ||
      reads.allocations;
    if (!any) return false;
    for (const node of addresses) this.#read.add(node);
    const { ledger, allocations, nodes, networks, agents } = this.#caches;
    // what a Node and a network say together must be of one time: each round of questions asks the earlier ones again
    const again = reads.nodes.size + reads.networks.size > 0;
    const { asked } = view;
    await Promise.all([
      this.#addresses.read(addresses, view.agents),
      this.#ask(ledger, [...reads.ledger.keys()]).then(() => {
        for (const [name, at] of reads.ledger) this.fresh.set(name, at);
      }),
      reads.allocations ? allocations.relist() : undefined,
      this.#ask(nodes, [...reads.nodes, ...(again ? asked.nodes : [])], this.#asked.nodes),
      this.#ask(networks, [...reads.networks, ...(again ? asked.networks : [])], this.#asked.networks),
      this.#ask(agents, [...reads.agents], this.#asked.agents),
    ]);
    if (again && reads.networks.size + asked.networks.size > 0) await this.#readNetworksKind();
    return true;
  }

  /** After the networks: a CRD that is being deleted says so before any of them goes. */
  async #readNetworksKind(): Promise<void> {
    try {
      await this.#networksKind.read();
    } catch (error) {
      this.#asked.networks.clear();
      throw error;
    }
  }

  async #ask<T extends KubeObject>(
    informer: Informer<T>,
    names: readonly string[],
    asked?: Map<string, Asked>,
  ): Promise<void> {
    const now = Date.now();
    if (names.length > listFrom) await informer.relist();
    else
      await inParallel(names, async (name) => {
        await informer.refresh(name);
      });
    for (const name of names) asked?.set(name, { at: now, there: informer.get(name) !== undefined });
  }
}
