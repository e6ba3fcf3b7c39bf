import type { Finding } from '../api/conditions.ts';
import { selects } from '../api/selector.ts';
import type { AgentNetwork, AddressUsage, OverlayNetwork, SubnetCapacity } from '../api/types.ts';
import { familyOf, readable } from '../net/address.ts';
import { addressesFor, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { defaultWarnAt } from '../api/usage.ts';
import { named } from './alarms.ts';
import type { NodeFacts } from './view.ts';

/**
 * A warning ends this many percentage points below its threshold. Otherwise one container that comes and goes would
 * raise it again and again.
 */
const slack = 5;

/** A node, with its agent's statement about the network. */
export interface NodeReport {
  node: NodeFacts;
  network: AgentNetwork | undefined;
}

/** The condition that warns before a subnet's blocks or a node's addresses run out (`warnAt`). */
export function exhausting(
  { spec, status }: OverlayNetwork,
  capacities: readonly SubnetCapacity[],
  reports: readonly NodeReport[],
): Finding {
  const type = 'Exhausting';
  const { warnAt = defaultWarnAt } = spec;
  const before = status?.conditions?.find((condition) => condition.type === type);
  const from = (reason: string) =>
    before?.status === 'True' && before.reason === reason ? Math.max(1, warnAt - slack) : warnAt;
  const active = spec.subnets.filter(({ state }) => state === 'Active').map(({ cidr }) => cidr);
  const isScarceOf = ({ blocks, free }: SubnetCapacity) => (blocks - free) * 100 >= from('Blocks') * blocks;
  const given = capacities.filter(({ cidr }) => active.includes(cidr));
  // a node needs one block of each family
  const roomy = new Set(given.filter((one) => !isScarceOf(one)).map(({ cidr }) => familyOf(cidr)));
  const scarce = given.filter(({ cidr }) => !roomy.has(familyOf(cidr)));
  // a refused subnet, or a range that an agent names, may be no valid CIDR
  const ranges = active.flatMap(ranged);
  const limit = from('Addresses');
  const full = reports.flatMap(({ node, network }) =>
    isScarce(network?.usage ?? [], ranges, limit) ? [node.name] : [],
  );
  const words = [
    // no numbers that change with each node or container: every change of the status is sent to every watcher
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

/**
 * Whether one part that a container must take an address from is nearly full. Pods take an address of each family from
 * any part that has one; a Docker network lies in one part of each family.
 */
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
 * The condition that warns if a node takes more pods than its part of a block has addresses.
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
    // a new leader has not read every Node yet
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

/** The number of pods of the network that a node has addresses for; undefined if the network has none for pods. */
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
