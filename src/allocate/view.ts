import type {
  AgentAllocation,
  AllocationLedger,
  LedgerPage,
  LedgerIndex,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../api/types.ts';
import type { Leaving } from './leaving.ts';

/** What the allocator needs to know of a Node. */
export interface NodeFacts {
  name: string;
  uid: string;
  labels: Record<string, string>;
  creationTimestamp: string;
}

/** The CRD of OverlayNetwork. When it is deleted, its objects go first. */
export interface NetworksKind {
  uid: string;
  /** It is being deleted, or it is gone. */
  goes: boolean;
}

/** The ledger's objects, and how fresh each is. */
export interface Ledger {
  /** Absent: the object `spaces` does not exist yet. */
  spaces?: AllocationLedger;
  /** By object name. */
  pages: ReadonlyMap<string, AllocationLedger>;
  /** All of it is known as of this resourceVersion. */
  readAt: number;
  /** Objects read one by one, absent ones too: by name, the resourceVersion as of which each is known at least. */
  fresh: ReadonlyMap<string, number>;
}

/** The resourceVersion as of which an object of the ledger is known at least. */
export const asOf = ({ spaces, pages, readAt, fresh }: Ledger, name: string): number =>
  Math.max(readAt, fresh.get(name) ?? 0, version(name === spacesName ? spaces : pages.get(name)));

/** All that the plan follows from. */
export interface View {
  /** Milliseconds since the epoch. */
  now: number;
  config: OverlayConfig | undefined;
  /** What the first OverlayConfig is created with, beside the defaults. */
  firstConfig: Partial<OverlayConfig['spec']>;
  networks: readonly OverlayNetwork[];
  nodes: ReadonlyMap<string, NodeFacts>;
  agents: ReadonlyMap<string, OverlayAgent>;
  allocations: ReadonlyMap<string, AgentAllocation>;
  /** All AgentAllocations are known as of this resourceVersion. */
  allocationsAt: number;
  ledger: Ledger;
  /** The addresses that Nodes themselves state, canonical, for those that were read. */
  nodeAddresses: ReadonlyMap<string, readonly string[]>;
  /** Where API servers listen, canonical, as of the last reading of a Node's addresses. */
  apiServers: readonly string[];
  /**
   * Marks of Releasing blocks (`markOf`) that no late write can bring back: since the mark was read, the node's
   * AgentAllocation has been written, or found to be absent.
   */
  withdrawn: ReadonlySet<string>;
  /** What the API server itself was asked about just now: what the view shows of these, absence too, is not an old cache's word. */
  asked: { nodes: ReadonlySet<string>; networks: ReadonlySet<string>; agents: ReadonlySet<string> };
  /** What the API server said where it refused a write (`keyOf`) in this run: the others do not wait for it. */
  refusal: (key: string) => string | undefined;
  /** When this operator saw the API server's data go back to an older state, in milliseconds since the epoch. */
  wentBackAt: number | undefined;
  /** As of the time when networks were `asked` for, or later; undefined: it has not been read. */
  networksKind: NetworksKind | undefined;
  /** Nodes that this operator saw go shortly after one another. */
  leaving: Leaving | undefined;
  /** Nodes whose departure a person confirmed one by one. */
  confirmedGone: ReadonlySet<string>;
}

export const spacesName = 'spaces';

const emptyIndex: LedgerIndex = { nextPage: 0, spaces: [] };

export const indexOf = (ledger: Ledger): LedgerIndex => ledger.spaces?.spec.index ?? emptyIndex;

export const version = (object: { metadata: { resourceVersion?: string } } | undefined): number =>
  Number(object?.metadata.resourceVersion ?? 0);

/** What a write of the plan does. `over` is the very object that the plan looked at, and the write's precondition; absent: none exists. */
export type Write =
  | { kind: 'create-config'; spec: Partial<OverlayConfig['spec']> }
  | { kind: 'write-index'; over: AllocationLedger | undefined; index: LedgerIndex }
  | { kind: 'write-page'; name: string; over: AllocationLedger | undefined; page: LedgerPage }
  | { kind: 'delete-page'; name: string; over: AllocationLedger }
  | { kind: 'create-allocation'; node: string; spec: AgentAllocation['spec']; withdraws: string[] }
  | {
      kind: 'update-allocation';
      node: string;
      over: AgentAllocation;
      spec: AgentAllocation['spec'];
      withdraws: string[];
    }
  | { kind: 'delete-allocation'; node: string; over: AgentAllocation; withdraws: string[] }
  /** Read the AgentAllocation: that it is absent is the evidence. */
  | { kind: 'confirm-absent'; node: string; withdraws: string[] }
  | { kind: 'delete-agent'; node: string; over: OverlayAgent };

/** A write in words: `update-allocation node2`. */
export function keyOf(write: Write): string {
  if ('node' in write) return `${write.kind} ${write.node}`;
  return 'name' in write ? `${write.kind} ${write.name}` : write.kind;
}

/** Why something was refused: a CamelCase reason and a sentence that names the field, the value and the rule. */
export interface Refusal {
  reason: string;
  message: string;
}

/** What must be read before the plan can go on with what it left out. */
export interface Reads {
  /** Nodes whose own addresses are not known. */
  addresses: Set<string>;
  /** Objects of the ledger that must be known as of a resourceVersion. */
  ledger: Map<string, number>;
  /** AgentAllocations must be listed: a page recovers, and old ones may be missing in the view. */
  allocations: boolean;
  /** Nodes and networks that something is about to be taken from: the API server itself has to say so first. */
  nodes: Set<string>;
  networks: Set<string>;
  /** OverlayAgents of nodes of which a block is about to be free: containers may still use it. */
  agents: Set<string>;
}

export const noReads = (): Reads => ({
  addresses: new Set(),
  ledger: new Map(),
  allocations: false,
  nodes: new Set(),
  networks: new Set(),
  agents: new Set(),
});
