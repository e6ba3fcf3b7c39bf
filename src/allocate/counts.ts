import { selects } from '../api/selector.ts';
import type { LedgerSpace, OverlayNetwork } from '../api/types.ts';
import type { Facts } from './facts.ts';

/** How far the nodes are that should have a network. */
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
  { said, holdings }: Pick<Facts, 'said' | 'holdings'>,
): AgentCounts {
  const counts: AgentCounts = { wanted: 0, allocated: 0, ready: 0, waiting: 0, failed: [] };
  const draining = new Set(
    network.spec.subnets.filter(({ state }) => state === 'Draining').map(({ cidr }) => cidr),
  );
  // a network that somebody deletes gives no new blocks
  const serves = network.metadata.deletionTimestamp === undefined;
  const needed = spaces
    .filter(({ cidr }) => serves && !draining.has(cidr))
    .map(({ cidr }) => holdings.nodesIn(cidr));
  if (!network.spec.enabled || spaces.length === 0) return counts;
  for (const { node, networks } of said) {
    if (!selects(network.spec.nodeSelector, node.labels)) continue;
    counts.wanted++;
    if (!needed.every((nodes) => nodes.has(node.name))) {
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
