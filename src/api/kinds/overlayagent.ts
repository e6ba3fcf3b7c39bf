import type { Condition, KubeObject } from './meta.ts';
import type { Containerizer } from './overlaynetwork.ts';

/** A tunnel endpoint: addresses with the VTEP subnet's prefix length, `44.128.0.2/20`. */
export interface Vtep {
  ip?: string;
  ip6?: string;
  /** Lower case, `70:b3:d5:80:00:02`. */
  mac: string;
}

/** A node's registration and state; name = node. Only that node's agent writes it. */
export interface OverlayAgent extends KubeObject {
  spec: OverlayAgentSpec;
  status?: OverlayAgentStatus;
}

export interface OverlayAgentSpec {
  /** The node's own addresses, at most one of each family. */
  addresses: string[];
  /** Bytes. */
  uplinkMTU: number;
  /**
   * What it holds now, from its last allocation: the operator adopts it if its ledger was lost. Blocks that were
   * withdrawn and that Docker's containers still use stay here, and no other node gets them meanwhile.
   */
  vtep?: Vtep;
  networks?: { name: string; subnets: string[] }[];
  /** The highest resourceVersion it had seen when it registered. */
  seenResourceVersion?: string;
  /** `status.restored.id` of the OverlayConfig that this registration answers: its blocks were reported after that. */
  restore?: string;
  /** Address space that the node uses besides the overlays: at most 64, those of links before those of routes. */
  ranges?: HostRange[];
  /** How many more there are. */
  rangesLeftOut?: number;
  /** The node's addresses besides the registered ones, at most 32: its processes are reached by them, too. */
  furtherAddresses?: string[];
}

/**
 * `Subnet`: hosts of it are reached straight by the link. `Route`: it lies behind the link, beyond a router or a tunnel.
 * `Pool`: a Docker engine may take bridge networks from it.
 */
export interface HostRange {
  cidr: string;
  kind: 'Subnet' | 'Route' | 'Pool';
  /** Absent of a pool. */
  link?: string;
}

export type NetworkState = 'OK' | 'Failed' | 'Configuring';

export interface OverlayAgentStatus {
  /** `spec.revision` of the AgentAllocation that the kernel shows. */
  revision?: number;
  /** SHA-256 of the certificate that the agent serves, in hexadecimal; absent while it serves on a loopback address. */
  certificate?: string;
  networks?: AgentNetwork[];
  conditions?: Condition[];
}

/** One network on one node. */
export interface AgentNetwork {
  name: string;
  state: NetworkState;
  message?: string;
  /** Absent if the node has no bridges. */
  usage?: AddressUsage[];
  /** Containers have addresses of it, or had within the last minute; absent: none. */
  inUse?: boolean;
  /** Only while somebody deletes the network and it waits. */
  users?: NetworkUsers;
  /** Each of the node's blocks of an entry that drains. */
  draining?: DrainingBlock[];
}

/** Containers that use a block whose entry drains. */
export interface DrainingBlock {
  /** The node's block. */
  cidr: string;
  /** UID of the network that was in force. */
  networkUID: string;
  /** And its `metadata.generation`: while that is the same, a count of 0 stays so. */
  generation: number;
  count: number;
  /** At most 20 of them. */
  named?: NetworkUser[];
}

/** Containers that use a network that somebody deletes. */
export interface NetworkUsers {
  /** The network's `metadata.deletionTimestamp` that this answers: none of 0 stays so, since nothing can join any more. */
  deletion: string;
  /** Time of the answer; written again from time to time as long as containers use it. */
  at: string;
  count: number;
  /** At most 20 of them. */
  named?: NetworkUser[];
}

export interface NetworkUser {
  /** `default/web-0`; absent outside Kubernetes. */
  pod?: string;
  /** A Docker container's name, a container's ID, or why the container is not known. */
  container?: string;
  address?: string;
}

/** How full one part of a node's block is. */
export interface AddressUsage {
  /** The part: a half of a block, or all of it. */
  cidr: string;
  /** Whose part it is. */
  containerizer: Containerizer;
  /** Addresses that containers can get, at most 2^53 - 1; the sum of the others. */
  addresses: number;
  used: number;
  free: number;
}
