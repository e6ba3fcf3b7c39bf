import type { Vtep } from './overlayagent.ts';
import type { Condition, KubeObject } from './meta.ts';

/** A node's block of one subnet, and how the two containerizers share it. */
export interface AllocatedSubnet {
  cidr: string;
  /** Absent on a node labelled `overlaynet.dev/bridges=false`. Each is a part of `cidr`, its host bits zero. */
  bridges?: { cni?: string; docker?: string };
}

export interface AllocatedNetwork {
  name: string;
  subnets: AllocatedSubnet[];
}

/** A node's allocation; name = node. Only the operator writes it; it is created without VTEP and networks. */
export interface AgentAllocation extends KubeObject {
  spec: AgentAllocationSpec;
  status?: { conditions?: Condition[] };
}

export interface AgentAllocationSpec {
  /** Counts this object's writes. */
  revision: number;
  nodeUID: string;
  /** Checked against the Node; the first of the underlay's family is the tunnel's. */
  addresses: string[];
  /** Others of the node, as its agent says: networks with `hosts: Deny` are closed to them. Nothing is routed to them. */
  furtherAddresses?: string[];
  vtep?: Vtep;
  /** Sorted by name. */
  networks?: AllocatedNetwork[];
}
