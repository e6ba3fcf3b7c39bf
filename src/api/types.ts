/**
 * The five kinds of `overlaynet.dev/v1alpha1`, all cluster-scoped, as the API server stores them.
 * The CRDs in crds/ are the schema that users read; test/unit/api/crds.test.ts holds the two together.
 * Address text is RFC 5952; a `cidr` has no host bits set; times are RFC 3339.
 */

export const apiVersion = 'overlaynet.dev/v1alpha1';

export interface ObjectMeta {
  name: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** metav1.Condition */
export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  observedGeneration?: number;
  lastTransitionTime: string;
}

/** metav1.LabelSelector; absent or empty selects everything. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: {
    key: string;
    operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    values?: string[];
  }[];
}

/** The address family of the tunnel's outer packets. */
export type Underlay = 'IPv4' | 'IPv6';

/** Singleton `default`: what the whole cluster shares. The API server fills in DC/OS's defaults. */
export interface OverlayConfig extends KubeObject {
  spec: OverlayConfigSpec;
  status?: OverlayConfigStatus;
}

export interface OverlayConfigSpec {
  /** At most one of each family, /8 or longer. */
  vtepSubnets: string[];
  /** Six octets, the last three zero: `70:B3:D5:00:00:00`. Kept as the user spelled it. */
  vtepMACOUI: string;
  vni: number;
  /** UDP port of the tunnel. */
  port: number;
  underlay: Underlay;
  /** MTU of tunnel and bridges in bytes; absent: what the uplinks of the first nodes leave, less 50 (IPv4) or 70 (IPv6). */
  mtu?: number;
  /** Comma list of network names. */
  defaultNetwork: string;
  /** Where nodes have their own addresses; an address outside is refused. Absent: a Node keeps what it registered with. */
  nodeSubnets?: string[];
  /** Go duration: `10m`. */
  reuseCooldown: string;
  /** Go duration; absent: `5m`. An agent that says nothing for so long holds up no deletion of a network. */
  staleAfter?: string;
}

/** What is in force since the first registration, and pinned while a network has blocks: in the ledger, copied here for agents. */
export interface PinnedConfig {
  vtepSubnets: string[];
  vtepMACOUI: string;
  vni: number;
  port: number;
  underlay: Underlay;
}

/** The values in force; mtu alone is not pinned. */
export interface EffectiveConfig extends PinnedConfig {
  mtu: number;
  defaultNetwork: string;
}

export interface OverlayConfigStatus {
  observedGeneration?: number;
  /** Absent until the first agent has registered. */
  effective?: EffectiveConfig;
  /** Present while the cluster's data is taken to come from a backup, or the ledger to be lost: agents withdraw nothing. */
  restored?: Restoration;
  /** Present while a mass departure is not believed, and for ten minutes after it was confirmed. */
  departures?: Departures;
  /** Blocks that two agents say they hold; at most 32 are listed. */
  quarantined?: QuarantinedBlock[];
  /** Registered nodes, of many the first two digits: what a new network is measured against. */
  nodes?: number;
  conditions?: Condition[];
}

/**
 * Data that came back older than it was. Over once every Node has registered anew with the id and every network that
 * agents hold has its object, or once it is confirmed.
 */
export interface Restoration {
  /** What an agent repeats as `spec.restore`, and a person as the value of `overlaynet.dev/confirm-restore`. */
  id: string;
  since: string;
}

/** More than half of the nodes gone within a minute. */
export interface Departures {
  /** What a person repeats as the value of `overlaynet.dev/confirm-departures`. */
  id: string;
  since: string;
  /** When it was confirmed; absent while it is not believed. */
  confirmedAt?: string;
}

/** A block that more than one agent says it holds. */
export interface QuarantinedBlock {
  /** Empty for a VTEP. */
  network: string;
  /** The block, or the VTEP's address. */
  cidr: string;
  nodes: string[];
}

export type Containerizer = 'CNI' | 'Docker';

export interface NetworkSubnet {
  cidr: string;
  /** Length of a node's block in it. */
  prefix: number;
  /** Draining: nodes keep their blocks and routes, no new block is given out and no new container gets an address. */
  state: 'Active' | 'Draining';
  /** Once it is Draining and no container uses it, it is taken out of force; the entry itself stays where it is. */
  removeWhenDrained?: boolean;
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

/** A tunnel endpoint: addresses with the VTEP subnet's prefix length, `44.128.0.2/20`. */
export interface Vtep {
  ip?: string;
  ip6?: string;
  /** Lower case, `70:b3:d5:80:00:02`. */
  mac: string;
}

/** What a node's agent says of itself; name = node. Written by that node's agent alone. */
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
   * What it holds now, from its last allocation: the operator adopts it where its ledger was lost. Blocks that were
   * withdrawn and that Docker's containers still use stay here, and are given to nobody meanwhile.
   */
  vtep?: Vtep;
  networks?: { name: string; subnets: string[] }[];
  /** The highest resourceVersion it had seen when it registered. */
  seenResourceVersion?: string;
  /** `status.restored.id` of the OverlayConfig that this registration answers: what it says it holds was said after it. */
  restore?: string;
  /** Address space that the node uses beside the overlays: at most 64, those of links before those of routes. */
  ranges?: HostRange[];
  /** How many more there are. */
  rangesLeftOut?: number;
  /** The node's addresses beside the registered ones, at most 32: its processes are reached by them, too. */
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
  networks?: AgentNetwork[];
  conditions?: Condition[];
}

/** One network on one node. */
export interface AgentNetwork {
  name: string;
  state: NetworkState;
  message?: string;
  /** Absent where the node has no bridges. */
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
  /** When it was said; said again as long as containers use it. */
  at: string;
  count: number;
  /** At most 20 of them. */
  named?: NetworkUser[];
}

export interface NetworkUser {
  /** `default/web-0`; absent outside Kubernetes. */
  pod?: string;
  /** A Docker container's name, a container's ID, or why it is not known who it is. */
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

/** What a node was given; name = node. Written by the operator alone; created without VTEP and networks. */
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

/**
 * Which block belongs to which node. One object, `spaces`, has `index`; all others have `page`:
 * `vtep-N` and `net-NETWORK-N`, where N comes from a counter in `spaces` that never goes back.
 */
export interface AllocationLedger extends KubeObject {
  spec: { index?: LedgerIndex; page?: LedgerPage };
}

export interface LedgerIndex {
  /** Absent before the first registration. */
  config?: PinnedConfig;
  /** The values of OverlayConfig that are not pinned, as last seen: what an OverlayConfig made again begins with. */
  settings?: LedgerSettings;
  /** The tunnel's MTU in force, in bytes: no node that joins makes it smaller. */
  mtu?: number;
  /** With `over`, when it ended, and `upTo`, the resourceVersion then: what agents registered before that is settled. */
  restored?: Restoration & { over?: string; upTo?: string };
  departures?: Departures;
  /** UID of the CRD of OverlayNetwork: networks that go with their CRD were not deleted. */
  networksCRD?: string;
  /**
   * The index, or an entry of it, was lost and rebuilt: what it held beside what is found again is not known. Until every
   * AgentAllocation has been written since `version` and `reuseCooldown` since `since` is over, each new page is
   * `recovering`.
   */
  rebuilt?: Loss;
  nextPage: number;
  spaces: LedgerSpace[];
}

export type LedgerSettings = Pick<
  OverlayConfigSpec,
  'mtu' | 'defaultNetwork' | 'nodeSubnets' | 'reuseCooldown' | 'staleAfter'
>;

export interface LedgerSpace {
  /** `vtep`, or the subnet. */
  cidr: string;
  /** Length of a block; 0 for the VTEP space, whose block is one index. */
  prefix: number;
  /** Empty for the VTEP space. */
  network: string;
  networkUID: string;
  /** The number of each page: the k-th holds blocks 256k to 256k + 255. */
  pages: number[];
  /**
   * How many of these pages have been seen to exist; absent: none. Blocks are given out from those alone, and one of
   * those that is absent was lost.
   */
  made?: number;
  /** Numbers of pages that are made, or were made, in place of lost ones; they begin as `recovering`. */
  recovering?: number[];
  /** Set when the network or the entry is gone: its pages get `retired`, and it goes when all have cooled. */
  retiredAt?: string;
  /** It was retired by `removeWhenDrained`: the entry that is still in the network's spec does not bring it back. */
  drained?: boolean;
}

/**
 * Held by a node; being taken back; resting until `reuseCooldown` is over; held by two nodes as their agents say, or
 * outside its page, and so not given out.
 */
export type BlockState = 'Held' | 'Releasing' | 'Cooling' | 'Quarantined';

export interface LedgerBlock {
  /** Within the space, from 0. */
  index: number;
  node: string;
  uid: string;
  state: BlockState;
  /** When it came to that state. */
  since: string;
}

/** When something of the ledger was found to be lost: a resourceVersion after the loss, and the time. */
export interface Loss {
  version: string;
  since: string;
}

export interface LedgerPage {
  /** The space's cidr, or `vtep`. */
  space: string;
  /** The space's; absent in pages of before it was recorded. */
  prefix?: number;
  /** Index of its first block, a multiple of 256. */
  first: number;
  /** A tombstone: nothing is ever given out from it again. */
  retired?: boolean;
  /**
   * Made in place of a page that was lost. What nodes hold is taken up again; nothing else is given out before every
   * AgentAllocation has been written since `version` (a resourceVersion after the loss), so that no late write counts any
   * more, and `reuseCooldown` since `since` is over.
   */
  recovering?: Loss;
  /** Sorted by index; an index that is absent is free. */
  blocks: LedgerBlock[];
}
