import type { KubeObject } from '../api/types.ts';
import type { Reads, View } from '../allocate/view.ts';
import type { Informer } from '../kube/informer.ts';
import type { Caches } from './caches.ts';
import type { NodeAddresses } from './nodes.ts';
import { inParallel } from './parallel.ts';

/** Above so many, one list costs less than each by itself. */
const listFrom = 50;

/** How long the API server's own word on a Node or network is enough to take something away, in milliseconds. */
const askedMs = 5_000;

/** What one run of the allocator asked the API server itself, past the caches. The caches follow the answers. */
export class Answers {
  /** Objects of the ledger: by name, the resourceVersion as of which each is known at least. */
  readonly fresh = new Map<string, number>();
  readonly #caches: Caches;
  readonly #addresses: NodeAddresses;
  readonly #asked = {
    nodes: new Map<string, number>(),
    networks: new Map<string, number>(),
    agents: new Map<string, number>(),
  };
  /** Nodes whose addresses were read in this run: one that states none must not be asked for ever. */
  readonly #read = new Set<string>();

  constructor(caches: Caches, addresses: NodeAddresses) {
    this.#caches = caches;
    this.#addresses = addresses;
  }

  /** For `View.asked`. */
  asked(now: number): View['asked'] {
    const recent = (at: ReadonlyMap<string, number>) =>
      new Set([...at].flatMap(([name, time]) => (time + askedMs > now ? [name] : [])));
    return {
      nodes: recent(this.#asked.nodes),
      networks: recent(this.#asked.networks),
      agents: recent(this.#asked.agents),
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
    return true;
  }

  async #ask<T extends KubeObject>(
    informer: Informer<T>,
    names: readonly string[],
    asked?: Map<string, number>,
  ): Promise<void> {
    const now = Date.now();
    if (names.length > listFrom) await informer.relist();
    else
      await inParallel(names, async (name) => {
        await informer.refresh(name);
      });
    for (const name of names) asked?.set(name, now);
  }
}
