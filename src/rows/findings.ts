import type { Condition, KubeObject, OverlayReservation } from '../api/types.ts';
import { asksForSomething } from './agents.ts';
import type { Entry } from './entry.ts';
import type { FindingRow } from './row.ts';
import { isWithoutAgent, type World } from './world.ts';

type Weight = FindingRow['weight'];

/** Weights of conditions, by type, or by reason where that is more exact. */
const weights: Record<string, Weight> = {
  Accepted: 'Error',
  Ready: 'Error',
  Registered: 'Error',
  DataPathReady: 'Error',
  ContainersReady: 'Error',
  Restored: 'Error',
  Degraded: 'Error',
  Quarantined: 'Error',
  Synced: 'Warning',
  Checkpoint: 'Warning',
  SystemReady: 'Warning',
  Docker: 'Warning',
  DataPathProbed: 'Error',
  Holding: 'Warning',
};
/** Verdicts of probes that a restarted or distant node may also cause. */
const lighter = new Set(['PeerDown', 'Slow']);
/** Reasons that usually disappear without action. */
const passing = new Set(['Progressing', 'Waiting', 'NotStored', 'Cooling', 'NoConfig', 'Expired']);

/** Conditions that are bad when True: alarms, and capacity that will run out. */
const alarms = new Set(['Restored', 'Degraded', 'Quarantined', 'Exhausting', 'TightBlocks']);
/**
 * Returns whether a condition of a network or the configuration needs attention. Conditions that repeat these under
 * other names are ignored.
 */
const isBad = ({ type, status, reason }: Condition): boolean =>
  alarms.has(type)
    ? status === 'True'
    : type === 'Isolated'
      ? reason === 'AllowedInVain'
      : (type === 'Accepted' || type === 'Ready') && status !== 'True';

/** Returns every condition that needs attention, the most severe first. */
export function findingEntries(world: World): Entry<FindingRow>[] {
  const { config, networks, reservations, nodes, agents, allocations } = world;
  const rows: FindingRow[] = [];
  const take = (
    kind: string,
    { metadata }: KubeObject,
    conditions: readonly Condition[] | undefined,
    of: Pick<FindingRow, 'network' | 'node'>,
  ) => {
    for (const one of conditions ?? []) rows.push(findingRow(`${kind}/${metadata.name}`, one, of));
  };
  if (config !== undefined) take('overlayconfig', config, config.status?.conditions?.filter(isBad), {});
  for (const network of networks)
    take('overlaynetwork', network, network.status?.conditions?.filter(isBad), {
      network: network.metadata.name,
    });
  for (const one of reservations)
    for (const condition of one.status?.conditions?.filter(isBad) ?? [])
      rows.push({
        ...findingRow(`overlayreservation/${one.metadata.name}`, condition, nodeOf(one)),
        // its node works, with other addresses
        weight: passing.has(condition.reason) ? 'Info' : 'Warning',
      });
  for (const [node, agent] of agents)
    take('overlayagent', agent, agent.status?.conditions?.filter(asksForSomething), { node });
  for (const [node, allocation] of allocations) {
    // a running agent repeats the operator's refusal
    if (
      agents
        .get(node)
        ?.status?.conditions?.some(({ type, status }) => type === 'Registered' && status === 'False')
    )
      continue;
    take('agentallocation', allocation, allocation.status?.conditions?.filter(isBad), { node });
  }
  for (const [node, facts] of nodes)
    if (!agents.has(node) && !isWithoutAgent(facts)) rows.push(withoutAgent(node, facts.creationTimestamp));
  return rows.map(entryOf);
}

function findingRow(
  object: string,
  { type, reason, message, lastTransitionTime }: Condition,
  of: Pick<FindingRow, 'network' | 'node'>,
): FindingRow {
  const usual = weights[type] ?? 'Warning';
  const weight = passing.has(reason) ? 'Info' : lighter.has(reason) ? 'Warning' : usual;
  return { weight, object, ...of, type, reason, message, since: lastTransitionTime };
}

const nodeOf = ({ spec, status }: OverlayReservation): Pick<FindingRow, 'node'> => {
  const node = status?.node ?? spec.nodeName;
  return node === undefined ? {} : { node };
};

/** The reason for a node without an agent, which has no condition. */
const unregistered = 'NoAgent';

const withoutAgent = (node: string, since: string): FindingRow => ({
  weight: 'Warning',
  object: `node/${node}`,
  node,
  type: 'Registered',
  reason: unregistered,
  message: `no agent has registered on Node ${node}: kubectl get pods -n overlaynet-system -o wide --field-selector spec.nodeName=${node}`,
  since,
});

const order: Record<Weight, string> = { Error: '0', Warning: '1', Info: '2' };

function entryOf(row: FindingRow): Entry<FindingRow> {
  const { weight, object, network, node, type, reason, message } = row;
  return {
    row,
    key: `${order[weight]}\n${object}\n${type}`,
    isOf: { network: (name) => name === network, node: (name) => name === node },
    words: () => [weight, object, type, reason, message],
    ranges: () => [],
  };
}
