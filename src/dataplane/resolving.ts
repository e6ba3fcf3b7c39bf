import { familyOf, formatAddress, parseAddress, type Family } from '../net/address.ts';
import { bridgeWildcards } from '../net/name.ts';
import type { Attachment } from './attachment.ts';
import type { Elements, SetSpec, TableSpec } from './nftable.ts';

/** Sets of addresses that containers of our records have: the CNI plugin adds to them before its ADD returns. */
const leased: Record<Family, string> = { 4: 'leased4', 6: 'leased6' };

const types: Record<Family, string> = { 4: 'ipv4_addr', 6: 'ipv6_addr' };

/**
 * What containers have, by the sets of the table. An address that the next container gets while a pass takes it from the last
 * one may be missing until the next pass: then it is limited as one of no record.
 */
export function desiredLeased(attachments: readonly Attachment[], incomplete: boolean): Elements {
  const addresses: Record<Family, Set<string>> = { 4: new Set(), 6: new Set() };
  for (const text of attachments.flatMap(({ interfaces }) => interfaces.flatMap((one) => one.addresses))) {
    const address = formatAddress(parseAddress(text));
    // nothing is routed to a link-local one
    if (!address.startsWith('fe80:')) addresses[familyOf(address)].add(address);
  }
  return { of: { [leased[4]]: addresses[4], [leased[6]]: addresses[6] }, incomplete };
}

const leasedSet = (family: Family): SetSpec => ({
  of: `type ${types[family]};`,
  element: (key) => key,
  keyOf: (seen) => formatAddress(parseAddress(String(seen))),
});

/**
 * Sets that the rules fill: an element goes by itself, and where a set is full nothing is added. They hold less than the
 * neighbour table does: a Docker container may send from any address of its half.
 */
const filled = (type: string, size: number): SetSpec => ({
  of: `type ${type}; size ${size}; flags dynamic,timeout;`,
});

/**
 * At most 20 addresses at once and 5 a second, by the link that asks and the bridge. One that was let through may be
 * asked for during 5 s, and the kernel gives up 3 s later: no more than 60 are being looked for at any time.
 */
const rate = 'limit rate over 5/second burst 20 packets';

/**
 * Keeps those who may send to a network from filling the neighbour table, which is one for the whole machine: each address
 * that nobody has takes an entry for seconds. A packet to a bridge passes where a container has its address by our
 * records, where a packet came from there within the last hour (Docker's containers, and other plugins'), or else
 * as often as the rate allows. Established connections leave at the first rule. Last of the filters: what isolation
 * and others drop does not count.
 */
export const resolving: TableSpec = {
  name: 'inet overlaynet',
  sets: {
    [leased[4]]: leasedSet(4),
    [leased[6]]: leasedSet(6),
    seen4: filled('ipv4_addr', 4_096),
    seen6: filled('ipv6_addr', 4_096),
    tried4: filled('ifname . ipv4_addr', 4_096),
    tried6: filled('ifname . ipv6_addr', 4_096),
    rates: filled('ifname . ifname', 1_024),
  },
  chains: {
    forward: {
      base: 'filter forward 10',
      rules: [
        'ct status assured accept',
        ...bridgeWildcards.map((bridge) => `iifname "${bridge}" jump learn`),
        ...bridgeWildcards.map((bridge) => `oifname "${bridge}" goto resolve`),
      ],
    },
    learn: {
      rules: [
        'ip saddr != @leased4 update @seen4 { ip saddr timeout 1h }',
        'ip6 saddr != @leased6 ip6 saddr != fe80::/10 update @seen6 { ip6 saddr timeout 1h }',
      ],
    },
    resolve: {
      rules: [
        'ct state established,related accept',
        'ip daddr @leased4 accept',
        'ip6 daddr @leased6 accept',
        // what br_netfilter shows of frames within a bridge: broadcasts, and neighbour discovery, which nobody can route here
        'meta pkttype != host accept',
        'ip6 daddr fe80::/10 accept',
        'ip6 hoplimit 255 meta l4proto ipv6-icmp accept',
        'ip daddr @seen4 accept',
        'ip6 daddr @seen6 accept',
        'iifname . ip daddr @tried4 accept',
        'iifname . ip6 daddr @tried6 accept',
        `update @rates { iifname . oifname timeout 1m ${rate} } counter drop`,
        'add @tried4 { iifname . ip daddr timeout 5s }',
        'add @tried6 { iifname . ip6 daddr timeout 5s }',
      ],
    },
  },
};
