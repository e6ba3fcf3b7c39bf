import type { AllocationLedger, LedgerPage } from '../api/types.ts';
import type { ListedPage } from './space.ts';

/** A node that may hold blocks. */
export interface Claimant {
  node: string;
  uid: string;
  /**
   * `ready`: its AgentAllocation exists. `soon`: it is about to be created, and until then no block is given to those
   * that come after, so that the order stays. `later`: it keeps what it holds and gets nothing new, as long as its agent
   * does not register.
   */
  standing: 'ready' | 'soon' | 'later';
}

export interface Demand {
  /** Those that should hold a block, in the order in which they are served. */
  claimants: readonly Claimant[];
  /** The nodes in these pages, where each page stays as it is; undefined: each block has to be looked at. */
  holders: (pages: readonly LedgerPage[]) => ReadonlyMap<string, unknown> | undefined;
  /** The node's claim on this space, where it has one. */
  claimant: (node: string) => Claimant | undefined;
  /**
   * `serve`: everyone gets a block. `keep`: what is held stays, nothing is given out. `adopt`: besides that, what agents
   * say they hold is taken up, and nothing is taken back.
   */
  mode: 'serve' | 'keep' | 'adopt';
  /** The index is being rebuilt: a page that is listed now gives out nothing for a while. */
  rebuilding: boolean;
  /** Blocks in the space. */
  capacity: number;
  now: number;
  cooldownMs: number;
  withdrawn: ReadonlySet<string>;
  /** The block that the node's AgentAllocation or its agent says it holds: taken where the ledger knows nothing of it. */
  preferred: (node: string) => number | undefined;
  /** The node whose AgentAllocation shows that block, although the ledger has it as free. */
  shownTo: (index: number) => string | undefined;
  /** Nodes whose agents say that they hold that block. */
  statedBy: (index: number) => readonly string[];
  /** Whether the node's agent says it holds that block: containers may have its addresses, allocated or not. */
  inUse: (node: string, index: number) => boolean;
  /** Whether the API server itself has said what a block of the node is taken back for. */
  mayRelease: (node: string) => boolean;
  /** Whether the API server itself has said what the node's agent uses: a block of it is about to be free. */
  mayFree: (node: string) => boolean;
  /** A page whose write was refused in this run. */
  isRefused: (page: string) => boolean;
  /** Whether every AgentAllocation was written after that resourceVersion. */
  allWrittenSince: (version: number) => boolean;
  /** Blocks of which agents say that they have addresses, and one such node each. */
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
  /** Pages whose content changes, or that are listed and absent. */
  writes: PageWrite[];
  /** Pages to list before the rest can be served. */
  pagesNeeded: number;
  /** Nodes for which no block is left. */
  exhausted: string[];
  /** By node: the marks of its Releasing blocks that still need the AgentAllocation's write. */
  releasing: Map<string, string[]>;
  /** Nodes of which these writes take up, give or mark a block: their AgentAllocations wait until the ledger shows it. */
  touched: Set<string>;
  /** Claimants that hold a block once the writes are done. */
  holders: Holders;
  /** When the next cooling block is free, in milliseconds since the epoch. */
  wakeAt: number;
}

/** Names of nodes: those of the pages that stay as they are, and more. */
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
