import { familyOf, formatAddress, parseAddress, type Family } from '../net/address.ts';
import type { Attachment } from './attachment.ts';
import { hash } from './hash.ts';

/**
 * What lets a container speak as itself alone: rules in the bridge family, before a frame is learned from, forwarded or
 * looked at by anything else. A frame from one of our ports (`c-*`) passes where its port, MAC and address are an
 * element of a set; a port without an element sends nothing.
 */
export interface Guard {
  /** By family, as `portKey` spells them. */
  ports: Record<Family, Set<string>>;
  /** Whether there may be ports that are not among them: then elements that nobody asks for stay. */
  incomplete: boolean;
}

/** A chain as the kernel shows it. */
export interface ObservedChain {
  /** Hook and priority; empty where the chain hangs on none. */
  base: string;
  /** The rules' comments, empty where there is none. */
  marks: string[];
}

/** The table as the kernel shows it; undefined where there is none. */
export type ObservedGuard =
  { chains: Map<string, ObservedChain>; ports: Partial<Record<Family, Set<string>>> } | undefined;

/** Whose table it is, and its name: `nft list table bridge overlaynet`. */
export const guardTable = 'bridge overlaynet';

const setNames: Record<Family, string> = { 4: 'ports4', 6: 'ports6' };

/** The family of a set of that name. */
export const setFamily = (name: string): Family | undefined =>
  name === setNames[4] ? 4 : name === setNames[6] ? 6 : undefined;

export const portKey = (port: string, mac: string, address: string): string => `${port} ${mac} ${address}`;

export function desiredGuard(attachments: readonly Attachment[], incomplete: boolean): Guard {
  const ports: Guard['ports'] = { 4: new Set(), 6: new Set() };
  for (const { host, mac, addresses } of attachments.flatMap(({ interfaces }) => interfaces)) {
    for (const address of mac === '' ? [] : addresses) {
      ports[familyOf(address)].add(portKey(host, mac, formatAddress(parseAddress(address))));
    }
  }
  return { ports, incomplete };
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

interface GuardChain {
  base?: string;
  rules: string[];
}

const chains: Record<string, GuardChain> = {
  prerouting: {
    // before br_netfilter (0) and everyone's NAT (-300)
    base: 'filter prerouting -310',
    rules: ['iifname "c-*" goto container'],
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

/** Tells whether a rule in the kernel is the one that is wanted: no two versions of nft print it alike. */
const mark = (rule: string): string => hash(rule).toString(16);

/** Input for `nft -f`, empty where nothing differs, and how many chains and elements it changes. */
export function diffGuard(guard: Guard, observed: ObservedGuard): { input: string; changes: number } {
  const lines: string[] = [];
  let changes = 0;
  const add = (line: string) => lines.push(line);
  const stale = [...(observed?.chains.keys() ?? [])].filter((name) => chains[name] === undefined);
  const wrong = Object.entries(chains).filter(([name, chain]) => !stands(chain, observed?.chains.get(name)));
  if (observed === undefined) add(`add table ${guardTable}`);
  // where a chain hangs cannot be changed
  for (const [name, { base = '' }] of wrong) {
    const seen = observed?.chains.get(name);
    if (seen === undefined || seen.base === base) continue;
    add(`flush chain ${guardTable} ${name}`);
    add(`delete chain ${guardTable} ${name}`);
  }
  for (const family of [4, 6] as const) {
    if (observed?.ports[family] !== undefined) continue;
    add(`add set ${guardTable} ${setNames[family]} { typeof ${types[family]}; }`);
    changes++;
  }
  for (const [name, { base }] of wrong) add(`add chain ${guardTable} ${name}${hook(base)}`);
  for (const name of [...wrong.map(([name]) => name), ...stale]) add(`flush chain ${guardTable} ${name}`);
  for (const [name, { rules }] of wrong) {
    for (const rule of rules) add(`add rule ${guardTable} ${name} ${rule} comment "${mark(rule)}"`);
  }
  for (const name of stale) add(`delete chain ${guardTable} ${name}`);
  changes += wrong.length + stale.length;
  for (const family of [4, 6] as const) {
    const seen = observed?.ports[family] ?? new Set();
    const missing = [...guard.ports[family]].filter((key) => !seen.has(key));
    const left = guard.incomplete ? [] : [...seen].filter((key) => !guard.ports[family].has(key));
    const set = `element ${guardTable} ${setNames[family]}`;
    // added first: one that has just gone must not make it all fail
    for (const key of [...missing, ...left]) add(`add ${set} { ${element(family, key)} }`);
    for (const key of left) add(`delete ${set} { ${element(family, key)} }`);
    changes += missing.length + left.length;
  }
  return { input: lines.map((line) => `${line}\n`).join(''), changes };
}

const stands = ({ base = '', rules }: GuardChain, seen: ObservedChain | undefined): boolean =>
  seen?.base === base && seen.marks.join(' ') === rules.map(mark).join(' ');

function hook(base: string | undefined): string {
  if (base === undefined) return '';
  const [type, name, priority] = base.split(' ');
  return ` { type ${type ?? ''} hook ${name ?? ''} priority ${priority ?? ''}; policy accept; }`;
}

function element(family: Family, key: string): string {
  const [port = '', mac = '', address = ''] = key.split(' ');
  if (family === 4) return `"${port}" . ${mac} . ${address}`;
  return `"${port}" . 0x${mac.replaceAll(':', '')} . 0x${parseAddress(address).value.toString(16)}`;
}
