import { selects } from '../api/selector.ts';
import type { LedgerSpace, OverlayNetwork } from '../api/types.ts';
import type { Facts } from './facts.ts';
import type { Needs } from './shortage.ts';

/** Numbers of the nodes that should have a network, by how far they are. */
export interface AgentCounts {
  wanted: number;
  allocated: number;
  ready: number;
  waiting: number;
  failed: { node: string; message: string }[];
}

export function countAgents(
  network: OverlayNetwork,
  spaces: readonly LedgerSpace[],
  needs: Needs,
  { reports }: Pick<Facts, 'reports'>,
): AgentCounts {
  const counts: AgentCounts = { wanted: 0, allocated: 0, ready: 0, waiting: 0, failed: [] };
  if (!network.spec.enabled || spaces.length === 0) return counts;
  for (const { node, networks } of reports) {
    if (!selects(network.spec.nodeSelector, node.labels)) continue;
    counts.wanted++;
    if (!needs.areMet(node.name)) {
      counts.waiting++;
      continue;
    }
    counts.allocated++;
    const own = networks.get(network.metadata.name);
    if (own?.state === 'OK') counts.ready++;
    if (own?.state === 'Failed') counts.failed.push({ node: node.name, message: own.message ?? '' });
  }
  return counts;
}
