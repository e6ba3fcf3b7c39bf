import type {
  AgentAllocation,
  AllocationLedger,
  LedgerIndex,
  LedgerPage,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../api/types.ts';

/** What the allocator needs to know of a Node. */
export interface NodeFacts {
  name: string;
  uid: string;
  labels: Record<string, string>;
  creationTimestamp: string;
}

/** The ledger as it was read: what it says holds at `readAt`, a page's own content also at its resourceVersion. */
export interface Ledger {
  /** Absent: the object `spaces` does not exist yet. */
  spaces?: AllocationLedger;
  /** By object name. */
  pages: ReadonlyMap<string, AllocationLedger>;
  /** The resourceVersion of the list that read it all; 0 where it was pieced together from watch events. */
  readAt: number;
}

/** All that the plan follows from. */
export interface View {
  /** Milliseconds since the epoch. */
  now: number;
  config: OverlayConfig | undefined;
  networks: readonly OverlayNetwork[];
  nodes: ReadonlyMap<string, NodeFacts>;
  agents: ReadonlyMap<string, OverlayAgent>;
  allocations: ReadonlyMap<string, AgentAllocation>;
  ledger: Ledger;
  /** The addresses that Nodes themselves state, for those that were read. */
  nodeAddresses: ReadonlyMap<string, readonly string[]>;
  /**
   * Releasing blocks (`page/index`) that no late write can bring back: since the mark was read, the node's
   * AgentAllocation has been written, or found to be absent.
   */
  withdrawn: ReadonlySet<string>;
  /** Whether a node's AgentAllocation could not be created in this run: the others do not wait for it. */
  isStuck: (node: string) => boolean;
}

export const spacesName = 'spaces';

const emptyIndex: LedgerIndex = { nextPage: 0, spaces: [] };

export const indexOf = (ledger: Ledger): LedgerIndex => ledger.spaces?.spec.index ?? emptyIndex;

export const version = (object: { metadata: { resourceVersion?: string } } | undefined): number =>
  Number(object?.metadata.resourceVersion ?? 0);

/** What a write of the plan does, each guarded by the resourceVersion that the view holds. */
export type Write =
  | { kind: 'create-config'; spec: Partial<OverlayConfig['spec']> }
  | { kind: 'write-index'; index: LedgerIndex }
  | { kind: 'write-page'; name: string; page: LedgerPage }
  | { kind: 'delete-page'; name: string }
  | { kind: 'create-allocation'; node: string; spec: AgentAllocation['spec']; withdraws: string[] }
  | { kind: 'update-allocation'; node: string; spec: AgentAllocation['spec']; withdraws: string[] }
  | { kind: 'delete-allocation'; node: string; withdraws: string[] }
  /** Read the AgentAllocation: that it is absent is the evidence. */
  | { kind: 'confirm-absent'; node: string; withdraws: string[] }
  | { kind: 'delete-agent'; node: string };

/** Why something was refused: a CamelCase reason and a sentence that names the field, the value and the rule. */
export interface Refusal {
  reason: string;
  message: string;
}
