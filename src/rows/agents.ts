import type { AgentAllocation, Condition, OverlayAgent } from '../api/types.ts';
import type { NodeFacts } from '../allocate/view.ts';
import type { Entry } from './entry.ts';
import type { AgentNetworkRow, AgentRow } from './row.ts';
import { isWithoutAgent, type World } from './world.ts';
import { withoutLength } from '../net/address.ts';

export function agentEntries({ nodes, agents, allocations }: World): Entry<AgentRow>[] {
  const names = new Set([...nodes.keys(), ...agents.keys()]);
  return [...names].flatMap((name) => {
    const node = nodes.get(name);
    const agent = agents.get(name);
    if (agent === undefined && (node === undefined || isWithoutAgent(node))) return [];
    return [entryOf(agentRow(name, node, agent, allocations.get(name)))];
  });
}

function entryOf(row: AgentRow): Entry<AgentRow> {
  const { node, state, addresses, vtep, networks } = row;
  return {
    row,
    key: node,
    isOf: { network: (name) => networks.some((one) => one.name === name), node: (name) => name === node },
    words: () => [
      node,
      state,
      ...(vtep === undefined ? [] : [vtep.mac]),
      ...networks.map(({ name }) => name),
    ],
    ranges: () => [
      ...addresses,
      ...[vtep?.ip, vtep?.ip6].filter((one) => one !== undefined).map(withoutLength),
      ...networks.flatMap(({ subnets }) => subnets),
    ],
  };
}

/** Returns the row of a node, for which a Node or an agent's registration exists. */
export function agentRow(
  name: string,
  node: NodeFacts | undefined,
  agent: OverlayAgent | undefined,
  allocation: AgentAllocation | undefined,
): AgentRow {
  const said = new Map((agent?.status?.networks ?? []).map((one) => [one.name, one]));
  const networks = (allocation?.spec.networks ?? []).map(({ name: network, subnets }): AgentNetworkRow => {
    const { state = 'Configuring', message = '' } = said.get(network) ?? {};
    return { name: network, state, message, subnets: subnets.map(({ cidr }) => cidr) };
  });
  const vtep = allocation?.spec.vtep;
  return {
    node: name,
    ...stateOf(node, agent, allocation, networks),
    addresses: [...(agent?.spec.addresses ?? [])],
    ...(vtep === undefined ? {} : { vtep: { ...vtep } }),
    ...(allocation === undefined
      ? {}
      : { revision: { applied: agent?.status?.revision ?? 0, wanted: allocation.spec.revision } }),
    networks,
    conditions: [...(agent?.status?.conditions ?? [])],
    created: agent?.metadata.creationTimestamp ?? node?.creationTimestamp ?? '',
  };
}

function stateOf(
  node: NodeFacts | undefined,
  agent: OverlayAgent | undefined,
  allocation: AgentAllocation | undefined,
  networks: readonly AgentNetworkRow[],
): Pick<AgentRow, 'state' | 'message'> {
  if (agent === undefined)
    return { state: 'Missing', message: 'no agent has registered on this Node: does its pod run?' };
  if (node === undefined)
    return { state: 'Gone', message: 'the Node is gone, and the agent is still registered' };
  const refusal = allocation?.status?.conditions?.find(isFalse('Accepted'));
  if (refusal !== undefined) return { state: 'Refused', message: refusal.message };
  if (allocation?.spec.vtep === undefined)
    return { state: 'Waiting', message: 'the operator has given it nothing yet' };
  const conditions = agent.status?.conditions ?? [];
  const revision = agent.status?.revision;
  const failed = networks.find(({ state }) => state === 'Failed');
  const path = conditions.find(isFalse('DataPathReady'));
  if (failed !== undefined) return { state: 'Failed', message: `${failed.name}: ${failed.message}` };
  if (path !== undefined && path.reason !== 'Waiting') return { state: 'Failed', message: path.message };
  if (path !== undefined) return { state: 'Configuring', message: path.message };
  const behind = networks.find(({ state }) => state === 'Configuring');
  if (behind !== undefined || revision !== allocation.spec.revision)
    return {
      state: 'Configuring',
      message: `the agent shows revision ${revision ?? 0} of ${allocation.spec.revision}`,
    };
  const worst = conditions.find(asksForSomething);
  if (worst !== undefined) return { state: 'Degraded', message: `${worst.type}: ${worst.message}` };
  return { state: 'Ready', message: '' };
}

const isFalse =
  (wanted: string) =>
  ({ type, status }: Condition): boolean =>
    type === wanted && status === 'False';

/** Returns whether an agent's condition needs attention: all are good when True, except `Holding`. */
export const asksForSomething = ({ type, status }: Condition): boolean =>
  type === 'Holding' ? status === 'True' : status === 'False';
