import { familyOf, formatAddress, parseAddress, withoutLength } from './address.ts';
import { addressAt, blockCount, parseCidr, type Cidr } from './cidr.ts';

/** Indices are 20 bits at most, as a network's blocks are. */
const most = 2 ** 20;

/**
 * The number of VTEPs that the subnets hold: each family's network address and IPv4's broadcast address stay free.
 */
export function vtepCapacity(vtepSubnets: readonly string[]): number {
  const room = (cidr: Cidr) => blockCount(cidr, cidr.family === 4 ? 32 : 128) - (cidr.family === 4 ? 2 : 1);
  return Math.max(0, Math.min(most, ...vtepSubnets.map((text) => room(parseCidr(text)))));
}

/**
 * The VTEP of an index, from 0: its address in every family, lowest first, with the subnet's length, and its MAC:
 * the OUI's three bytes and then the low three bytes of its IPv4 address, or of its IPv6 address where there is no
 * IPv4 subnet. 44.128.0.2 with 70:B3:D5:00:00:00 → 70:b3:d5:80:00:02.
 */
export function vtepAt(
  vtepSubnets: readonly string[],
  oui: string,
  index: number,
): { ip?: string; ip6?: string; mac: string } {
  const cidrs = vtepSubnets.map(parseCidr).sort((a, b) => a.family - b.family);
  const vtep: { ip?: string; ip6?: string } = {};
  let low = 0;
  for (const cidr of cidrs.toReversed()) {
    const address = addressAt(cidr, index + 1);
    vtep[cidr.family === 4 ? 'ip' : 'ip6'] = `${formatAddress(address)}/${cidr.length}`;
    low = Number(address.value & 0xffffffn);
  }
  const tail = low.toString(16).padStart(6, '0').replace(/../g, ':$&');
  return { ...vtep, mac: oui.toLowerCase().slice(0, 8) + tail };
}

/** The index of the VTEP with that address (`44.128.0.2/20`); undefined if it is in none of the subnets. */
export function vtepIndex(vtepSubnets: readonly string[], address: string): number | undefined {
  const wanted = withoutLength(address);
  for (const text of vtepSubnets) {
    const cidr = parseCidr(text);
    if (cidr.family === familyOf(wanted)) {
      const offset = parseAddress(wanted).value - cidr.base;
      if (offset > 0n && offset <= BigInt(vtepCapacity(vtepSubnets))) return Number(offset) - 1;
    }
  }
  return undefined;
}

/** The index of the VTEP to which `vtepAt` gives this MAC; undefined if there is no such VTEP. */
export function vtepWithMAC(vtepSubnets: readonly string[], oui: string, mac: string): number | undefined {
  if (mac.slice(0, 8) !== oui.toLowerCase().slice(0, 8)) return undefined;
  const cidrs = vtepSubnets.map(parseCidr).sort((a, b) => a.family - b.family);
  const [first] = cidrs;
  if (first === undefined) return undefined;
  const low = BigInt(`0x${mac.slice(9).replaceAll(':', '')}`);
  const index = Number((low - first.base - 1n) & 0xffffffn);
  return index < vtepCapacity(vtepSubnets) ? index : undefined;
}
