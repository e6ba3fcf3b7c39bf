import type {
  AgentAllocation,
  AllocationLedger,
  LedgerPage,
  LedgerIndex,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
  OverlayReservation,
} from '../api/types.ts';
import type { Leaving } from './leaving.ts';

/** The facts about a Node that the allocator needs. */
export interface NodeFacts {
  name: string;
  uid: string;
  labels: Record<string, string>;
  creationTimestamp: string;
}

/** The CRD of OverlayNetwork. When the CRD is deleted, its objects are deleted first. */
export interface NetworksKind {
  uid: string;
  /** Whether it is being deleted, or gone. */
  goes: boolean;
}

/** The ledger's objects, and how fresh each is. */
export interface Ledger {
  /** Absent: the object `spaces` does not exist yet. */
  spaces?: AllocationLedger;
  /** By object name. */
  pages: ReadonlyMap<string, AllocationLedger>;
  /** The resourceVersion as of which the whole ledger is known. */
  readAt: number;
  /**
   * Objects that were read one by one, absent ones too: by name, the lowest resourceVersion as of which each is known.
   */
  fresh: ReadonlyMap<string, number>;
}

/** The lowest resourceVersion as of which an object of the ledger is known. */
export const asOf = ({ spaces, pages, readAt, fresh }: Ledger, name: string): number =>
  Math.max(readAt, fresh.get(name) ?? 0, version(name === spacesName ? spaces : pages.get(name)));

/** All facts that the plan follows from. */
export interface View {
  /** Milliseconds since the epoch. */
  now: number;
  config: OverlayConfig | undefined;
  /** Values for the first OverlayConfig that are not the defaults. */
  firstConfig: Partial<OverlayConfig['spec']>;
  networks: readonly OverlayNetwork[];
  /** By name. */
  reservations: ReadonlyMap<string, OverlayReservation>;
  /** All OverlayReservations are known as of this resourceVersion. */
  reservationsAt: number;
  nodes: ReadonlyMap<string, NodeFacts>;
  agents: ReadonlyMap<string, OverlayAgent>;
  allocations: ReadonlyMap<string, AgentAllocation>;
  /** All AgentAllocations are known as of this resourceVersion. */
  allocationsAt: number;
  ledger: Ledger;
  /** The addresses that Nodes themselves state, in canonical form, for the Nodes that were read. */
  nodeAddresses: ReadonlyMap<string, readonly string[]>;
  /** The addresses at which API servers listen, in canonical form, as of the last reading of a Node's addresses. */
  apiServers: readonly string[];
  /**
   * Marks of Releasing blocks (`markOf`) that no late write can undo: after the mark was read, the node's
   * AgentAllocation was written, or found to be absent.
   */
  withdrawn: ReadonlySet<string>;
  /**
   * Objects that the API server itself was just asked for. What the view shows of these, or their absence, does not
   * come from an old cache.
   */
  asked: { nodes: ReadonlySet<string>; networks: ReadonlySet<string>; agents: ReadonlySet<string> };
  /**
   * The API server's error if it refused the write with this key (`keyOf`) in this run. Other writes do not wait for
   * it.
   */
  refusal: (key: string) => string | undefined;
  /** When this operator saw the API server's data go back to an older state, in milliseconds since the epoch. */
  wentBackAt: number | undefined;
  /** The CRD as of the time when networks were `asked` for, or later. Undefined: it has not been read. */
  networksKind: NetworksKind | undefined;
  /** When Nodes left that this operator saw go shortly after one another. */
  leaving: Leaving | undefined;
  /** Nodes whose departure a person has confirmed one by one. */
  confirmedGone: ReadonlySet<string>;
}

export const spacesName = 'spaces';

const emptyIndex: LedgerIndex = { nextPage: 0, spaces: [] };

export const indexOf = (ledger: Ledger): LedgerIndex => ledger.spaces?.spec.index ?? emptyIndex;

export const version = (object: { metadata: { resourceVersion?: string } } | undefined): number =>
  Number(object?.metadata.resourceVersion ?? 0);

/**
 * One write of the plan. `over` is the very object that the plan looked at, and the precondition of the write;
 * undefined: the object must not exist.
 */
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
  /** Reads the AgentAllocation. Its absence is the evidence. */
  | { kind: 'confirm-absent'; node: string; withdraws: string[] }
  | { kind: 'delete-agent'; node: string; over: OverlayAgent };

/** The key of a write, in words: `update-allocation node2`. */
export function keyOf(write: Write): string {
  if ('node' in write) return `${write.kind} ${write.node}`;
  return 'name' in write ? `${write.kind} ${write.name}` : write.kind;
}

/** Why something was refused: a CamelCase reason and a sentence that names the field, the value and the rule. */
export interface Refusal {
  reason: string;
  message: string;
}

/** What must be read before the plan can decide the rest. */
export interface Reads {
  /** Nodes whose own addresses are not known. */
  addresses: Set<string>;
  /** Objects of the ledger that must be known as of a resourceVersion. */
  ledger: Map<string, number>;
  /** Whether AgentAllocations must be listed: a page recovers, and old ones may be missing in the view. */
  allocations: boolean;
  /** OverlayReservations must be known as of this resourceVersion; 0: as of any. */
  reservations: number;
  /** Nodes and networks that are about to lose something: the API server itself must confirm the reason first. */
  nodes: Set<string>;
  networks: Set<string>;
  /** OverlayAgents of nodes whose block is about to become free: containers may still use it. */
  agents: Set<string>;
}

export const noReads = (): Reads => ({
  addresses: new Set(),
  ledger: new Map(),
  allocations: false,
  reservations: 0,
  nodes: new Set(),
  networks: new Set(),
  agents: new Set(),
});
