import { withCondition, withRaised, type Finding } from '../api/conditions.ts';
import type { LedgerSpace, OverlayNetwork, OverlayNetworkStatus, SubnetCapacity } from '../api/types.ts';
import { spaceCapacity } from './capacity.ts';
import { countAgents, type AgentCounts } from './counts.ts';
import { drainingFinding, drainingSubnets, isGone } from './draining.ts';
import type { Facts } from './facts.ts';
import { exhausting, tightBlocks } from './fullness.ts';
import { isolation } from './isolation.ts';
import { progress } from './progress.ts';
import { Needs } from './shortage.ts';
import { verdict, waits } from './verdict.ts';
import type { Refusal } from './view.ts';

export function networkStatus(network: OverlayNetwork, facts: Facts): OverlayNetworkStatus {
  const { name, generation } = network.metadata;
  const spaces = facts.index.spaces.filter(
    (space) => space.network === name && space.retiredAt === undefined,
  );
  const needs = new Needs(network, facts);
  const agents = countAgents(network, spaces, needs, facts);
  const refusal = facts.plan.refusedNetworks.get(name);
  const accepted = verdict(
    'Accepted',
    refusal ?? notStored(network, spaces, facts),
    'Accepted',
    'every subnet is in use',
  );
  const ready = readiness(network, spaces, { agents, needs }, facts);
  let conditions = withCondition(network.status?.conditions, accepted, facts.now, generation);
  conditions = withCondition(conditions, ready, facts.now, generation);
  const capacities = spaces.map((space) => spaceCapacity(facts.view.ledger, space, facts.index));
  conditions = withRaised(conditions, progress(accepted, ready, capacities), facts.now, generation);
  conditions = withRaised(conditions, warnings(network, capacities, facts), facts.now, generation);
  const draining = drainingSubnets(network, facts);
  const drains = drainingFinding(draining);
  conditions =
    draining.length > 0
      ? withCondition(conditions, drains, facts.now, generation)
      : withRaised(conditions, [drains], facts.now, generation);
  const isolated = isolation(network, facts.view.networks);
  if (isolated !== undefined) conditions = withCondition(conditions, isolated, facts.now, generation);
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    subnets: network.spec.subnets
      .filter((entry) => !isGone(entry, facts.index, name))
      .map(({ cidr, prefix }) => `${cidr} /${prefix}`)
      .join(', '),
    capacity: capacities,
    ...(draining.length === 0 ? {} : { draining }),
    agents: {
      allocated: agents.allocated,
      ready: agents.ready,
      failed: agents.failed.length,
      waiting: agents.waiting,
    },
    conditions,
  };
}

/** Conditions that warn: the network works now, but not for long or not for all. */
function warnings(
  network: OverlayNetwork,
  capacities: readonly SubnetCapacity[],
  { reports, pods, deletions }: Facts,
): Finding[] {
  const { name } = network.metadata;
  const deleting = deletions.get(name);
  const nodes = reports.map(({ node, networks }) => ({ node, network: networks.get(name) }));
  return [
    ...(deleting === undefined ? [] : [deleting]),
    exhausting(network, capacities, nodes),
    tightBlocks(
      network,
      reports.map(({ node }) => node),
      pods,
    ),
  ];
}

/** Tells why an accepted network is not in force: the ledger could not store it. */
function notStored(
  { spec, metadata }: OverlayNetwork,
  spaces: readonly LedgerSpace[],
  { view: { refusal }, index }: Facts,
): Refusal | undefined {
  const rest = spec.subnets.filter(
    (entry) =>
      !isGone(entry, index, metadata.name) &&
      !spaces.some(({ cidr, prefix }) => cidr === entry.cidr && prefix === entry.prefix),
  );
  if (rest.length === 0) return undefined;
  const why = refusal('write-index');
  return {
    reason: 'NotStored',
    message:
      `spec.subnets: ${rest.map(({ cidr }) => cidr).join(', ')} is not in the ledger` +
      (why === undefined ? ' yet' : `: ${why}`),
  };
}

function readiness(
  network: OverlayNetwork,
  spaces: readonly LedgerSpace[],
  { agents, needs }: { agents: AgentCounts; needs: Needs },
  { view, index }: Facts,
): Finding {
  const ready = (status: Finding['status']) => (reason: string, message: string) => ({
    type: 'Ready',
    status,
    reason,
    message,
  });
  const [yes, not] = [ready('True'), ready('False')];
  if (spaces.length === 0) return not('NotAccepted', 'no subnet of this network is in use');
  if (!network.spec.enabled) return yes('Disabled', 'spec.enabled is false');
  const [full] = needs.shortages;
  if (full !== undefined) {
    const { blocks, held, releasing, cooling, quarantined } = spaceCapacity(view.ledger, full.space, index);
    const rest = Object.entries({ releasing, cooling, quarantined }).filter(([, count]) => count > 0);
    return not(
      'Exhausted',
      `${full.space.cidr} has ${blocks} blocks of /${full.space.prefix}: ${held} held, ` +
        `${rest.map(([state, count]) => `${count} ${state}, `).join('')}0 free; ${waits(full.nodes)}`,
    );
  }
  const [first, ...others] = agents.failed;
  if (first !== undefined) {
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    return not('AgentsFailed', `${first.node}: ${first.message}${more}`);
  }
  if (agents.wanted === 0) return yes('NoAgents', 'no registered node is selected');
  const share = `${agents.ready} of ${agents.wanted} agents ready`;
  return agents.ready < agents.wanted ? not('Progressing', share) : yes('AllAgentsReady', share);
}
