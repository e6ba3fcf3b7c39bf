import type { NetworkUser } from './overlayagent.ts';
import type { Condition, KubeObject, LabelSelector } from './meta.ts';

export type Containerizer = 'CNI' | 'Docker';

export interface NetworkSubnet {
  cidr: string;
  /** Length of a node's block in it. */
  prefix: number;
  /** Draining: nodes keep their blocks and routes, no new block is given out and no new container gets an address. */
  state: 'Active' | 'Draining';
  /** Once it is Draining and no container uses it, it has no effect any more; the entry itself stays. */
  removeWhenDrained?: boolean;
}

/** Which networks and hosts may open connections. With mode Open the other fields have no effect. See docs/isolation.md. */
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
  /** Absent: none. */
  reserved?: number;
  free: number;
}

/**
 * `AgentsAsked`: agents have not answered yet. `Drained`: no container uses it. `Removed`: it is out of force, by
 * `removeWhenDrained`.
 */
export type DrainingState = 'AgentsAsked' | 'InUse' | 'Drained' | 'Removed';

/** An entry that drains: which containers still use it. */
export interface DrainingSubnet {
  cidr: string;
  state: DrainingState;
  /** Nodes that hold a block of it. */
  nodes: number;
  /** Containers that use it, as far as agents have answered. */
  containers: number;
  /** At most 20 of them. */
  users?: DrainingUser[];
  /** Nodes whose agents have not answered yet, at most 20. */
  waitsFor?: string[];
}

export interface DrainingUser extends NetworkUser {
  node: string;
}

export interface OverlayNetworkStatus {
  observedGeneration?: number;
  /** The cidrs, joined by a comma: for the printer column, which shows one value. */
  subnets?: string;
  capacity?: SubnetCapacity[];
  /** Each entry that is Draining. */
  draining?: DrainingSubnet[];
  /** Nodes that hold all they should, that report OK, that report Failed, that wait for a block. */
  agents?: { allocated: number; ready: number; failed: number; waiting: number };
  /** `Accepted`, `Ready`; once they were raised also `Deleting`, `Draining`, `Exhausting`, `TightBlocks`, `Stalled`, `Reconciling`, `Isolated`. */
  conditions?: Condition[];
}
