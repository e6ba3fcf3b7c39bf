import type { LedgerIndex, Underlay } from '../api/types.ts';
import { vtepSpace } from './space.ts';
import type { Refusal, View } from './view.ts';
import { familyOf } from '../net/address.ts';

/** The smallest MTU of a link with IPv6 (RFC 8200, section 5). */
export const leastIPv6MTU = 1280;

/** Encapsulation in bytes: outer IP and UDP, VXLAN, inner Ethernet. */
export const overhead = (underlay: Underlay): number => (underlay === 'IPv4' ? 50 : 70);

/**
 * Names the subnets that have IPv6 addresses; undefined if there are none. The VTEPs' subnet counts, even without any
 * network.
 */
export function ipv6InUse({ spaces }: LedgerIndex, vtepSubnets: readonly string[]): string | undefined {
  const subnet = vtepSubnets.find((cidr) => familyOf(cidr) === 6);
  if (subnet !== undefined) return `the IPv6 VTEP subnet ${subnet}`;
  const space = spaces.find(({ cidr, retiredAt }) => familyOf(cidr) === 6 && retiredAt === undefined);
  return space === undefined ? undefined : `${space.cidr} of network ${space.network}`;
}

/** Whether no network has a block, by the ledger and by what nodes show. Then no container has an interface. */
export const isUnused = (
  { allocations, agents }: Pick<View, 'allocations' | 'agents'>,
  { spaces }: LedgerIndex,
): boolean =>
  spaces.every(({ cidr }) => cidr === vtepSpace) &&
  ![...allocations.values(), ...agents.values()].some(({ spec }) => (spec.networks ?? []).length > 0);

/** The tunnel's MTU, as this configuration and this ledger decide it. */
export interface MTURule {
  /** The value of spec.mtu, if it is possible. */
  chosen: number | undefined;
  /** The ledger's MTU. Absent if the ledger has none yet, or if the MTU is too small for IPv6. */
  inForce: number | undefined;
  /** Whether the MTU stays, whatever nodes register, because containers have it. */
  settled: boolean;
  /** The subnets that have IPv6 addresses, in words. */
  ipv6: string | undefined;
}

export function mtuRule(
  view: Pick<View, 'config' | 'allocations' | 'agents'>,
  index: LedgerIndex,
  vtepSubnets: readonly string[],
): MTURule {
  const { config } = view;
  const ipv6 = ipv6InUse(index, vtepSubnets);
  const possible = (mtu: number | undefined) =>
    mtu !== undefined && mtu < leastIPv6MTU && ipv6 !== undefined ? undefined : mtu;
  const inForce = possible(index.mtu ?? config?.status?.effective?.mtu);
  const settled = inForce !== undefined && !isUnused(view, index);
  return { chosen: possible(config?.spec.mtu), inForce, settled, ipv6 };
}

/** Tells why spec.mtu is not in force. */
export function mtuRefusal(
  mtu: number | undefined,
  index: LedgerIndex,
  vtepSubnets: readonly string[],
): Refusal | undefined {
  const ipv6 = ipv6InUse(index, vtepSubnets);
  if (mtu === undefined || mtu >= leastIPv6MTU || ipv6 === undefined) return undefined;
  return {
    reason: 'MTUTooSmall',
    message: `spec.mtu: ${mtu} is not in force: ${ipv6} needs at least ${leastIPv6MTU} (RFC 8200)`,
  };
}

/** Tells why a node with that uplink cannot be a member: its tunnel would be smaller than that of all others. */
export function uplinkRefusal(uplinkMTU: number, underlay: Underlay, rule: MTURule): Refusal | undefined {
  const { chosen, inForce, settled, ipv6 } = rule;
  const most = uplinkMTU - overhead(underlay);
  if (chosen !== undefined) return undefined;
  if (ipv6 !== undefined && most < leastIPv6MTU) {
    return {
      reason: 'MTUTooSmall',
      message: `spec.uplinkMTU: ${uplinkMTU} leaves ${most} bytes in the tunnel, and ${ipv6} needs ${leastIPv6MTU} (RFC 8200)`,
    };
  }
  if (!settled || inForce === undefined || most >= inForce) return undefined;
  return {
    reason: 'LowersMTU',
    message:
      `spec.uplinkMTU: ${uplinkMTU} leaves ${most} bytes in the tunnel, and ${inForce} are in force on every node; ` +
      'give the uplink a larger MTU, or lower that of the whole cluster: ' +
      `kubectl patch overlayconfig default --type=merge -p '{"spec":{"mtu":${most}}}'`,
  };
}

/**
 * The MTU of tunnel and bridges, in bytes: the configured one, otherwise the ledger's. While the ledger has
 * none, or no network has a block, the MTU follows the smallest uplink. It does not rise again when that node leaves:
 * otherwise the node would be refused when it comes back.
 */
export function tunnelMTU(
  { accepted }: { accepted: ReadonlyMap<string, { uplinkMTU: number | undefined }> },
  underlay: Underlay,
  { chosen, inForce, settled }: MTURule,
): number | undefined {
  if (chosen !== undefined) return chosen;
  if (settled) return inForce;
  const uplinks = [...accepted.values()].map(({ uplinkMTU }) => uplinkMTU);
  const stated = uplinks.filter((mtu) => mtu !== undefined);
  // an agent that has not stated its MTU counts as having the one in force
  const known = stated.map((mtu) => mtu - overhead(underlay));
  if (inForce !== undefined && stated.length < uplinks.length) known.push(inForce);
  return known.length === 0 ? inForce : known.reduce((a, b) => Math.min(a, b));
}
