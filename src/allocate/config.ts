import type { LedgerIndex, LedgerSpace, PinnedConfig } from '../api/types.ts';
import { parseDuration } from '../api/duration.ts';
import { validateConfig } from '../api/validate.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';
import { leastIPv6MTU, overhead, type Registrations, type TakenSpace } from './register.ts';
import { vtepSpace } from './space.ts';
import type { Refusal, View } from './view.ts';

const defaultCooldownMs = 600_000;

/** How long a released block rests, in milliseconds. */
export const cooldown = ({ config }: Pick<View, 'config'>): number =>
  parseDuration(config?.spec.reuseCooldown ?? '') ?? defaultCooldownMs;

export const hasIPv6 = ({ spaces }: LedgerIndex): boolean =>
  spaces.some(({ cidr, retiredAt }) => cidr.includes(':') && retiredAt === undefined);

/** The part of a configuration that is pinned at the first registration. */
export function pinnable({ vtepSubnets, vtepMACOUI, vni, port, underlay }: PinnedConfig): PinnedConfig {
  return { vtepSubnets, vtepMACOUI, vni, port, underlay };
}

/** Why OverlayConfig, or a part of it, is not in force. */
export function configRefusal({ config }: Pick<View, 'config'>, index: LedgerIndex): Refusal | undefined {
  if (config === undefined) return undefined;
  const { spec } = config;
  const invalid = validateConfig(spec);
  if (invalid !== undefined) return invalid;
  if (spec.mtu !== undefined && spec.mtu < leastIPv6MTU && hasIPv6(index)) {
    return {
      reason: 'MTUTooSmall',
      message: `spec.mtu: ${spec.mtu} is not in force: the IPv6 networks in use need ${leastIPv6MTU}`,
    };
  }
  const pinned = index.config;
  if (pinned !== undefined) {
    const wanted = pinnable(spec);
    const fields = (['vtepSubnets', 'vtepMACOUI', 'vni', 'port', 'underlay'] as const).filter(
      (field) => String(wanted[field]) !== String(pinned[field]),
    );
    if (fields.length === 0) return undefined;
    const each = fields.map(
      (field) => `spec.${field}: ${String(wanted[field])} is not in force, ${String(pinned[field])} is`,
    );
    return {
      reason: 'Pinned',
      message: `${each.join('; ')}; these are pinned at the first agent's registration`,
    };
  }
  for (const subnet of spec.vtepSubnets) {
    const hit = index.spaces.find(
      ({ cidr }) => cidr !== vtepSpace && overlaps(parseCidr(cidr), parseCidr(subnet)),
    );
    if (hit !== undefined) {
      return {
        reason: 'Overlap',
        message: `spec.vtepSubnets: ${subnet} overlaps ${hit.cidr} of network ${hit.network}`,
      };
    }
  }
  return undefined;
}

/** MTU of tunnel and bridges in bytes: as configured, else what the smallest uplink leaves. */
export function tunnelMTU(
  { config }: Pick<View, 'config'>,
  { accepted }: Registrations,
  pinned: PinnedConfig | undefined,
  index: LedgerIndex,
): number | undefined {
  const wanted = config?.spec.mtu;
  if (wanted !== undefined && (wanted >= leastIPv6MTU || !hasIPv6(index))) return wanted;
  const uplinks = [...accepted.values()].map(({ uplinkMTU }) => uplinkMTU);
  const stated = uplinks.filter((mtu) => mtu !== undefined);
  // an agent that has not said its own counts as the value in force
  const inForce = config?.status?.effective?.mtu;
  const known = stated.map((mtu) => mtu - overhead(pinned?.underlay ?? 'IPv4'));
  if (inForce !== undefined && stated.length < uplinks.length) known.push(inForce);
  return known.length === 0 ? inForce : known.reduce((a, b) => Math.min(a, b));
}

/** The VTEPs are a space like any other, there from the moment that their subnets are pinned. */
export function withVtepSpace(spaces: LedgerSpace[], config: PinnedConfig | undefined): LedgerSpace[] {
  if (config === undefined || spaces.some(({ cidr }) => cidr === vtepSpace)) return spaces;
  return [{ cidr: vtepSpace, prefix: 0, network: '', networkUID: '', pages: [] }, ...spaces];
}

/** What a node's own address must not lie in. */
export function takenSpaces({ spaces }: LedgerIndex, config: PinnedConfig | undefined): TakenSpace[] {
  return [
    ...(config?.vtepSubnets ?? []).map((cidr) => ({ cidr, whose: 'the VTEP subnets' })),
    ...spaces
      .filter(({ cidr }) => cidr !== vtepSpace)
      .map(({ cidr, network }) => ({ cidr, whose: `network ${network}` })),
  ];
}
