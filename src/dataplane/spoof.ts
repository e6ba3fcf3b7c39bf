import { familyOf, formatAddress, parseAddress, type Family } from '../net/address.ts';
import { linkPrefix } from '../net/name.ts';
import type { Attachment } from './attachment.ts';
import type { Elements, SetSpec, TableSpec } from './nftable.ts';

const setNames: Record<Family, string> = { 4: 'ports4', 6: 'ports6' };

export const portKey = (port: string, mac: string, address: string): string => `${port} ${mac} ${address}`;

/** What containers may send as, by the sets of the guard. */
export function desiredGuard(attachments: readonly Attachment[], incomplete: boolean): Elements {
  const ports: Record<Family, Set<string>> = { 4: new Set(), 6: new Set() };
  for (const { host, mac, addresses } of attachments.flatMap(({ interfaces }) => interfaces)) {
    for (const address of mac === '' ? [] : addresses) {
      ports[familyOf(address)].add(portKey(host, mac, formatAddress(parseAddress(address))));
    }
  }
  return { of: { [setNames[4]]: ports[4], [setNames[6]]: ports[6] }, incomplete };
}

/**
 * One type for all that is compared with an IPv6 address: nft 1.0.6 takes a neighbour's target out of a packet as bare
 * bits alone, and bits are not of the type of an address. So MAC and address are bits everywhere.
 */
const mac6 = '@ll,48,48';
const source6 = '@nh,64,128';
const types: Record<Family, string> = {
  4: 'iifname . ether saddr . ip saddr',
  6: `iifname . ${mac6} . ${source6}`,
};

/** Neighbour discovery right behind the IPv6 header: where its parts are, in bits from that header's begin. */
const target = '@nh,384,128';
/** The only option: type and length, and the MAC in it. Of a solicitation or advertisement of neighbours. */
const option = (type: '01' | '02' | '0e') => `@nh,512,16 0x${type}01`;
const optionMAC = '@nh,528,48';
const own = (mac: string, address: string) => `iifname . ${mac} . ${address} @${setNames[6]}`;
const discovery = (type: string, length: number) =>
  `ip6 nexthdr icmpv6 icmpv6 type nd-${type} ip6 length ${length}`;

const chains: TableSpec['chains'] = {
  prerouting: {
    // before br_netfilter (0) and everyone's NAT (-300)
    base: 'filter prerouting -310',
    rules: [`iifname "${linkPrefix.port}*" goto container`],
  },
  // every end is a verdict: what comes back from here would pass
  container: {
    rules: [
      `ether type ip ${types[4]} @ports4 accept`,
      'ether type ip6 goto container6',
      'ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } ' +
        'iifname . ether saddr . arp saddr ip @ports4 iifname . arp saddr ether . arp saddr ip @ports4 accept',
      'counter drop',
    ],
  },
  container6: {
    rules: [
      `${own(mac6, source6)} goto discovery`,
      // is my own address taken? (RFC 4862, with RFC 7527's nonce)
      `ip6 saddr :: ${discovery('neighbor-solicit', 24)} ${own(mac6, target)} accept`,
      `ip6 saddr :: ${discovery('neighbor-solicit', 32)} ${option('0e')} ${own(mac6, target)} accept`,
      'counter drop',
    ],
  },
  discovery: {
    rules: [
      'meta l4proto != icmpv6 accept',
      // has no type; nobody takes discovery in fragments (RFC 6980), and a first one has its type below
      'frag frag-off != 0 accept',
      // a querier decides where multicast goes, and neighbour solicitations are multicast
      'icmpv6 type != { mld-listener-query, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, ' +
        'nd-neighbor-advert, nd-redirect } accept',
      `${discovery('router-solicit', 8)} accept`,
      `${discovery('router-solicit', 16)} @nh,384,16 0x0101 ${own('@nh,400,48', source6)} accept`,
      `${discovery('neighbor-solicit', 24)} accept`,
      `${discovery('neighbor-solicit', 32)} ${option('01')} ${own(optionMAC, source6)} accept`,
      `${discovery('neighbor-advert', 24)} ${own(mac6, target)} accept`,
      `${discovery('neighbor-advert', 32)} ${option('02')} ${own(mac6, target)} ${own(optionMAC, target)} accept`,
      'counter drop',
    ],
  },
};

/**
 * Lets a container speak as itself alone: rules in the bridge family, before a frame is learned from, forwarded or
 * looked at by anything else. A frame from one of our ports (`c-*`) passes where its port, MAC and address are an
 * element of a set; a port without an element sends nothing.
 */
export const guard: TableSpec = {
  name: 'bridge overlaynet',
  sets: Object.fromEntries(
    ([4, 6] as const).map((family) => [
      setNames[family],
      {
        of: `typeof ${types[family]};`,
        element: (key) => element(family, key),
        keyOf: (seen) => keyOf(family, (seen as { concat: Concat }).concat),
      } satisfies SetSpec,
    ]),
  ),
  chains,
};

function element(family: Family, key: string): string {
  const [port = '', mac = '', address = ''] = key.split(' ');
  if (family === 4) return `"${port}" . ${mac} . ${address}`;
  return `"${port}" . 0x${mac.replaceAll(':', '')} . 0x${parseAddress(address).value.toString(16)}`;
}

type Concat = [string, string | number, string | number];

/** Bits come as a number, or as text in hexadecimal where they are many. */
function keyOf(family: Family, [port, mac, address]: Concat): string {
  if (family === 4) return portKey(port, String(mac), String(address));
  const digits = BigInt(mac).toString(16).padStart(12, '0');
  const text = formatAddress({ family, value: BigInt(address) });
  return portKey(port, digits.replace(/..(?!$)/g, '$&:'), text);
}
