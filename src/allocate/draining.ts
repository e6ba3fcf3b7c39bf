import type { Finding } from '../api/conditions.ts';
import { goesWhenDrained } from '../api/draining.ts';
import type {
  DrainingBlock,
  DrainingState,
  DrainingSubnet,
  DrainingUser,
  LedgerIndex,
  LedgerSpace,
  NetworkSubnet,
  OverlayAgent,
  OverlayNetwork,
} from '../api/types.ts';
import { readable } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import { named } from './alarms.ts';
import { userText } from './deleting.ts';
import { holdersOf } from './holders.ts';
import { spaceOf } from './space.ts';
import type { Facts } from './facts.ts';
import type { View } from './view.ts';

/** The most containers, and the most nodes, that are named. */
const mostNamed = 20;

/** How far a draining entry is. */
interface Drain {
  state: Exclude<DrainingState, 'Removed'>;
  nodes: number;
  containers: number;
  users: DrainingUser[];
  /** Nodes whose agents have not answered for this generation of the network. */
  unanswered: string[];
}

/**
 * Judges whether containers use a draining entry, and names them.
 * Every node whose AgentAllocation shows a block of the entry must answer for the network's present generation: under
 * it no container can get an address of the entry any more. The wait for a silent agent has no limit, because
 * nobody asked to take addresses from its containers.
 */
export function drainOf(
  { metadata }: OverlayNetwork,
  cidr: string,
  facts: Pick<View, 'nodes' | 'allocations' | 'agents' | 'ledger'>,
): Drain {
  const drain: Drain = { state: 'Drained', nodes: 0, containers: 0, users: [], unanswered: [] };
  const whole = readable(() => parseCidr(cidr));
  if (whole === undefined) return drain;
  for (const { node, shown, stillUsed, unshown } of holdersOf(metadata.name, facts, { cidr, whole })) {
    if (shown.length > 0) drain.nodes++;
    const answers = shown.map((block) => answerOf(facts.agents.get(node), metadata, block));
    for (const answer of answers) {
      drain.containers += answer?.count ?? 0;
      for (const user of answer?.named ?? []) drain.users.push({ node, ...user });
    }
    if (answers.includes(undefined) || stillUsed.length > 0 || unshown) drain.unanswered.push(node);
  }
  drain.unanswered.sort();
  drain.state = drain.containers > 0 ? 'InUse' : drain.unanswered.length > 0 ? 'AgentsAsked' : 'Drained';
  return drain;
}

/** What the agent says about the block, in answer to this generation of the network. */
function answerOf(
  agent: OverlayAgent | undefined,
  { name, uid = '', generation = 0 }: OverlayNetwork['metadata'],
  block: string,
): DrainingBlock | undefined {
  const answers = agent?.status?.networks?.find((network) => network.name === name)?.draining;
  const answer = answers?.find(({ cidr }) => cidr === block);
  return answer?.networkUID === uid && answer.generation === generation ? answer : undefined;
}

/**
 * Whether an entry with `removeWhenDrained` was removed. The user's manifest may keep the entry and be applied again at
 * any time, so it is in force only while the ledger has it.
 * @param space what the ledger has of it
 */
export const isRemoved = (entry: NetworkSubnet, space: LedgerSpace | undefined): boolean =>
  goesWhenDrained(entry) &&
  (space === undefined || (space.retiredAt !== undefined && space.drained === true));

/** The same as `isRemoved`, for an index. */
export const isGone = (entry: NetworkSubnet, { spaces }: LedgerIndex, network: string): boolean =>
  isRemoved(entry, spaceOf(spaces, network, entry));

/** The draining entries for the status. An entry that was refused was never in force, so it is left out. */
export function drainingSubnets(
  network: OverlayNetwork,
  { view, index }: Pick<Facts, 'view' | 'index'>,
): DrainingSubnet[] {
  const { name } = network.metadata;
  return network.spec.subnets
    .filter(({ state }) => state === 'Draining')
    .flatMap((entry): DrainingSubnet[] => {
      const { cidr } = entry;
      if (isGone(entry, index, name)) return [{ cidr, state: 'Removed', nodes: 0, containers: 0 }];
      const space = spaceOf(index.spaces, name, entry);
      if (space === undefined || space.retiredAt !== undefined) return [];
      const { state, nodes, containers, users, unanswered } = drainOf(network, cidr, view);
      return [
        {
          cidr,
          state,
          nodes,
          containers,
          ...(users.length === 0 ? {} : { users: users.slice(0, mostNamed) }),
          ...(unanswered.length === 0 ? {} : { waitsFor: unanswered.slice(0, mostNamed) }),
        },
      ];
    });
}

/** The condition `Draining`: True until all draining entries are drained. */
export function drainingFinding(draining: readonly DrainingSubnet[]): Finding {
  const type = 'Draining';
  if (draining.length === 0)
    return { type, status: 'False', reason: 'NotDraining', message: 'no subnet is Draining' };
  const states = draining.map(({ state }) => state);
  const waits = (['InUse', 'AgentsAsked'] as const).find((state) => states.includes(state));
  const message = draining.map(sentence).join('; ');
  if (waits !== undefined) return { type, status: 'True', reason: waits, message };
  const reason = states.includes('Drained') ? 'Drained' : 'Removed';
  return { type, status: 'False', reason, message };
}

function sentence({ cidr, state, containers, users = [], waitsFor = [] }: DrainingSubnet): string {
  if (state === 'Removed')
    return `${cidr} has drained and is removed: delete its entry from spec.subnets when you like`;
  if (state === 'Drained')
    return `no container uses ${cidr} any more: delete its entry from spec.subnets, or set removeWhenDrained`;
  const shown = users.map(({ node, ...user }) => userText(node, user)).join(', ');
  const words = [
    ...(containers === 0
      ? []
      : [
          `${containers === 1 ? '1 container uses' : `${containers} containers use`} ${cidr}: ${shown}` +
            (containers > users.length ? ', …' : ''),
        ]),
    ...(waitsFor.length === 0
      ? []
      : [`these agents have not answered yet whether containers use ${cidr}: ${named(waitsFor)}`]),
  ];
  return words.join('; ');
}
