import type { Ledger, NodeFacts } from '../allocate/view.ts';
import type { AgentAllocation, OverlayAgent, OverlayConfig, OverlayNetwork } from '../api/types.ts';

/** What rows are made of: an operator's caches at one moment. */
export interface World {
  /** Milliseconds since the epoch. */
  now: number;
  config: OverlayConfig | undefined;
  networks: readonly OverlayNetwork[];
  nodes: ReadonlyMap<string, NodeFacts>;
  agents: ReadonlyMap<string, OverlayAgent>;
  allocations: ReadonlyMap<string, AgentAllocation>;
  ledger: Ledger;
}

/** Nodes that no agent is to be on: deploy/system/agent.yaml selects the same ones. */
export function isWithoutAgent({ labels }: Pick<NodeFacts, 'labels'>): boolean {
  return (
    (labels['kubernetes.io/os'] ?? 'linux') !== 'linux' ||
    labels.type === 'virtual-kubelet' ||
    labels['eks.amazonaws.com/compute-type'] === 'fargate'
  );
}
