import type { Finding } from '../api/conditions.ts';
import { selects } from '../api/selector.ts';
import type { AgentNetwork, AddressUsage, OverlayNetwork, SubnetCapacity } from '../api/types.ts';
import { familyOf, readable } from '../net/address.ts';
import { addressesFor, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { defaultWarnAt } from '../api/usage.ts';
import { named } from './alarms.ts';
import type { NodeFacts } from './view.ts';

/** A warning ends so many percent below where it began: a container that comes and goes must not raise it again and again. */
const slack = 5;

/** A node, and what its agent says of the network. */
export interface Said {
  node: NodeFacts;
  network: AgentNetwork | undefined;
}

/** Whether blocks of a subnet, or addresses of a node, run out: before it happens (`warnAt`). */
export function exhausting(
  { spec, status }: OverlayNetwork,
  capacities: readonly SubnetCapacity[],
  said: readonly Said[],
): Finding {
  const type = 'Exhausting';
  const { warnAt = defaultWarnAt } = spec;
  const before = status?.conditions?.find((condition) => condition.type === type);
  const from = (reason: string) =>
    before?.status === 'True' && before.reason === reason ? Math.max(1, warnAt - slack) : warnAt;
  const active = spec.subnets.filter(({ state }) => state === 'Active').map(({ cidr }) => cidr);
  const scarce = capacities.filter(
    ({ cidr, blocks, free }) => active.includes(cidr) && (blocks - free) * 100 >= from('Blocks') * blocks,
  );
  // a subnet that is refused, or an agent's word, may be no range at all
  const ranges = active.flatMap(ranged);
  const limit = from('Addresses');
  const full = said.flatMap(({ node, network }) =>
    isScarce(network?.usage ?? [], ranges, limit) ? [node.name] : [],
  );
  const words = [
    // numbers that change with each node and container are elsewhere: everybody would be sent each of them
    ...scarce.map(
      ({ cidr }) =>
        `${from('Blocks')} % or more of the blocks of ${cidr} are used: append a subnet to spec.subnets`,
    ),
    ...(full.length === 0
      ? []
      : [
          `${limit} % or more of the addresses are used on ${named(full.sort())}: kubectl get overlayagent ${full[0] ?? ''} -o yaml; ` +
            'spread the containers over more nodes, or append a subnet of larger blocks and drain this one',
        ]),
  ];
  if (words.length === 0)
    return {
      type,
      status: 'False',
      reason: 'Enough',
      message: `less than ${warnAt} % is used (spec.warnAt)`,
    };
  const reason = scarce.length > 0 ? 'Blocks' : 'Addresses';
  return { type, status: 'True', reason, message: words.join('; ') };
}

const ranged = (text: string): Cidr[] => readable(() => [parseCidr(text)]) ?? [];

/** Pods take an address of each family from whichever part has one; a Docker network lies in one part of each family. */
function isScarce(usage: readonly AddressUsage[], ranges: readonly Cidr[], limit: number): boolean {
  const parts = usage
    .flatMap((one) => ranged(one.cidr).map((part) => ({ ...one, part })))
    .filter(({ part }) => ranges.some((range) => overlaps(range, part)));
  const reached = (used: number, addresses: number) => addresses > 0 && used * 100 >= limit * addresses;
  const sum = (of: readonly AddressUsage[], key: 'used' | 'addresses') =>
    of.reduce((all, one) => all + one[key], 0);
  return ([4, 6] as const).some((family) => {
    const own = parts.filter(({ part }) => part.family === family);
    const pods = own.filter(({ containerizer }) => containerizer === 'CNI');
    return (
      reached(sum(pods, 'used'), sum(pods, 'addresses')) ||
      own.some(({ containerizer, used, addresses }) => containerizer === 'Docker' && reached(used, addresses))
    );
  });
}

/**
 * Whether a node takes more pods than its part of a block has addresses.
 * @param pods `status.allocatable.pods` of the Nodes that were read
 */
export function tightBlocks(
  { spec, status }: OverlayNetwork,
  nodes: readonly NodeFacts[],
  pods: (node: NodeFacts) => number | undefined,
): Finding {
  const type = 'TightBlocks';
  const room = roomForPods(spec);
  const fine = {
    type,
    status: 'False',
    reason: 'Enough',
    message: 'nodes have an address for each pod',
  } as const;
  if (room === undefined) return fine;
  const selected = nodes.filter(({ labels }) => selects(spec.nodeSelector, labels));
  const tight = selected.flatMap((node) => {
    const count = pods(node);
    return count !== undefined && count > room ? [`${node.name} (${count} pods)`] : [];
  });
  if (tight.length === 0) {
    const before = status?.conditions?.find((condition) => condition.type === type);
    // a new leader has not read every Node again
    if (before?.status === 'True' && selected.some((node) => pods(node) === undefined)) {
      const { reason, message } = before;
      return { type, status: 'True', reason, message };
    }
    return fine;
  }
  return {
    type,
    status: 'True',
    reason: 'FewerAddressesThanPods',
    message: `spec.subnets: a node's part has ${room} addresses for pods, and these nodes take more: ${named(tight.sort())}; append a subnet with a shorter prefix, or lower their maxPods`,
  };
}

/** How many pods of the network a node has addresses for; undefined: the network has none for pods. */
export function roomForPods({
  subnets,
  containerizers,
}: Pick<OverlayNetwork['spec'], 'subnets' | 'containerizers'>): number | undefined {
  if (!containerizers.includes('CNI')) return undefined;
  const half = containerizers.length > 1 ? 1 : 0;
  const rooms = ([4, 6] as const).flatMap((family) => {
    const parts = subnets.filter(({ cidr, state }) => state === 'Active' && familyOf(cidr) === family);
    if (parts.length === 0) return [];
    return [parts.reduce((all, { prefix }) => all + addressesFor(family, prefix + half), 0)];
  });
  return rooms.length === 0 ? undefined : Math.min(...rooms);
}
