import { AddressError, bits, readable } from '../net/address.ts';
import { contains, formatCidr, overlaps, parseCidr, parseInterface, type Cidr } from '../net/cidr.ts';
import { defaultWarnAt } from './usage.ts';
import { isName, mostNetworks, reservedNames } from '../net/name.ts';
import { parseDuration } from './duration.ts';
import { goesWhenDrained } from './draining.ts';
import type { OverlayConfigSpec, OverlayNetwork, OverlayReservation } from './types.ts';

/** Checks objects by themselves. The CRDs have the same rules, but an older CRD may have admitted an object. */
export interface Invalid {
  reason: 'Invalid';
  message: string;
}

/** Ranges that no overlay may use: the default route, this network, loopback, link-local, multicast and reserved ones. */
const notForOverlays = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/8',
  'fe80::/10',
  'ff00::/8',
].map(parseCidr);

/** Whether a range lies where no overlay may be. */
export const isReserved = (cidr: Cidr): boolean =>
  cidr.length === 0 || notForOverlays.some((range) => contains(range, cidr));

/** The rules that need no other object. */
export function validateNetwork({ metadata, spec }: OverlayNetwork): Invalid | undefined {
  const { name } = metadata;
  if (!isName(name)) {
    return invalid(`metadata.name: "${name}" is not a DNS label of at most 13 characters`);
  }
  if (reservedNames.has(name)) return invalid(`metadata.name: "${name}" is reserved by Docker`);
  if (spec.subnets.length === 0) return invalid('spec.subnets: at least one is needed');
  const seen: Cidr[] = [];
  for (const entry of spec.subnets) {
    const cidr = parsed(entry.cidr, 'spec.subnets');
    if ('message' in cidr) return cidr;
    const problem = outOfRange(cidr) ?? wrongPrefix(cidr, entry.prefix, spec.containerizers.length);
    if (problem !== undefined) return invalid(`spec.subnets: ${entry.cidr} ${problem}`);
    if (seen.some((other) => overlaps(other, cidr))) {
      return invalid(`spec.subnets: ${entry.cidr} overlaps another entry of this network`);
    }
    seen.push(cidr);
  }
  if (spec.subnets.every(goesWhenDrained)) return invalid(`spec.subnets: ${allGo}`);
  const { warnAt = defaultWarnAt } = spec;
  if (!(warnAt >= 1 && warnAt <= 100))
    return invalid(`spec.warnAt: ${warnAt} is not a percentage from 1 to 100`);
  return undefined;
}

const allGo =
  'at least one entry must not be both Draining and removeWhenDrained; delete the network to give up all of them';

export function validateConfig(spec: OverlayConfigSpec): Invalid | undefined {
  const families = new Set<number>();
  for (const text of spec.vtepSubnets) {
    const cidr = parsed(text, 'spec.vtepSubnets');
    if ('message' in cidr) return cidr;
    if (families.has(cidr.family)) return invalid(`spec.vtepSubnets: ${text} is the second of its family`);
    const problem = outOfRange(cidr);
    if (problem !== undefined) return invalid(`spec.vtepSubnets: ${text} ${problem}`);
    const most = bits(cidr.family) - 2;
    if (cidr.length < 8 || cidr.length > most) {
      return invalid(`spec.vtepSubnets: ${text} must be from /8 to /${most}`);
    }
    families.add(cidr.family);
  }
  for (const text of spec.nodeSubnets ?? []) {
    const cidr = parsed(text, 'spec.nodeSubnets');
    if ('message' in cidr) return cidr;
  }
  if (families.size === 0) return invalid('spec.vtepSubnets: at least one is needed');
  if (!/^([0-9A-Fa-f]{2}:){3}00:00:00$/.test(spec.vtepMACOUI)) {
    return invalid(`spec.vtepMACOUI: "${spec.vtepMACOUI}" is not three octets followed by 00:00:00`);
  }
  if (/^.[13579BDFbdf]/.test(spec.vtepMACOUI)) {
    return invalid(
      `spec.vtepMACOUI: "${spec.vtepMACOUI}" is a multicast address; its first octet must be even`,
    );
  }
  const problem = wrongDefault(spec.defaultNetwork.split(','));
  return problem === undefined
    ? wrongProbes(spec.probes)
    : invalid(`spec.defaultNetwork: "${spec.defaultNetwork}" ${problem}`);
}

function wrongProbes(probes: OverlayConfigSpec['probes']): Invalid | undefined {
  if (probes === undefined) return undefined;
  const { peers, slowAfter } = probes;
  if (!(Number.isInteger(peers) && peers >= 1 && peers <= 32))
    return invalid(`spec.probes.peers: ${peers} is not a whole number from 1 to 32`);
  const ms = slowAfter === undefined ? 1 : parseDuration(slowAfter);
  if (ms === undefined || ms < 1 || ms > 10_000)
    return invalid(`spec.probes.slowAfter: "${slowAfter ?? ''}" is not a duration from 1ms to 10s`);
  return undefined;
}

function wrongDefault(names: readonly string[]): string | undefined {
  if (names.length > mostNetworks)
    return `names ${names.length} networks; at most ${mostNetworks} are allowed, because a container has at most ${mostNetworks} interfaces`;
  if (!names.every(isName)) return 'is not a comma list of networks without spaces';
  if (names.some((name) => reservedNames.has(name)))
    return `must not name ${[...reservedNames].join(', ')}, which are reserved`;
  return undefined;
}

export function validateReservation({ spec }: Pick<OverlayReservation, 'spec'>): Invalid | undefined {
  const { vtep, networks = [], exclusive = false } = spec;
  if (vtep === undefined && networks.length === 0 && !exclusive)
    return invalid('spec: it reserves nothing; give vtep or networks, or exclusive');
  if (vtep !== undefined) {
    const { ip, ip6, mac } = vtep;
    if (ip === undefined && ip6 === undefined) return invalid('spec.vtep: it must have ip or ip6');
    if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac))
      return invalid(`spec.vtep.mac: "${mac}" is not a unicast MAC in lower case`);
    for (const text of [ip, ip6])
      if (text !== undefined && readable(() => parseInterface(text)) === undefined)
        return invalid(
          `spec.vtep: "${text}" is not an address with the length of its subnet, such as 44.128.0.2/20`,
        );
  }
  for (const text of networks.flatMap(({ subnets }) => subnets)) {
    const cidr = parsed(text, 'spec.networks');
    if ('message' in cidr) return cidr;
  }
  return undefined;
}

const invalid = (message: string): Invalid => ({ reason: 'Invalid', message });

function parsed(text: string, field: string): Cidr | Invalid {
  try {
    const cidr = parseCidr(text);
    const canonical = formatCidr(cidr);
    if (canonical === text) return cidr;
    return invalid(`${field}: "${text}" is not in canonical form (RFC 5952); write ${canonical}`);
  } catch (error) {
    if (error instanceof AddressError) return invalid(`${field}: ${error.message}`);
    throw error;
  }
}

function outOfRange(cidr: Cidr): string | undefined {
  if (cidr.length === 0) return 'is the default route';
  const hit = notForOverlays.find((range) => overlaps(range, cidr));
  if (hit === undefined) return undefined;
  return contains(hit, cidr) ? 'is loopback, link-local, multicast or reserved' : 'contains a reserved range';
}

function wrongPrefix({ family, length }: Cidr, prefix: number, containerizers: number): string | undefined {
  const most = (family === 4 ? 29 : 125) + (containerizers === 1 ? 1 : 0);
  if (prefix <= length) return `has prefix ${prefix}, which must be longer than the subnet's ${length}`;
  if (prefix > length + 20)
    return `has prefix ${prefix}, which must be at most 20 longer than the subnet's ${length}`;
  if (prefix > most) return `has prefix ${prefix}, which leaves no usable addresses; at most ${most}`;
  return undefined;
}
