import { familyOf, formatAddress, parseAddress, type Family } from '../net/address.ts';
import { bridgeWildcards } from '../net/name.ts';
import type { Attachment } from './attachment.ts';
import type { Elements, SetSpec, TableSpec } from './nftable.ts';

/** Sets of the addresses of containers with a record. The CNI plugin adds to them before its ADD returns. */
const leased: Record<Family, string> = { 4: 'leased4', 6: 'leased6' };

const types: Record<Family, string> = { 4: 'ipv4_addr', 6: 'ipv6_addr' };

/**
 * The containers' addresses, by set. An address that moves to another container while a pass removes it may be
 * missing until the next pass; until then it is limited like an address without a record.
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
 * Sets filled by rules. Elements expire, and a full set takes no more. They are smaller than the neighbour table,
 * because a Docker container may send from any address of its half.
 */
const filled = (type: string, size: number): SetSpec => ({
  of: `type ${type}; size ${size}; flags dynamic,timeout;`,
});

/**
 * At most 20 addresses at once and 5 a second, for each asking link and bridge. A permitted address may be asked for
 * during 5 s, and the kernel gives up 3 s later, so at most 60 are being looked up at any time.
 */
const rate = 'limit rate over 5/second burst 20 packets';

/**
 * Keeps senders from filling the neighbour table, which the whole machine shares: each unused address takes an entry
 * for seconds. A packet to a bridge passes if a container has the address by our records, if a packet came from it
 * within the last hour (Docker's containers and those of other plugins), or else as often as the rate allows.
 * Established connections leave at the first rule. The chain is the last filter, so packets that isolation or others
 * drop do not count.
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
        // what br_netfilter shows of frames within a bridge: broadcasts and neighbour discovery, which cannot be
        // routed here
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
