import type { LedgerSpace, NetworkSubnet, OverlayNetwork } from '../api/types.ts';
import { validateNetwork } from '../api/validate.ts';
import { familyName, parseAddress } from '../net/address.ts';
import { containsAddress, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { byAge } from './order.ts';
import { leastIPv6MTU } from './register.ts';
import { vtepSpace } from './space.ts';
import type { Refusal } from './view.ts';

export interface NetworkVerdicts {
  /** The spaces after accepting, reviving and retiring; the same objects where nothing changed. */
  spaces: LedgerSpace[];
  /** The first reason against each network that has one; entries accepted earlier stay. */
  refused: Map<string, Refusal>;
}

export interface NetworkContext {
  now: number;
  cooldownMs: number;
  vtepSubnets: readonly string[];
  /** Every registered node address and whose it is. */
  nodeAddresses: ReadonlyMap<string, string>;
  /** Nodes whose agents say that they use blocks of a space. */
  users: (space: LedgerSpace) => string[];
  /** In force, or what the configuration asks for; undefined before any agent has registered. */
  mtu: number | undefined;
}

/**
 * Which subnets are in use: accepted ones first, then the networks by age, so that of two that overlap the older
 * wins and nothing that works changes.
 */
export function judgeNetworks(
  networks: readonly OverlayNetwork[],
  before: readonly LedgerSpace[],
  context: NetworkContext,
): NetworkVerdicts {
  const live = new Map(
    networks
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((n) => [n.metadata.name, n]),
  );
  const spaces = before.map((space) => retireOrKeep(space, live.get(space.network), context.now));
  const refused = new Map<string, Refusal>();
  const inUse = new Set(
    spaces.filter(({ retiredAt }) => retiredAt === undefined).map(({ network }) => network),
  );
  const order = (a: OverlayNetwork, b: OverlayNetwork) =>
    Number(inUse.has(b.metadata.name)) - Number(inUse.has(a.metadata.name)) || byAge(a.metadata, b.metadata);
  for (const network of [...live.values()].sort(order)) {
    const invalid = validateNetwork(network);
    if (invalid !== undefined) {
      refused.set(network.metadata.name, invalid);
      continue;
    }
    for (const entry of network.spec.subnets) {
      const refusal = admit(network, entry, spaces, context);
      if (refusal !== undefined && !refused.has(network.metadata.name))
        refused.set(network.metadata.name, refusal);
    }
  }
  return { spaces, refused };
}

/** A network that was deleted and made again keeps its space: the uid follows. */
function retireOrKeep(space: LedgerSpace, network: OverlayNetwork | undefined, now: number): LedgerSpace {
  if (space.cidr === vtepSpace || space.retiredAt !== undefined) return space;
  if (network?.spec.subnets.some((entry) => isOf(space, network, entry)) !== true) {
    return { ...space, retiredAt: new Date(now).toISOString() };
  }
  const networkUID = network.metadata.uid ?? '';
  return space.networkUID === networkUID ? space : { ...space, networkUID };
}

const isOf = (space: LedgerSpace, network: OverlayNetwork, { cidr, prefix }: NetworkSubnet): boolean =>
  space.network === network.metadata.name && space.cidr === cidr && space.prefix === prefix;

function admit(
  network: OverlayNetwork,
  entry: NetworkSubnet,
  spaces: LedgerSpace[],
  context: NetworkContext,
): Refusal | undefined {
  const at = spaces.findIndex((space) => isOf(space, network, entry));
  const known = spaces[at];
  if (known !== undefined) {
    if (known.retiredAt !== undefined) {
      // back before it was forgotten: the same blocks go to the same nodes
      const { retiredAt: was, ...rest } = known;
      spaces[at] = { ...rest, networkUID: network.metadata.uid ?? '' };
    }
    return undefined;
  }
  const refusal = against(parseCidr(entry.cidr), entry.cidr, spaces, context);
  if (refusal !== undefined) return refusal;
  const { name, uid = '' } = network.metadata;
  spaces.push({ cidr: entry.cidr, prefix: entry.prefix, network: name, networkUID: uid, pages: [] });
  return undefined;
}

function against(
  cidr: Cidr,
  text: string,
  spaces: readonly LedgerSpace[],
  { now, cooldownMs, vtepSubnets, nodeAddresses, users, mtu }: NetworkContext,
): Refusal | undefined {
  const field = `spec.subnets: ${text}`;
  for (const space of spaces) {
    if (space.cidr === vtepSpace || !overlaps(cidr, parseCidr(space.cidr))) continue;
    if (space.retiredAt === undefined) {
      return { reason: 'Overlap', message: `${field} overlaps ${space.cidr} of network ${space.network}` };
    }
    const seconds = Math.ceil((Date.parse(space.retiredAt) + cooldownMs - now) / 1000);
    const held = seconds > 0 ? [] : users(space);
    const when =
      held.length === 0
        ? `which is free again in about ${Math.max(1, seconds)} s (reuseCooldown)`
        : `which is free again once containers have left it on ${brief(held)}: kubectl describe overlayagent ${held[0] ?? ''}`;
    return {
      reason: 'Cooling',
      message: `${field} overlaps ${space.cidr} /${space.prefix}, which network ${space.network} gave up and ${when}`,
    };
  }
  const vtep = vtepSubnets.find((subnet) => overlaps(cidr, parseCidr(subnet)));
  if (vtep !== undefined) return { reason: 'Overlap', message: `${field} overlaps the VTEP subnet ${vtep}` };
  for (const [address, node] of nodeAddresses) {
    if (containsAddress(cidr, parseAddress(address))) {
      return { reason: 'Overlap', message: `${field} contains ${address}, an address of node ${node}` };
    }
  }
  if (!vtepSubnets.some((subnet) => parseCidr(subnet).family === cidr.family)) {
    const family = familyName(cidr.family);
    return {
      reason: 'NoVTEPSubnet',
      message: `${field} is ${family}, and OverlayConfig has no ${family} VTEP subnet`,
    };
  }
  if (cidr.family === 6 && mtu !== undefined && mtu < leastIPv6MTU) {
    return {
      reason: 'MTUTooSmall',
      message: `${field} is IPv6, which needs an MTU of ${leastIPv6MTU}; the tunnel has ${mtu}`,
    };
  }
  return undefined;
}

const brief = (nodes: readonly string[]): string =>
  `${nodes.slice(0, 3).join(', ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}`;
