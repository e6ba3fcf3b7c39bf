import type { AgentAllocationSpec, EffectiveConfig, ObjectMeta, OverlayNetwork } from '../api/types.ts';

/** All that an agent's data path follows from, as its caches or its checkpoint hold it. */
export interface Snapshot {
  /** This node. */
  node: string;
  config: EffectiveConfig;
  /** Of OverlayConfig, where a person has said that VTEP subnets may overlap what nodes have. */
  configMetadata?: Pick<ObjectMeta, 'annotations'>;
  /** Every accepted, enabled network. */
  networks: Pick<OverlayNetwork, 'metadata' | 'spec'>[];
  /** Every node's allocation, this one's included once it exists. */
  allocations: { node: string; spec: AgentAllocationSpec }[];
  /** Where the API servers listen, for `allowAPIServer`; absent: not known. */
  apiServers?: APIServer[];
  /** Networks of ours that this node's Docker engine has, or had when it last answered; absent: none. */
  docker?: Blocks;
}

/** What this node has; undefined before its allocation exists. */
export const ownAllocation = ({
  node,
  allocations,
}: Pick<Snapshot, 'node' | 'allocations'>): AgentAllocationSpec | undefined =>
  allocations.find((allocation) => allocation.node === node)?.spec;

/** Blocks of a node, by network. */
export type Blocks = { name: string; subnets: string[] }[];

export interface APIServer {
  address: string;
  port: number;
}
