import type { PeerRow } from './probe.ts';
import type { Condition, Containerizer, NetworkState, SubnetCapacity } from '../api/types.ts';

/**
 * The answers to `GET /api/v1/…` of an operator, as `kubectl overlay` and the page read them.
 * docs/reference/openapi.json describes the same as a schema, from which docs/reference/http.md is generated.
 */

/** The kinds of rows, named as in their paths. */
export const kinds = [
  'networks',
  'agents',
  'blocks',
  'spaces',
  'findings',
  'events',
  'containers',
  'kernel',
  'peers',
] as const;
export type Kind = (typeof kinds)[number];

export const pathOf = (kind: Kind): string => `/api/v1/${kind}`;

/** The path of an operator's stream of changes, as server-sent events. */
export const changesPath = '/api/v1/changes';

/** The path at which an agent lists the containers of its node. */
export const agentContainersPath = '/overlay-agent/containers';

/** The path at which an agent lists the differences between its node and the desired state. */
export const agentKernelPath = '/overlay-agent/kernel';

/**
 * Audience of tokens for agents. API servers refuse such a token, so that a stolen one can only be used with agents.
 */
export const agentAudience = 'overlaynet-agent';

export interface Rows {
  networks: NetworkRow;
  agents: AgentRow;
  blocks: BlockRow;
  spaces: SpaceRow;
  findings: FindingRow;
  events: EventRow;
  containers: ContainerRow;
  kernel: KernelRow;
  peers: PeerRow;
}

/** One page of rows. The order of rows is the same on all pages. */
export interface Page<T> {
  /** Version of the operator that answered. */
  version: string;
  items: T[];
  /** Number of rows on all pages that match the parameters. */
  total: number;
  /** The value of `?continue=` for the next page; absent on the last page. */
  continue?: string;
  /** In answers about containers, kernel and peers: the nodes whose agents did not answer, by name. */
  unanswered?: Unanswered[];
  /** In answers about containers: the number of matching containers in each network, by name. */
  counts?: ContainerCount[];
  /** In answers about containers of one node: the last pass of its agent, if the agent says it. */
  pass?: LastPass;
}

export interface ContainerCount {
  network: string;
  containers: number;
}

export interface Unanswered {
  node: string;
  reason: string;
  /** `Partial`: it could not read everything. `NotAsked`: others took the time. Absent: it did not answer. */
  answer?: 'Partial' | 'NotAsked';
}

/** The last pass of an agent: its last comparison of the node with the desired state, and the repair. */
export interface LastPass {
  endedAt: string;
  /** What failed in it and is tried again; empty: nothing. */
  problem: string;
}

export interface NetworkRow {
  name: string;
  /**
   * `Ready`; `Waiting`: agents are not ready yet; `NotReady`: a person must act; `Refused`: none of its subnets is in
   * force; `Disabled`.
   */
  state: 'Ready' | 'Waiting' | 'NotReady' | 'Refused' | 'Disabled';
  /** Message of the condition that causes the state; empty if the network is ready. */
  message: string;
  subnets: NetworkSubnetRow[];
  containerizers: Containerizer[];
  isolation: 'Open' | 'Isolated';
  /** Networks that may exchange packets with an isolated network. */
  allow: string[];
  /** Whether processes of other nodes and the network’s containers reach each other. */
  hosts: 'Allow' | 'Deny';
  /** Whether the network’s containers reach the Kubernetes API server on other nodes. */
  apiServer: 'Allow' | 'Deny';
  /** Numbers of nodes: with all their blocks, reporting OK, reporting Failed, and waiting for a block. */
  agents: { allocated: number; ready: number; failed: number; waiting: number };
  /** Percentage of blocks that are not free, in the fullest subnet. */
  fill: number;
  conditions: Condition[];
  created: string;
}

export interface NetworkSubnetRow {
  cidr: string;
  /** Prefix length of a node's block. */
  prefix: number;
  /** `Refused`: not in force. `Removed`: it was removed after it had drained (`removeWhenDrained`). */
  state: 'Active' | 'Draining' | 'Refused' | 'Removed';
}

export interface AgentRow {
  node: string;
  /**
   * `Ready`; `Configuring`: the allocation is not yet complete on the node; `Failed`: the data path or a network
   * failed; `Degraded`: it works, but a condition needs attention; `Waiting`: it has no allocation yet; `Refused`: the
   * operator refuses its registration; `Missing`: no agent has registered for the Node; `Gone`: its Node does not exist
   * any more.
   */
  state: 'Ready' | 'Configuring' | 'Failed' | 'Degraded' | 'Waiting' | 'Refused' | 'Missing' | 'Gone';
  /** The reason for the state; empty if the agent is ready. */
  message: string;
  addresses: string[];
  vtep?: { ip?: string; ip6?: string; mac: string };
  /** Revisions of its allocation: the one that the node has applied, and the newest. Absent without an allocation. */
  revision?: { applied: number; wanted: number };
  networks: AgentNetworkRow[];
  conditions: Condition[];
  created: string;
}

export interface AgentNetworkRow {
  name: string;
  state: NetworkState;
  message: string;
  subnets: string[];
}

/** A block that is not free. */
export interface BlockRow {
  /** Empty for a VTEP. */
  network: string;
  /** The subnet that contains the block, or `vtep`. */
  space: string;
  /** The block; for a VTEP, its address, `44.128.0.2/20`. */
  cidr: string;
  node: string;
  /** Empty for a `Reserved` block whose node is not known yet. */
  state: 'Held' | 'Releasing' | 'Cooling' | 'Quarantined' | 'Reserved';
  /** When the block entered that state. */
  since: string;
  /** For a `Cooling` block: the earliest time at which it is free. */
  freeAt?: string;
  /** The bridges' parts of the block; absent if the node does not report them. */
  bridges?: { cni?: string; docker?: string };
}

/** A subnet whose blocks are given to nodes; `cidr` is `vtep` for the VTEPs. */
export interface SpaceRow extends SubnetCapacity {
  /** Empty for the VTEPs. */
  network: string;
  /** Prefix length of a block; 0 for the VTEPs. */
  prefix: number;
  /** `Retired`: no blocks are given out any more; the row disappears when the last block is free. */
  state: 'Active' | 'Draining' | 'Retired';
  /** Addresses in the nodes' blocks, as agents last reported; docs/fullness.md says how old that may be. */
  usage: SpaceUsage[];
}

export interface SpaceUsage {
  /** The containers that use this part of the blocks. */
  containerizer: Containerizer;
  /** Number of addresses for containers, at most 2^53 - 1. */
  addresses: number;
  used: number;
}

/** A condition that needs attention. */
export interface FindingRow {
  /**
   * `Error`: something does not work; `Warning`: something will fail, or works only in part; `Info`: it recovers
   * without action.
   */
  weight: 'Error' | 'Warning' | 'Info';
  /** The object that has the condition, as kubectl names it: `overlaynetwork/dcos`. */
  object: string;
  /** The network or the node, if the object belongs to one. */
  network?: string;
  node?: string;
  /** Type of the condition. */
  type: string;
  reason: string;
  message: string;
  since: string;
}

/** A Kubernetes Event about one of our objects. */
export interface EventRow {
  type: 'Normal' | 'Warning';
  /** The object, as kubectl names it: `overlaynetwork/dcos`. */
  object: string;
  /** The network or the node, if the object is one. */
  network?: string;
  node?: string;
  reason: string;
  message: string;
  count: number;
  first: string;
  last: string;
}

/** One interface of a container on a network. */
export interface ContainerRow {
  network: string;
  node: string;
  addresses: string[];
  /** Empty if unknown. */
  mac: string;
  /** Name of the interface in the container; empty if unknown. */
  interface: string;
  /** Name of the link in the node; empty if unknown. */
  hostLink: string;
  runtime: 'CNI' | 'Docker';
  id: string;
  /** For a pod: its namespace and name. */
  namespace?: string;
  pod?: string;
  /** For a Docker container: its name. */
  name?: string;
  /** When it joined the network; empty if unknown. */
  since: string;
  /** `Present`: the kernel has its link; `Missing`: it does not; `Unknown`: the kernel could not be read. */
  kernel: 'Present' | 'Missing' | 'Unknown';
}

/** An agent's answer at `agentContainersPath`. */
export interface NodeContainers {
  node: string;
  version: string;
  containers: Omit<ContainerRow, 'node'>[];
  /** A phrase for each thing that could not be read: there may be more containers. */
  problems: string[];
  /** Absent before the first pass, and from older agents. */
  pass?: LastPass;
}

export const kernelKinds = [
  'Link',
  'Address',
  'Port',
  'Neighbour',
  'FDB',
  'Nexthop',
  'Route',
  'Rule',
  'Set',
  'Chain',
  'Table',
  'Lease',
  'Record',
] as const;

/** One difference of a node's kernel, container records or leases from the desired state. */
export interface KernelRow {
  node: string;
  /** `Missing`: the object does not exist; `Wrong`: it differs; `Foreign`: it should not exist. */
  is: 'Missing' | 'Wrong' | 'Foreign';
  /**
   * `Table`: of nftables; `Chain`: of iptables; `Port`: a container's link; `Lease`: an address lease; `Record`: a
   * container's record.
   */
  kind: (typeof kernelKinds)[number];
  /** The object's name in the kernel: `m-dcos`, `9.0.1.0/24 table 254 metric 0`. */
  object: string;
  /** The network, if the object belongs to one. */
  network?: string;
  message: string;
}

/** An agent's answer at `agentKernelPath`. */
export interface NodeKernel {
  node: string;
  version: string;
  /** Revision of the allocation that the node is compared with; 0 without an allocation. */
  revision: number;
  differences: Omit<KernelRow, 'node'>[];
  /** Number of further differences. */
  left: number;
  /** A phrase for each thing that could not be read: there may be more differences. */
  problems: string[];
}
