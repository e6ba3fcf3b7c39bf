import { AddressError, bits } from '../net/address.ts';
import { contains, formatCidr, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { defaultWarnAt } from './usage.ts';
import { isName, reservedNames } from '../net/name.ts';
import { goesWhenDrained } from './draining.ts';
import type { OverlayConfigSpec, OverlayNetwork } from './types.ts';

/** What is wrong with an object by itself. The CRDs' rules say the same; an older CRD may have let it pass. */
export interface Invalid {
  reason: 'Invalid';
  message: string;
}

/** No overlay: the default route, this network, loopback, link-local, multicast and beyond. */
const notForOverlays = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/8',
  'fe80::/10',
  'ff00::/8',
].map(parseCidr);

/** Whether no overlay can be there at all. */
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
