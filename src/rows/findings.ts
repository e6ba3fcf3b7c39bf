import type { Condition, KubeObject } from '../api/types.ts';
import { asksForSomething } from './agents.ts';
import type { Entry } from './entry.ts';
import type { FindingRow } from './row.ts';
import { isWithoutAgent, type World } from './world.ts';

type Weight = FindingRow['weight'];

/** How heavy a condition is that is not as it should be: by type, and by reason where that says more. */
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
  Holding: 'Warning',
};
/** Reasons that mend themselves, as far as anybody knows. */
const passing = new Set(['Progressing', 'Waiting', 'NotStored', 'Cooling', 'NoConfig']);

const alarms = new Set(['Restored', 'Degraded', 'Quarantined']);
/** Of networks and of the configuration; what these say again under other names is passed over. */
const isBad = ({ type, status, reason }: Condition): boolean =>
  alarms.has(type)
    ? status === 'True'
    : type === 'Isolated'
      ? reason === 'AllowedInVain'
      : (type === 'Accepted' || type === 'Ready') && status !== 'True';

/** Every condition that says that something is not as it should be, the heaviest first. */
export function findingEntries({ config, networks, nodes, agents, allocations }: World): Entry<FindingRow>[] {
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
  for (const [node, agent] of agents)
    take('overlayagent', agent, agent.status?.conditions?.filter(asksForSomething), { node });
  for (const [node, allocation] of allocations) {
    // its agent repeats a refusal where it runs
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
  const weight = passing.has(reason) ? 'Info' : (weights[type] ?? 'Warning');
  return { weight, object, ...of, type, reason, message, since: lastTransitionTime };
}

/** No condition reports this: no agent is there to write one. */
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
