import type { KubeObject } from '../api/types.ts';
import type { Reads, View } from '../allocate/view.ts';
import type { Informer } from '../kube/informer.ts';
import type { Caches } from './caches.ts';
import type { NetworksKindReader } from './networkskind.ts';
import type { NodeAddresses } from './nodes.ts';
import { inParallel } from './parallel.ts';
import type { ReservationsReader } from './reservations.ts';

/** With more objects, one list costs less than reading each by itself. */
const listFrom = 50;

/** How long an answer of the API server about a Node or network allows taking something away, in milliseconds. */
const askedMs = 5_000;

/** Time at which an object was asked for, in milliseconds since the epoch, and whether it existed. */
interface Lookup {
  at: number;
  there: boolean;
}

/** Readers that have their own ways of reading. */
interface Readers {
  addresses: NodeAddresses;
  networksKind: NetworksKindReader;
  reservations: ReservationsReader;
}

/** Names that were asked for recently. A name whose object came or went after that has to be asked for again. */
const recent = (
  cache: { get: (name: string) => unknown },
  asked: ReadonlyMap<string, Lookup>,
  now: number,
): Set<string> =>
  new Set(
    [...asked].flatMap(([name, { at, there }]) =>
      at + askedMs > now && there === (cache.get(name) !== undefined) ? [name] : [],
    ),
  );

/**
 * Reads of one run of the allocator that ask the API server itself, past the caches. The caches take over the
 * answers.
 */
export class Answers {
  /** Objects of the ledger by name, with the least resourceVersion that each is known at. */
  readonly fresh = new Map<string, number>();
  readonly #caches: Caches;
  readonly #addresses: NodeAddresses;
  readonly #networksKind: NetworksKindReader;
  readonly #reservations: ReservationsReader;
  readonly #asked = {
    nodes: new Map<string, Lookup>(),
    networks: new Map<string, Lookup>(),
    agents: new Map<string, Lookup>(),
  };
  /** Nodes whose addresses were read in this run, so that a Node without any is not asked for again and again. */
  readonly #read = new Set<string>();

  constructor(caches: Caches, { addresses, networksKind, reservations }: Readers) {
    this.#caches = caches;
    this.#addresses = addresses;
    this.#networksKind = networksKind;
    this.#reservations = reservations;
  }

  /** The names asked for, as `View.asked`. */
  asked(now: number): View['asked'] {
    const { nodes, networks, agents } = this.#caches;
    return {
      nodes: recent(nodes, this.#asked.nodes, now),
      networks: recent(networks, this.#asked.networks, now),
      agents: recent(agents, this.#asked.agents, now),
    };
  }

  /** Reads the addresses that Nodes state, whatever was read before. */
  async readAddresses(nodes: readonly string[]): Promise<void> {
    await this.#addresses.read(nodes, this.#caches.agents.byName);
    for (const node of nodes) this.#read.add(node);
  }

  /**
   * Reads what a plan asks for.
   * @returns whether there was anything to read
   */
  async read(reads: Reads, view: View): Promise<boolean> {
    const addresses = [...reads.addresses].filter((node) => !this.#read.has(node));
    const any =
      addresses.length + reads.ledger.size + reads.nodes.size + reads.networks.size + reads.agents.size > 0 ||
      reads.allocations ||
      reads.reservations > 0;
    if (!any) return false;
    for (const node of addresses) this.#read.add(node);
    const { ledger, allocations, nodes, networks, agents } = this.#caches;
    // facts about nodes and networks that are used together must be of one time, so each round asks the earlier
    // questions again
    const again = reads.nodes.size + reads.networks.size > 0;
    const { asked } = view;
    await Promise.all([
      this.#addresses.read(addresses, view.agents),
      this.#ask(ledger, [...reads.ledger.keys()]).then(() => {
        for (const [name, at] of reads.ledger) this.fresh.set(name, at);
      }),
      reads.allocations ? allocations.relist() : undefined,
      reads.reservations > 0 ? this.#reservations.read(reads.reservations) : undefined,
      this.#ask(nodes, [...reads.nodes, ...(again ? asked.nodes : [])], this.#asked.nodes),
      this.#ask(networks, [...reads.networks, ...(again ? asked.networks : [])], this.#asked.networks),
      this.#ask(agents, [...reads.agents], this.#asked.agents),
    ]);
    if (again && reads.networks.size + asked.networks.size > 0) await this.#readNetworksKind();
    return true;
  }

  /** After the networks, because a CRD that is being deleted shows it before any of its objects is gone. */
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
    asked?: Map<string, Lookup>,
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
