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
import { isWithin, parseCidr } from '../net/cidr.ts';
import { named } from './alarms.ts';
import { userText } from './deleting.ts';
import { spaceOf } from './space.ts';
import type { Facts } from './facts.ts';
import type { Ledger, View } from './view.ts';

/** Containers, and nodes, that are named at most. */
const mostNamed = 20;

/** How far an entry is that drains. */
interface Drain {
  state: Exclude<DrainingState, 'Removed'>;
  nodes: number;
  containers: number;
  users: DrainingUser[];
  /** Nodes whose agents have not answered for this generation of the network. */
  unheard: string[];
}

/**
 * Whether containers use an entry that drains, and which. Each node that is shown a block of it has to say so of the
 * network as it is now: in that one no container can get an address of the entry any more. An agent that is silent is
 * waited for, since nobody asked to take anything from its containers.
 */
export function drainOf(
  { metadata }: OverlayNetwork,
  cidr: string,
  { nodes, allocations, agents, ledger }: Pick<View, 'nodes' | 'allocations' | 'agents' | 'ledger'>,
): Drain {
  const drain: Drain = { state: 'Drained', nodes: 0, containers: 0, users: [], unheard: [] };
  const whole = readable(() => parseCidr(cidr));
  if (whole === undefined) return drain;
  const isPart = (block: string) => isWithin(whole, block);
  const holders = holdersOf(cidr, ledger);
  for (const node of nodes.keys()) {
    const agent = agents.get(node);
    const shown = (allocations.get(node)?.spec.networks ?? [])
      .filter(({ name }) => name === metadata.name)
      .flatMap(({ subnets }) => subnets.map((subnet) => subnet.cidr));
    const blocks = shown.filter(isPart);
    // what was withdrawn from it, and is still used there
    const left = heldBy(agent, metadata.name).filter((block) => !shown.includes(block));
    if (blocks.length > 0) drain.nodes++;
    const answers = blocks.map((block) => answerOf(agent, metadata, block));
    for (const answer of answers) {
      drain.containers += answer?.count ?? 0;
      for (const user of answer?.named ?? []) drain.users.push({ node, ...user });
    }
    // its AgentAllocation was deleted, or is still to be written: it is shown its block again, and answers then
    const isUnshown = blocks.length === 0 && holders.has(node);
    if (answers.includes(undefined) || left.some(isPart) || isUnshown) drain.unheard.push(node);
  }
  drain.unheard.sort();
  drain.state = drain.containers > 0 ? 'InUse' : drain.unheard.length > 0 ? 'AgentsAsked' : 'Drained';
  return drain;
}

/** Nodes that hold a block of it, whatever their AgentAllocations show. */
const holdersOf = (cidr: string, { pages }: Ledger): ReadonlySet<string> =>
  new Set(
    [...pages.values()]
      .filter(({ spec }) => spec.page?.space === cidr)
      .flatMap(({ spec }) => spec.page?.blocks ?? [])
      .flatMap(({ node, state }) => (state === 'Held' ? [node] : [])),
  );

const heldBy = (agent: OverlayAgent | undefined, network: string): string[] =>
  agent?.spec.networks?.find(({ name }) => name === network)?.subnets ?? [];

/** What the agent says of the block, in answer to this generation of the network. */
function answerOf(
  agent: OverlayAgent | undefined,
  { name, uid = '', generation = 0 }: OverlayNetwork['metadata'],
  block: string,
): DrainingBlock | undefined {
  const said = agent?.status?.networks?.find((network) => network.name === name)?.draining;
  const answer = said?.find(({ cidr }) => cidr === block);
  return answer?.networkUID === uid && answer.generation === generation ? answer : undefined;
}

/**
 * An entry with `removeWhenDrained` that drains is in force only as long as the ledger has it: the user's manifest keeps
 * it, and may be applied again at any time.
 * @param space what the ledger has of it
 */
export const isRemoved = (entry: NetworkSubnet, space: LedgerSpace | undefined): boolean =>
  goesWhenDrained(entry) &&
  (space === undefined || (space.retiredAt !== undefined && space.drained === true));

/** The same, by the index. */
export const isGone = (entry: NetworkSubnet, { spaces }: LedgerIndex, network: string): boolean =>
  isRemoved(entry, spaceOf(spaces, network, entry));

/** For the status: every entry that drains. One that is refused was never in force. */
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
      const { state, nodes, containers, users, unheard } = drainOf(network, cidr, view);
      return [
        {
          cidr,
          state,
          nodes,
          containers,
          ...(users.length === 0 ? {} : { users: users.slice(0, mostNamed) }),
          ...(unheard.length === 0 ? {} : { waitsFor: unheard.slice(0, mostNamed) }),
        },
      ];
    });
}

/** The condition: True as long as an entry is not drained. */
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
