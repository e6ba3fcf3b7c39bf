import type { Condition, Containerizer, NetworkState, SubnetCapacity } from '../api/types.ts';

/**
 * What `GET /api/v1/…` of an operator answers with, as `kubectl overlay` and the page read it. docs/reference/openapi.json is
 * the same as a schema; docs/reference/http.md is made of that.
 */

/** The kinds of rows, as their paths name them. */
export const kinds = ['networks', 'agents', 'blocks', 'spaces', 'findings', 'containers', 'kernel'] as const;
export type Kind = (typeof kinds)[number];

export const pathOf = (kind: Kind): string => `/api/v1/${kind}`;

/** Where an operator tells that rows have changed, as server-sent events. */
export const changesPath = '/api/v1/changes';

/** Where an agent lists the containers of its node. */
export const agentContainersPath = '/overlay-agent/containers';

/** Where an agent tells how its node differs from what is desired. */
export const agentKernelPath = '/overlay-agent/kernel';

/** Audience of the tokens for agents. API servers refuse such a token, so a stolen one can only ask agents. */
export const agentAudience = 'overlaynet-agent';

export interface Rows {
  networks: NetworkRow;
  agents: AgentRow;
  blocks: BlockRow;
  spaces: SpaceRow;
  findings: FindingRow;
  containers: ContainerRow;
  kernel: KernelRow;
}

/** One page of rows, in an order that stays the same from page to page. */
export interface Page<T> {
  /** Of the operator that answered. */
  version: string;
  items: T[];
  /** Rows that the parameters choose, on all pages. */
  total: number;
  /** Where rows are left: what `?continue=` takes to go on. */
  continue?: string;
  /** Of containers and kernel: nodes whose agents did not answer, by name. */
  unanswered?: Unanswered[];
}

export interface Unanswered {
  node: string;
  reason: string;
}

export interface NetworkRow {
  name: string;
  /**
   * `Ready`; `Waiting`: agents are not ready yet; `NotReady`: something has to be done; `Refused`: no subnet of it is in
   * force; `Disabled`.
   */
  state: 'Ready' | 'Waiting' | 'NotReady' | 'Refused' | 'Disabled';
  /** What the condition behind that state says; empty where all is well. */
  message: string;
  subnets: NetworkSubnetRow[];
  containerizers: Containerizer[];
  isolation: 'Open' | 'Isolated';
  /** Networks that an isolated one talks with. */
  allow: string[];
  /** Nodes that hold all they should, that report OK, that report Failed, that wait for a block. */
  agents: { allocated: number; ready: number; failed: number; waiting: number };
  /** Blocks that are not free, in percent, of the fullest subnet. */
  fill: number;
  conditions: Condition[];
  created: string;
}

export interface NetworkSubnetRow {
  cidr: string;
  /** Length of a node's block in it. */
  prefix: number;
  /** `Refused`: not in force. `Removed`: it had drained, and went (`removeWhenDrained`). */
  state: 'Active' | 'Draining' | 'Refused' | 'Removed';
}

export interface AgentRow {
  node: string;
  /**
   * `Ready`; `Configuring`: on the way there; `Failed`: the data path or a network failed; `Degraded`: it works, and a
   * condition asks for something; `Waiting`: it has no allocation yet; `Refused`: the operator does not take its
   * registration; `Missing`: a Node on which no agent has registered; `Gone`: its Node is gone.
   */
  state: 'Ready' | 'Configuring' | 'Failed' | 'Degraded' | 'Waiting' | 'Refused' | 'Missing' | 'Gone';
  /** What is behind that state; empty where all is well. */
  message: string;
  addresses: string[];
  vtep?: { ip?: string; ip6?: string; mac: string };
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
  /** Empty of a VTEP. */
  network: string;
  /** The subnet that it is a block of, or `vtep`. */
  space: string;
  /** Of a VTEP: its address, `44.128.0.2/20`. */
  cidr: string;
  node: string;
  state: 'Held' | 'Releasing' | 'Cooling' | 'Quarantined';
  /** When it came to that state. */
  since: string;
  /** Of one that cools: when it is free at the earliest. */
  freeAt?: string;
  /** The parts that bridges have; absent where the node shows none. */
  bridges?: { cni?: string; docker?: string };
}

/** A subnet from which blocks are given out; `cidr` is `vtep` for the VTEPs. */
export interface SpaceRow extends SubnetCapacity {
  /** Empty of the VTEPs. */
  network: string;
  /** Length of a block; 0 of the VTEPs. */
  prefix: number;
  /** `Retired`: no longer given out from; it goes when its last block is free. */
  state: 'Active' | 'Draining' | 'Retired';
}

/** Something that somebody should know of. */
export interface FindingRow {
  /** `Error`: something does not work; `Warning`: something will not, or less than it should; `Info`: it mends itself. */
  weight: 'Error' | 'Warning' | 'Info';
  /** The object that says so, as kubectl names it: `overlaynetwork/dcos`. */
  object: string;
  /** Where it is of one network, or of one node. */
  network?: string;
  node?: string;
  /** Type of the condition. */
  type: string;
  reason: string;
  message: string;
  since: string;
}

/** One address-bearing interface of a container on a network. */
export interface ContainerRow {
  network: string;
  node: string;
  addresses: string[];
  /** Empty where it is not known. */
  mac: string;
  /** In the container; empty where it is not known. */
  interface: string;
  /** The link in the node; empty where it is not known. */
  hostLink: string;
  runtime: 'CNI' | 'Docker';
  id: string;
  /** Of a pod. */
  namespace?: string;
  pod?: string;
  /** Of a container of Docker. */
  name?: string;
  /** When it joined; empty where it is not known. */
  since: string;
  /** `Present`: the kernel shows its link; `Missing`: it does not; `Unknown`: the kernel could not be asked. */
  kernel: 'Present' | 'Missing' | 'Unknown';
}

/** What an agent says of its node at `agentContainersPath`. */
export interface NodeContainers {
  node: string;
  version: string;
  containers: Omit<ContainerRow, 'node'>[];
  /** What could not be read, one phrase each: there may be more containers. */
  problems: string[];
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

/** One way in which a node's kernel, records of containers or leases differ from what is desired. */
export interface KernelRow {
  node: string;
  /** `Missing`: it is not there; `Wrong`: it is there and differs; `Foreign`: it is there and should not be. */
  is: 'Missing' | 'Wrong' | 'Foreign';
  /** `Table`: of nftables; `Chain`: of iptables; `Port`: a container's link; `Lease`: of an address; `Record`: of a container. */
  kind: (typeof kernelKinds)[number];
  /** What the kernel calls it: `m-dcos`, `9.0.1.0/24 table 254 metric 0`. */
  object: string;
  /** Where it concerns one network. */
  network?: string;
  message: string;
}

/** What an agent says of its node at `agentKernelPath`. */
export interface NodeKernel {
  node: string;
  version: string;
  /** Of the allocation that it is compared with; 0 where there is none. */
  revision: number;
  differences: Omit<KernelRow, 'node'>[];
  /** How many more there are. */
  left: number;
  /** What could not be read, one phrase each: there may be more differences. */
  problems: string[];
}
