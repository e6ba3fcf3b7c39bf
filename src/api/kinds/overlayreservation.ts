import type { Vtep } from './overlayagent.ts';
import type { Condition, KubeObject } from './meta.ts';

/**
 * Blocks and a VTEP for one node only: an agent of an old cluster keeps its addresses. Written by a person, or by
 * `kubectl overlay import`; its status is the operator's.
 */
export interface OverlayReservation extends KubeObject {
  spec: OverlayReservationSpec;
  status?: OverlayReservationStatus;
}

export interface OverlayReservationSpec {
  /** The Node that gets it; absent: the one that registers with `address`. */
  nodeName?: string;
  /** The agent's own address. */
  address?: string;
  /** With its MAC, which need not be the one that the operator would give. */
  vtep?: Vtep;
  /** Blocks, by network: at most one of each of its subnets. */
  networks?: ReservedNetwork[];
  /** While it exists, each node gets only new blocks that are reserved for it. */
  exclusive?: boolean;
  /** RFC 3339; from then on nothing is reserved by it. Absent: never. */
  expiresAt?: string;
}

export interface ReservedNetwork {
  name: string;
  subnets: string[];
}

export interface OverlayReservationStatus {
  observedGeneration?: number;
  /** The Node that has this reservation; absent until a Node matches. */
  node?: string;
  /** `Accepted`, `Reserved`, `Bound`. */
  conditions?: Condition[];
}
