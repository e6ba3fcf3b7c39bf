import type { AgentAllocationSpec, EffectiveConfig, OverlayNetwork } from '../api/types.ts';

/** Everything that an agent's data path is computed from, as its caches or its checkpoint hold it. */
export interface Snapshot {
  /** This node. */
  node: string;
  config: EffectiveConfig;
  /** Every accepted, enabled network. */
  networks: Pick<OverlayNetwork, 'metadata' | 'spec'>[];
  /** Every node's allocation, this one's included once it exists. */
  allocations: { node: string; spec: AgentAllocationSpec }[];
  /** Where the API servers listen, for `allowAPIServer`; absent: not known. */
  apiServers?: APIServer[];
  /** Networks of ours that this node's Docker engine has, or had when it last answered; absent: none. */
  docker?: Blocks;
}

/** Blocks of a node, by network. */
export type Blocks = { name: string; subnets: string[] }[];

export interface APIServer {
  address: string;
  port: number;
}
