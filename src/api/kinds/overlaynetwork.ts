import type { Condition, KubeObject, LabelSelector } from './meta.ts';

export type Containerizer = 'CNI' | 'Docker';

export interface NetworkSubnet {
  cidr: string;
  /** Length of a node's block in it. */
  prefix: number;
  /** Draining: nodes keep their blocks and routes, no new block is given out and no new container gets an address. */
  state: 'Active' | 'Draining';
}

/** Who may open connections; with mode Open the rest is kept and not in force. docs/isolation.md says it exactly. */
export interface Isolation {
  mode: 'Open' | 'Isolated';
  /** Networks; itself is always allowed. A connection between two isolated ones must be allowed by both. */
  allow?: string[];
  /** Other nodes' own processes, in both directions. */
  hosts?: 'Allow' | 'Deny';
  allowAPIServer?: boolean;
}

export interface OverlayNetwork extends KubeObject {
  spec: OverlayNetworkSpec;
  status?: OverlayNetworkStatus;
}

export interface OverlayNetworkSpec {
  subnets: NetworkSubnet[];
  enabled: boolean;
  containerizers: Containerizer[];
  nodeSelector?: LabelSelector;
  namespaceSelector?: LabelSelector;
  isolation?: Isolation;
  /** Percent of blocks, or of a node's addresses, from which on `Exhausting` warns; absent: 80. */
  warnAt?: number;
  deletionPolicy?: DeletionPolicy;
}

/**
 * What deleting a network does while containers use it. `Block`, where absent: it waits, and nodes that have such
 * containers take more. `Drain`: it waits and takes none. `Force`: it goes at once.
 */
export type DeletionPolicy = 'Block' | 'Drain' | 'Force';

/** Blocks of one subnet; `blocks` is the sum of the others. */
export interface SubnetCapacity {
  cidr: string;
  blocks: number;
  held: number;
  releasing: number;
  cooling: number;
  quarantined: number;
  free: number;
}

export interface OverlayNetworkStatus {
  observedGeneration?: number;
  /** The cidrs, joined by a comma: for the printer column, which shows one value. */
  subnets?: string;
  capacity?: SubnetCapacity[];
  /** Nodes that hold all they should, that report OK, that report Failed, that wait for a block. */
  agents?: { allocated: number; ready: number; failed: number; waiting: number };
  /** `Accepted`, `Ready`; once they were raised also `Deleting`, `Exhausting`, `TightBlocks`, `Stalled`, `Reconciling`, `Isolated`. */
  conditions?: Condition[];
}
