import type { AllocationLedger, LedgerPage } from '../api/types.ts';
import type { SpaceClaims } from './reserved.ts';
import type { ListedPage } from './space.ts';

/** A node that may hold blocks. */
export interface Claimant {
  node: string;
  uid: string;
  /**
   * `ready`: its AgentAllocation exists. `soon`: the AgentAllocation will be created next; nodes behind it get no block
   * before, so that the order stays. `later`: its agent does not register, so it keeps its blocks and gets no new ones.
   */
  standing: 'ready' | 'soon' | 'later';
}

export interface Demand {
  /** Nodes that should hold a block, in the order in which they get one. */
  claimants: readonly Claimant[];
  /** The nodes in these pages if all the pages stay as they are. Undefined means that each block must be looked at. */
  holders: (pages: readonly LedgerPage[]) => ReadonlyMap<string, unknown> | undefined;
  /** The node as a claimant of this space; undefined if it should have no block of it. */
  claimant: (node: string) => Claimant | undefined;
  /**
   * `serve`: every claimant gets a block. `keep`: nodes keep their blocks, and no block is given out. `adopt`: as
   * `keep`; the ledger also takes over the blocks that agents say they hold, and takes nothing back.
   */
  mode: 'serve' | 'keep' | 'adopt';
  /** Whether the index is being rebuilt. A page that is listed now then gives out nothing for a while. */
  rebuilding: boolean;
  /** Number of blocks in the space. */
  capacity: number;
  now: number;
  cooldownMs: number;
  withdrawn: ReadonlySet<string>;
  /** The block that the node's AgentAllocation or agent says it holds, taken over if the ledger does not list it. */
  preferred: (node: string) => number | undefined;
  /** The node whose AgentAllocation shows the block, although the ledger says that the block is free. */
  shownTo: (index: number) => string | undefined;
  /** Nodes whose agents say that they hold the block. */
  statedBy: (index: number) => readonly string[];
  /** Whether the node's agent says that it holds the block: containers may have its addresses, allocated or not. */
  inUse: (node: string, index: number) => boolean;
  /** Whether the API server itself has confirmed the reason to take the node's block back. */
  mayRelease: (node: string) => boolean;
  /** Whether the API server itself has confirmed what the node's agent uses. Needed before its block becomes free. */
  mayFree: (node: string) => boolean;
  /** Whether the API server refused to write the page in this run. */
  isRefused: (page: string) => boolean;
  /** What is reserved of this space. */
  reserved: SpaceClaims;
  /** Each node gets only new blocks that are reserved for it. */
  exclusive: boolean;
  /**
   * Whether reservations are known as of that page, and as of what made the nodes come: a page says Reserved only by a
   * reservation that was there before, and what was reserved before a node came is its own.
   */
  knowsReservations: (page: AllocationLedger | undefined, nodes?: readonly string[]) => boolean;
  /** Whether the page is known as of what made the node come. */
  knowsPage: (page: string, node: string) => boolean;
  /** Whether no other VTEP can have the claim's MAC, by pages that are not older than its reservation. */
  mayHaveMAC: (index: number) => boolean;
  /** The MAC of a VTEP that the node holds by its AgentAllocation or its agent, where it does not follow from the index. */
  macOf: (node: string, index: number) => string | undefined;
  /** Whether every AgentAllocation was written after that resourceVersion. */
  allWrittenSince: (version: number) => boolean;
  /** Blocks in which agents say they have addresses, with one such node for each block. */
  touchedBy: () => ReadonlyMap<number, { name: string; uid: string }>;
  /** The highest resourceVersion known. */
  knownAt: number;
}

export interface PageWrite {
  name: string;
  over: AllocationLedger | undefined;
  page: LedgerPage;
}

export interface SpacePlan {
  listed: readonly ListedPage[];
  /** Pages that change, or that are listed and do not exist. */
  writes: PageWrite[];
  /** Number of pages that the index must list before the remaining nodes get a block. */
  pagesNeeded: number;
  /** Nodes for which no block is left. */
  exhausted: string[];
  /** By node: the marks of its Releasing blocks that still wait for a write of its AgentAllocation. */
  releasing: Map<string, string[]>;
  /** Nodes whose blocks these writes take over, give or mark. Their AgentAllocations wait until the ledger shows it. */
  touched: Set<string>;
  /** Claimants that hold a block after these writes. */
  holders: Holders;
  /** When the next cooling block is free, in milliseconds since the epoch. */
  wakeAt: number;
}

/** A set of nodes' names: those of the unchanged pages, which it does not copy, and further ones. */
export class Holders {
  readonly #kept: ReadonlyMap<string, unknown>;
  readonly #more = new Set<string>();

  constructor(kept: ReadonlyMap<string, unknown> | undefined) {
    this.#kept = kept ?? new Map();
  }

  get size(): number {
    return this.#kept.size + this.#more.size;
  }

  has(node: string): boolean {
    return this.#kept.has(node) || this.#more.has(node);
  }

  add(node: string): void {
    if (!this.#kept.has(node)) this.#more.add(node);
  }
}
