import type { LedgerIndex, Underlay } from '../api/types.ts';
import { vtepSpace } from './space.ts';
import type { Refusal, View } from './view.ts';
import { familyOf } from '../net/address.ts';

/** What IPv6 needs of every link (RFC 8200, section 5). */
export const leastIPv6MTU = 1280;

/** Encapsulation in bytes: outer IP and UDP, VXLAN, inner Ethernet. */
export const overhead = (underlay: Underlay): number => (underlay === 'IPv4' ? 50 : 70);

/** What has IPv6 addresses, in words; undefined where nothing has. The tunnel's own addresses count, without any network. */
export function ipv6InUse({ spaces }: LedgerIndex, vtepSubnets: readonly string[]): string | undefined {
  const subnet = vtepSubnets.find((cidr) => familyOf(cidr) === 6);
  if (subnet !== undefined) return `the IPv6 VTEP subnet ${subnet}`;
  const space = spaces.find(({ cidr, retiredAt }) => familyOf(cidr) === 6 && retiredAt === undefined);
  return space === undefined ? undefined : `${space.cidr} of network ${space.network}`;
}

/** No network has a block, by the ledger or by what nodes show: no container has an interface yet. */
export const isUnused = (
  { allocations, agents }: Pick<View, 'allocations' | 'agents'>,
  { spaces }: LedgerIndex,
): boolean =>
  spaces.every(({ cidr }) => cidr === vtepSpace) &&
  ![...allocations.values(), ...agents.values()].some(({ spec }) => (spec.networks ?? []).length > 0);

/** The tunnel's MTU, as this configuration and this ledger decide it. */
export interface MTURule {
  /** What spec.mtu asks for, where that is possible. */
  chosen: number | undefined;
  /** The MTU in force, from the ledger; absent where none is, or where IPv6 could not have it. */
  inForce: number | undefined;
  /** It stays, whatever nodes register: containers have it. */
  settled: boolean;
  /** What has IPv6 addresses. */
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

/** Why spec.mtu is not in force. */
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

/** Why a node with that uplink cannot be a member: its tunnel would be smaller than what all others have. */
export function uplinkRefusal(uplinkMTU: number, underlay: Underlay, rule: MTURule): Refusal | undefined {
  const { chosen, inForce, settled, ipv6 } = rule;
  const left = uplinkMTU - overhead(underlay);
  if (chosen !== undefined) return undefined;
  if (ipv6 !== undefined && left < leastIPv6MTU) {
    return {
      reason: 'MTUTooSmall',
      message: `spec.uplinkMTU: ${uplinkMTU} leaves ${left} bytes in the tunnel, and ${ipv6} needs ${leastIPv6MTU} (RFC 8200)`,
    };
  }
  if (!settled || inForce === undefined || left >= inForce) return undefined;
  return {
    reason: 'LowersMTU',
    message:
      `spec.uplinkMTU: ${uplinkMTU} leaves ${left} bytes in the tunnel, and ${inForce} are in force on every node; ` +
      'give the uplink a larger MTU, or lower that of the whole cluster: ' +
      `kubectl patch overlayconfig default --type=merge -p '{"spec":{"mtu":${left}}}'`,
  };
}

/**
 * MTU of tunnel and bridges in bytes: as configured, else what is in force. As long as nothing is, or no network has a
 * block, it is what the smallest uplink leaves. It does not rise again when that node leaves: the node would be refused
 * when it comes back.
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
  // an agent that has not said its own counts as the value in force
  const known = stated.map((mtu) => mtu - overhead(underlay));
  if (inForce !== undefined && stated.length < uplinks.length) known.push(inForce);
  return known.length === 0 ? inForce : known.reduce((a, b) => Math.min(a, b));
}
