import { withCondition, type Finding } from '../api/conditions.ts';
import type {
  AgentAllocation,
  AgentNetwork,
  Condition,
  LedgerIndex,
  LedgerSpace,
  OverlayAgent,
  OverlayConfigStatus,
  OverlayNetwork,
  OverlayNetworkStatus,
  SubnetCapacity,
} from '../api/types.ts';
import { countAgents, type AgentCounts } from './counts.ts';
import { spaceCapacity } from './capacity.ts';
import { drainingFinding, drainingSubnets, isGone } from './draining.ts';
import { exhausting, tightBlocks } from './fullness.ts';
import { isolation } from './isolation.ts';
import { overhead } from './mtu.ts';
import type { Plan } from './plan.ts';
import { progress } from './progress.ts';
import { remembered } from './remembered.ts';
import { Holdings } from './render.ts';
import { repairedIndex } from './repair.ts';
import { alarms } from './alarms.ts';
import { mostListed, quarantinedBlocks } from './quarantine.ts';
import { capacity, vtepSpace } from './space.ts';
import type { NodeFacts, Refusal, View } from './view.ts';

/** What every status is made of, worked out once a pass. */
export interface Facts {
  view: View;
  plan: Plan;
  index: LedgerIndex;
  holdings: Holdings;
  /** Accepted nodes, and what their agents say of each network. */
  said: readonly { node: NodeFacts; networks: ReadonlyMap<string, AgentNetwork> }[];
  /** Nodes that wait for a VTEP, and find none. */
  withoutVTEP: ReadonlySet<string>;
  /** How many pods a node takes, where that is known. */
  pods: (node: NodeFacts) => number | undefined;
  /** By network that somebody deletes: what that waits for. */
  deletions: ReadonlyMap<string, Finding>;
  now: string;
}

/** @param more.holdings of the last pass, if any: what no page changed is not read again */
export function gather(
  view: View,
  plan: Plan,
  {
    holdings = new Holdings(),
    pods = () => undefined,
    deletions = new Map<string, Finding>(),
  }: { holdings?: Holdings } & Partial<Pick<Facts, 'pods' | 'deletions'>> = {},
): Facts {
  const index = repairedIndex(view);
  const full = plan.exhausted.find(({ space }) => space.cidr === vtepSpace);
  holdings.read(view.ledger, index);
  return {
    view,
    plan,
    index,
    holdings,
    said: [...plan.registrations.accepted.keys()].flatMap((name) => {
      const [node, agent] = [view.nodes.get(name), view.agents.get(name)];
      return node === undefined ? [] : [{ node, networks: agent === undefined ? silent : networksOf(agent) }];
    }),
    withoutVTEP: new Set(full?.nodes),
    pods,
    deletions,
    now: new Date(view.now).toISOString(),
  };
}

/** What the agent says of each network, by name. */
const networksOf = remembered(
  ({ status }: OverlayAgent): ReadonlyMap<string, AgentNetwork> =>
    new Map((status?.networks ?? []).map((network) => [network.name, network])),
);
const silent: ReadonlyMap<string, AgentNetwork> = new Map();

export function networkStatus(network: OverlayNetwork, facts: Facts): OverlayNetworkStatus {
  const { name, generation } = network.metadata;
  const spaces = facts.index.spaces.filter(
    (space) => space.network === name && space.retiredAt === undefined,
  );
  const agents = countAgents(network, spaces, facts);
  const refusal = facts.plan.refusedNetworks.get(name);
  const accepted = finding(
    'Accepted',
    refusal ?? notStored(network, spaces, facts),
    'Accepted',
    'every subnet is in use',
  );
  const ready = readiness(network, spaces, agents, facts);
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

/** What will not do for long, or does not do for all, although all is as it should be. */
function warnings(
  network: OverlayNetwork,
  capacities: readonly SubnetCapacity[],
  { said, pods, deletions }: Facts,
): Finding[] {
  const { name } = network.metadata;
  const deleting = deletions.get(name);
  const nodes = said.map(({ node, networks }) => ({ node, network: networks.get(name) }));
  return [
    ...(deleting === undefined ? [] : [deleting]),
    exhausting(network, capacities, nodes),
    tightBlocks(
      network,
      said.map(({ node }) => node),
      pods,
    ),
  ];
}

/** Accepted is what the ledger says: a decision that could not be stored is in force nowhere. */
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
  agents: AgentCounts,
  { plan, view, index }: Facts,
): Finding {
  const finding = (status: Finding['status']) => (reason: string, message: string) => ({
    type: 'Ready',
    status,
    reason,
    message,
  });
  const [yes, not] = [finding('True'), finding('False')];
  if (spaces.length === 0) return not('NotAccepted', 'no subnet of this network is in use');
  if (!network.spec.enabled) return yes('Disabled', 'spec.enabled is false');
  const full = plan.exhausted.find(
    ({ space }) => space.network === network.metadata.name && space.cidr !== vtepSpace,
  );
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

/** `2 nodes wait: node3, node4`; of many the first few. */
function waits(nodes: readonly string[]): string {
  const shown = nodes.slice(0, 5).join(', ') + (nodes.length > 5 ? ', …' : '');
  return nodes.length === 1 ? `1 node waits: ${shown}` : `${nodes.length} nodes wait: ${shown}`;
}

export function configStatus({ view, plan, index, now }: Facts): OverlayConfigStatus {
  const { config } = view;
  const generation = config?.metadata.generation;
  const accepted: Finding = finding('Accepted', plan.refusedConfig, 'Accepted', 'every value is in force');
  const full = plan.exhausted.find(({ space }) => space.cidr === vtepSpace);
  const room = full === undefined ? undefined : capacity(full.space, index.config);
  const exhausted: Refusal | undefined =
    full === undefined
      ? undefined
      : {
          reason: 'Exhausted',
          message: `spec.vtepSubnets: ${index.config?.vtepSubnets.join(', ') ?? ''} has ${room ?? 0} VTEPs, 0 free; ${waits(full.nodes)}`,
        };
  const ready =
    index.config === undefined
      ? finding('Ready', exhausted, 'NoAgents', 'no agent has registered')
      : finding(
          'Ready',
          exhausted,
          'InForce',
          `every registered node has a VTEP; ${mtuWords(plan, view, index)}`,
        );
  let conditions = withCondition(config?.status?.conditions, accepted, now, generation);
  conditions = withCondition(conditions, ready, now, generation);
  const quarantined = quarantinedBlocks(view, index);
  const resting = full === undefined ? [] : [spaceCapacity(view.ledger, full.space, index)];
  const raised = [...progress(accepted, ready, resting), ...alarms(plan, index, quarantined)];
  conditions = withRaised(conditions, raised, now, generation);
  const { restored } = plan.restore;
  const { departures } = plan.departures;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(restored === undefined || restored.over !== undefined
      ? {}
      : { restored: { id: restored.id, since: restored.since } }),
    ...(departures === undefined ? {} : { departures }),
    ...(quarantined.length === 0 ? {} : { quarantined: quarantined.slice(0, mostListed) }),
    ...(plan.registrations.accepted.size === 0 ? {} : { nodes: rounded(plan.registrations.accepted.size) }),
    ...(index.config === undefined || plan.mtu === undefined
      ? {}
      : {
          effective: {
            ...index.config,
            mtu: plan.mtu,
            defaultNetwork: config?.spec.defaultNetwork ?? '',
          },
        }),
    conditions,
  };
}

/** The first two digits and zeros: every agent is sent each change. */
function rounded(count: number): number {
  const unit = 10 ** Math.max(0, String(count).length - 2);
  return Math.floor(count / unit) * unit;
}

/** Where the MTU comes from, and what the smallest uplink would have instead. */
function mtuWords({ mtu = 0, registrations }: Plan, { config }: View, index: LedgerIndex): string {
  const [node, uplink] = [...registrations.accepted].reduce<[string, number]>(
    (found, [name, { uplinkMTU = Infinity }]) => (uplinkMTU < found[1] ? [name, uplinkMTU] : found),
    ['', Infinity],
  );
  const left = uplink - overhead(index.config?.underlay ?? 'IPv4');
  if (config?.spec.mtu === mtu) {
    const split = left < mtu ? `; the uplink of ${node}, ${uplink}, splits what is longer than ${left}` : '';
    return `the MTU of ${mtu} is spec.mtu${split}`;
  }
  if (node === '') return `the MTU is ${mtu}`;
  return left > mtu
    ? `the MTU of ${mtu} stays as it was; the smallest uplink, ${uplink} of ${node}, has room for spec.mtu: ${left}`
    : `the MTU of ${mtu} follows the uplink of ${node}, ${uplink}`;
}

/** Undefined where nothing is to be said: an accepted registration needs no status of its own. */
export function allocationStatus(object: AgentAllocation, facts: Facts): AgentAllocation['status'] {
  const { plan, now, withoutVTEP } = facts;
  const { name } = object.metadata;
  const refusal = plan.registrations.refused.get(name) ?? (withoutVTEP.has(name) ? noVTEP : undefined);
  if (refusal === undefined && object.status?.conditions === undefined) return undefined;
  const accepted = finding('Accepted', refusal, 'Accepted', 'the registration is accepted');
  return { conditions: withCondition(object.status?.conditions, accepted, now, object.metadata.generation) };
}

const noVTEP: Refusal = {
  reason: 'Exhausted',
  message: 'no VTEP is free: the VTEP subnets are too small for one more node',
};

/** The conditions with those of which True is bad news; one that was never raised needs no word. */
const withRaised = (
  conditions: Condition[],
  findings: readonly Finding[],
  now: string,
  generation: number | undefined,
): Condition[] =>
  findings.reduce(
    (all, one) =>
      one.status === 'True' || all.some(({ type }) => type === one.type)
        ? withCondition(all, one, now, generation)
        : all,
    conditions,
  );

const finding = (type: string, refusal: Refusal | undefined, reason: string, message: string): Finding =>
  refusal === undefined ? { type, status: 'True', reason, message } : { type, status: 'False', ...refusal };
