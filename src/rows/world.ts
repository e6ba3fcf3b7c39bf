import type { Ledger, NodeFacts } from '../allocate/view.ts';
import type {
  AgentAllocation,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
  OverlayReservation,
} from '../api/types.ts';

/** The data that rows are made of: an operator's caches at one moment. */
export interface World {
  /** Milliseconds since the epoch. */
  now: number;
  config: OverlayConfig | undefined;
  networks: readonly OverlayNetwork[];
  reservations: readonly OverlayReservation[];
  nodes: ReadonlyMap<string, NodeFacts>;
  agents: ReadonlyMap<string, OverlayAgent>;
  allocations: ReadonlyMap<string, AgentAllocation>;
  ledger: Ledger;
}

/** Returns whether a node needs no agent: deploy/system/agent.yaml has the same rules. */
export function isWithoutAgent({ labels }: Pick<NodeFacts, 'labels'>): boolean {
  return (
    (labels['kubernetes.io/os'] ?? 'linux') !== 'linux' ||
    labels.type === 'virtual-kubelet' ||
    labels['eks.amazonaws.com/compute-type'] === 'fargate'
  );
}
