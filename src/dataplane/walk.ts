import { isAddress, parseAddress, withoutLength, type Family } from '../net/address.ts';
import { cidrOf, containsAddress, parseInterface } from '../net/cidr.ts';
import type { IPSet } from './state.ts';

/** The first packet of a connection, before any translation of its destination. */
export interface Packet {
  family: Family;
  source: string;
  target: string;
  protocol: 'tcp' | 'udp' | 'icmp';
  /** Destination port. */
  port?: number;
  /** The links by which it enters and leaves the node; absent for a packet that the node itself sends or receives. */
  iif?: string;
  oif?: string;
}

/** What a chain does with a packet. */
export interface Verdict {
  /** The target of the rule that decides; undefined if no rule does. */
  target: string | undefined;
  rule: string | undefined;
  /** Earlier rules for which the packet alone does not show whether they apply. */
  unsure: string[];
}

/** Targets after which the next rule of the chain is looked at. */
const goesOn = /^(MARK|CONNMARK|NOTRACK|CT|LOG|NFLOG|TRACE)$/;

/** Walks a chain of ours as the kernel shows it, with the sets as the kernel shows them. */
export function walk(rules: readonly string[], sets: ReadonlyMap<string, IPSet>, packet: Packet): Verdict {
  const unsure: string[] = [];
  for (const rule of rules) {
    const target = / ?-j (\S+)/.exec(rule)?.[1];
    if (target === undefined || goesOn.test(target)) continue;
    const holds = applies(rule, sets, packet);
    if (holds === undefined) unsure.push(rule);
    if (holds === true) return { target, rule, unsure };
  }
  return { target: undefined, rule: undefined, unsure };
}

/** Whether a rule applies, as `iptables-save` spells it; undefined if that cannot be told from the packet. */
function applies(rule: string, sets: ReadonlyMap<string, IPSet>, packet: Packet): boolean | undefined {
  const words = rule.split(' ');
  let sure = true;
  let not = false;
  for (let at = 0; at < words.length && words[at] !== '-j'; at++) {
    const word = words[at] ?? '';
    if (word === '!') {
      not = true;
      continue;
    }
    const value = words[at + 1] ?? '';
    // the name of a match module selects nothing by itself
    if (word === '-m') {
      at++;
      continue;
    }
    const { holds, taken } = matches(word, value, words[at + 2] ?? '', sets, packet);
    at += taken;
    if (holds === undefined) sure = false;
    else if (holds === not) return false;
    not = false;
  }
  return sure ? true : undefined;
}

/** One match. `taken`: words behind its name. */
function matches(
  name: string,
  value: string,
  side: string,
  sets: ReadonlyMap<string, IPSet>,
  packet: Packet,
): { holds: boolean | undefined; taken: number } {
  const one = (holds: boolean | undefined) => ({ holds, taken: 1 });
  switch (name) {
    case '--match-set': {
      const address = side === 'src' ? packet.source : packet.target;
      const set = sets.get(value);
      return { holds: set && isIn(set.entries, address), taken: 2 };
    }
    case '-p':
      return one(value === packet.protocol || (value === 'ipv6-icmp' && packet.protocol === 'icmp'));
    case '--dport':
      return one(
        packet.protocol === 'icmp'
          ? false
          : packet.port === undefined
            ? undefined
            : value === String(packet.port),
      );
    case '-i':
      return one(isNamed(packet.iif, value));
    case '-o':
      return one(isNamed(packet.oif, value));
    case '-s':
      return one(isIn([value], packet.source));
    case '-d':
      return one(isIn([value], packet.target));
    case '--ctstate':
      return one(value.split(',').includes('NEW'));
    case '--src-type':
      return one(value === 'LOCAL' ? packet.iif === undefined : undefined);
    case '--dst-type':
      return one(value === 'LOCAL' ? packet.oif === undefined : undefined);
    case '--mark':
    case '--ctmark':
      // the first packet of a connection has no mark
      return one(Number(value.split('/')[0]) === 0);
    default:
      // an option that this function does not know; in our rules such options have at most one value
      return { holds: undefined, taken: value.startsWith('-') || value === '!' ? 0 : 1 };
  }
}

const isNamed = (link: string | undefined, pattern: string): boolean =>
  link !== undefined && (pattern.endsWith('+') ? link.startsWith(pattern.slice(0, -1)) : link === pattern);

/** Whether the address is one of the entries or lies in one of their subnets. */
export function isIn(entries: Iterable<string>, text: string): boolean {
  const address = parseAddress(text);
  for (const entry of entries) {
    if (entry === text) return true;
    if (!entry.includes('/') || !isAddress(withoutLength(entry))) continue;
    const { address: base, length } = parseInterface(entry);
    const range = cidrOf(base, length);
    if (range.family === address.family && containsAddress(range, address)) return true;
  }
  return false;
}
