import type { LedgerSpace, NetworkSubnet, OverlayAgent, OverlayNetwork } from '../api/types.ts';
import { isLeaving } from '../api/inuse.ts';
import { validateNetwork } from '../api/validate.ts';
import { familyName, familyOf, parseAddress, type Family } from '../net/address.ts';
import { containsAddress, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { isRemoved } from './draining.ts';
import { goesWhenDrained } from '../api/draining.ts';
import { byAge } from './order.ts';
import { leastIPv6MTU } from './mtu.ts';
import { rangeRefusal } from './overlap.ts';
import { mostSubnets, skewMs, vtepSpace } from './space.ts';
import type { Refusal } from './view.ts';

export interface NetworkVerdicts {
  /** The spaces after accepting, reviving and retiring; the same objects where nothing changed. */
  spaces: LedgerSpace[];
  /** The first reason to refuse each refused network. Its entries that were accepted earlier stay. */
  refused: Map<string, Refusal>;
}

export interface NetworkContext {
  now: number;
  cooldownMs: number;
  vtepSubnets: readonly string[];
  /** Every registered node address, with its node. */
  nodeAddresses: () => ReadonlyMap<string, string>;
  /** What the agents of accepted nodes registered. */
  members: () => readonly OverlayAgent[];
  /** Nodes whose agents say that they use blocks of the space. */
  users: (space: LedgerSpace) => string[];
  /** The subnets in force, or those that the configuration asks for. Undefined before any agent has registered. */
  mtu: number | undefined;
  /** Whether the VTEP subnets are pinned, so that those in force stay. */
  pinned: boolean;
  /** Returns a new space with its remaining pages. */
  remains: (space: LedgerSpace) => LedgerSpace;
  /** Whether a space of that network may be retired. */
  mayRetire: (network: string) => boolean;
  /** Whether no container uses that entry of the network. */
  isDrained: (network: OverlayNetwork, entry: NetworkSubnet) => boolean;
}

/** The most networks that the CRD of AgentAllocation allows. */
const mostNetworks = 256;

/**
 * Decides which subnets are in use: accepted ones first, then the networks by age. Of two that overlap the older wins,
 * so a working network never changes.
 */
export function judgeNetworks(
  networks: readonly OverlayNetwork[],
  before: readonly LedgerSpace[],
  context: NetworkContext,
): NetworkVerdicts {
  const live = new Map(
    networks.filter(({ metadata }) => !isLeaving(metadata)).map((n) => [n.metadata.name, n]),
  );
  const spaces = before.map((space) => retireOrKeep(space, live.get(space.network), context));
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

/** Keeps a space, or retires it. A network that was deleted and created again keeps its space; the uid follows. */
function retireOrKeep(
  space: LedgerSpace,
  network: OverlayNetwork | undefined,
  context: NetworkContext,
): LedgerSpace {
  const { now, vtepSubnets, pinned, mayRetire } = context;
  if (space.cidr === vtepSpace) return space;
  if (space.retiredAt !== undefined) {
    // the leader that wrote it had a clock that was ahead: do not wait for years
    return Date.parse(space.retiredAt) > now + skewMs
      ? { ...space, retiredAt: new Date(now).toISOString() }
      : space;
  }
  const entry = network?.spec.subnets.find((one) => isOf(space, network, one));
  // before the VTEP subnets are pinned, they can still change to overlap a network
  const carried = pinned || hasVTEPSubnet(vtepSubnets, familyOf(space.cidr));
  const retired = { ...space, retiredAt: new Date(now).toISOString() };
  if (network === undefined || entry === undefined || !carried)
    return mayRetire(space.network) ? retired : space;
  if (goesWhenDrained(entry) && context.isDrained(network, entry) && mayRetire(space.network))
    return { ...retired, drained: true };
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
  if (isRemoved(entry, known) && (known !== undefined || !isHeld(network, entry, context))) return undefined;
  const uncarried = withoutVTEP(entry.cidr, context);
  if (known !== undefined && uncarried !== undefined) return uncarried;
  if (known !== undefined) {
    if (known.retiredAt !== undefined) {
      const taken = overlapInUse(parseCidr(entry.cidr), entry.cidr, spaces);
      if (taken !== undefined) return taken;
      // the subnet came back before it was forgotten: the same nodes get the same blocks
      const { retiredAt: was, drained, ...rest } = known;
      spaces[at] = { ...rest, networkUID: network.metadata.uid ?? '' };
    }
    return undefined;
  }
  const { name, uid = '' } = network.metadata;
  const refusal =
    against(parseCidr(entry.cidr), entry.cidr, spaces, context) ??
    uncarried ??
    tooNarrow(entry.cidr, context) ??
    tooMany(name, entry.cidr, spaces) ??
    againstRanges(network, entry, context);
  if (refusal !== undefined) return refusal;
  const { cidr, prefix } = entry;
  spaces.push(context.remains({ cidr, prefix, network: name, networkUID: uid, pages: [] }));
  return undefined;
}

/** Whether agents hold blocks of an entry that the ledger lost. */
const isHeld = (
  { metadata }: OverlayNetwork,
  { cidr, prefix }: NetworkSubnet,
  { users }: NetworkContext,
): boolean => users({ cidr, prefix, network: metadata.name, networkUID: '', pages: [] }).length > 0;

function overlapInUse(cidr: Cidr, text: string, spaces: readonly LedgerSpace[]): Refusal | undefined {
  const other = spaces.find(
    (space) =>
      space.cidr !== vtepSpace && space.retiredAt === undefined && overlaps(cidr, parseCidr(space.cidr)),
  );
  if (other === undefined) return undefined;
  return {
    reason: 'Overlap',
    message: `spec.subnets: ${text} overlaps ${other.cidr} of network ${other.network}`,
  };
}

function tooMany(name: string, cidr: string, spaces: readonly LedgerSpace[]): Refusal | undefined {
  const subnets = spaces.filter((space) => space.cidr !== vtepSpace);
  const cooling = subnets.filter(({ retiredAt }) => retiredAt !== undefined).length;
  if (subnets.length >= mostSubnets) {
    return {
      reason: 'TooMany',
      message:
        `spec.subnets: ${cidr} would be one more than the ${mostSubnets} subnets that all networks together may have; ` +
        `${subnets.length - cooling} are in use and ${cooling} still cool (reuseCooldown)`,
    };
  }
  const networks = new Set(
    spaces.filter(({ retiredAt }) => retiredAt === undefined).map(({ network }) => network),
  );
  networks.delete('');
  if (networks.has(name) || networks.size < mostNetworks) return undefined;
  return {
    reason: 'TooMany',
    message: `metadata.name: ${name} would be one more than the ${mostNetworks} networks that a cluster may have`,
  };
}

const hasVTEPSubnet = (vtepSubnets: readonly string[], family: Family): boolean =>
  vtepSubnets.some((subnet) => familyOf(subnet) === family);

function withoutVTEP(cidr: string, { vtepSubnets }: NetworkContext): Refusal | undefined {
  const family = familyOf(cidr);
  if (hasVTEPSubnet(vtepSubnets, family)) return undefined;
  const name = familyName(family);
  return {
    reason: 'NoVTEPSubnet',
    message: `spec.subnets: ${cidr} is ${name}, and OverlayConfig has no ${name} VTEP subnet`,
  };
}

function tooNarrow(cidr: string, { mtu }: NetworkContext): Refusal | undefined {
  if (familyOf(cidr) === 4 || mtu === undefined || mtu >= leastIPv6MTU) return undefined;
  return {
    reason: 'MTUTooSmall',
    message: `spec.subnets: ${cidr} is IPv6, which needs an MTU of ${leastIPv6MTU}; the tunnel has ${mtu}`,
  };
}

function against(
  cidr: Cidr,
  text: string,
  spaces: readonly LedgerSpace[],
  { now, cooldownMs, vtepSubnets, nodeAddresses, users }: NetworkContext,
): Refusal | undefined {
  const field = `spec.subnets: ${text}`;
  for (const space of spaces) {
    if (space.cidr === vtepSpace || !overlaps(cidr, parseCidr(space.cidr))) continue;
    if (space.retiredAt === undefined) return overlapInUse(cidr, text, [space]);
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
  for (const [address, node] of nodeAddresses()) {
    if (containsAddress(cidr, parseAddress(address))) {
      return { reason: 'Overlap', message: `${field} contains ${address}, an address of node ${node}` };
    }
  }
  return undefined;
}

/**
 * Refuses a subnet that overlaps a range that nodes have beside the overlays. A subnet that only a lost ledger no
 * longer has is in the nodes' kernels already.
 */
function againstRanges(
  { metadata }: OverlayNetwork,
  { cidr, prefix }: NetworkSubnet,
  { members, users }: NetworkContext,
): Refusal | undefined {
  const object = `overlaynetwork ${metadata.name}`;
  const refusal = rangeRefusal({ field: 'spec.subnets', cidr, object, metadata }, members());
  if (refusal === undefined) return undefined;
  const space = { cidr, prefix, network: metadata.name, networkUID: '', pages: [] };
  return users(space).length > 0 ? undefined : refusal;
}

const brief = (nodes: readonly string[]): string =>
  `${nodes.slice(0, 3).join(', ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}`;
