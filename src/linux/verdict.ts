import { isAddress, parseAddress, type Family } from '../net/address.ts';
import { cidrOf, containsAddress, parseInterface } from '../net/cidr.ts';

/** The first packet of a connection, as it arrives at a hook. */
export interface Packet {
  hook: 'forward' | 'input' | 'postrouting';
  family: Family;
  /** The link it came in by; `uplink` means any of the node's own links. Absent when unknown. */
  iif?: string;
  /** Absent at the hook `input`. */
  oif?: string;
  source: string;
  target: string;
  /** Absent means any. */
  udpPort?: number;
}

/** A rule's statements in order, from `nft -j list`. */
export type Rule = Record<string, unknown>[];

export interface Ruleset {
  /** Chains by name; chains that were not read are absent. */
  chains: ReadonlyMap<string, Rule[]>;
  policy: 'accept' | 'drop';
}

/** What a chain may wrongly do to a packet that must pass unchanged. */
export type Deed = 'refuse' | 'translate';

const statements: Record<Deed, ReadonlySet<string>> = {
  refuse: new Set(['drop', 'reject']),
  translate: new Set(['masquerade', 'snat']),
};

/**
 * `done`: the deed happens. `maybe`: it depends on something unknown here, so the packet may pass. `end`: no rule has
 * decided.
 */
type Verdict = 'accept' | 'done' | 'maybe' | 'end';

/**
 * Whether a base chain certainly refuses a packet or translates its source. Anything that cannot be told from the
 * packet (sets, marks, limits, chains that were not read) counts as letting it pass, because a working firewall must
 * never be reported as broken.
 */
export function does(deed: Deed, { chains, policy }: Ruleset, base: string, packet: Packet): boolean {
  const verdict = new Walk(chains, packet, deed).chain(base);
  return verdict === 'done' || (deed === 'refuse' && verdict === 'end' && policy === 'drop');
}

/** The kernel's own limit of nested jumps. */
const deepest = 16;

class Walk {
  readonly #chains: Ruleset['chains'];
  readonly #packet: Packet;
  readonly #deed: Deed;

  constructor(chains: Ruleset['chains'], packet: Packet, deed: Deed) {
    this.#chains = chains;
    this.#packet = packet;
    this.#deed = deed;
  }

  chain(name: string, depth = 0): Verdict {
    const rules = this.#chains.get(name);
    if (rules === undefined || depth > deepest) return 'maybe';
    let maybe = false;
    for (const rule of rules) {
      const verdict = this.#rule(rule, depth);
      if (verdict === 'maybe') maybe = true;
      else if (verdict === 'left') return maybe ? 'maybe' : 'end';
      else if (verdict !== 'end') return maybe ? 'maybe' : verdict;
    }
    return maybe ? 'maybe' : 'end';
  }

  /** Judges one rule. `left`: the chain ends here, without a decision. */
  #rule(rule: Rule, depth: number): Verdict | 'left' {
    let certain = true;
    for (const statement of rule) {
      const [[kind, value]] = Object.entries(statement) as [[string, unknown]];
      if (kind === 'match') {
        const holds = matches(value as Match, this.#packet);
        if (holds === false) return 'end';
        certain &&= holds === true;
      } else if (kind === 'vmap') {
        return this.#map(value as VerdictMap, certain, depth);
      } else if (kind === 'limit' || kind === 'xt') {
        certain = false;
      } else {
        const verdict = this.#statement(kind, value, depth);
        if (verdict !== undefined) return certain ? verdict : softened(verdict);
      }
    }
    return 'end';
  }

  /** Judges one statement; undefined when it decides nothing. */
  #statement(kind: string, value: unknown, depth: number): Verdict | 'left' | undefined {
    const target = (value as { target?: string } | null)?.target ?? '';
    if (statements[this.#deed].has(kind)) return 'done';
    // a refused packet is not translated; whether it should be refused is a separate question
    if (kind === 'accept' || statements.refuse.has(kind)) return 'accept';
    if (kind === 'return') return 'left';
    if (kind === 'queue') return 'maybe';
    if (kind === 'jump') return this.chain(target, depth + 1);
    if (kind !== 'goto') return undefined;
    const verdict = this.chain(target, depth + 1);
    return verdict === 'end' ? 'left' : verdict;
  }

  #map({ key, data }: VerdictMap, certain: boolean, depth: number): Verdict | 'left' {
    if (typeof data === 'string') return 'maybe';
    let sure = certain;
    let seen: Verdict | 'left' = 'end';
    for (const [element, verdict] of data.set) {
      const holds = equals(factOf(key, this.#packet), element);
      if (holds === false) continue;
      const [[kind, value]] = Object.entries(verdict) as [[string, unknown]];
      const found = this.#statement(kind, value, depth) ?? 'end';
      if (holds === true && sure) return found;
      if (softened(found) === 'maybe') seen = 'maybe';
      sure = false;
    }
    return seen;
  }
}

/** The verdict of a rule that may or may not apply. */
const softened = (verdict: Verdict | 'left'): Verdict =>
  verdict === 'done' || verdict === 'end' ? 'end' : 'maybe';

interface Match {
  op: string;
  left: Expression;
  right: unknown;
}

interface VerdictMap {
  key: Expression;
  data: string | { set: [unknown, Record<string, unknown>][] };
}

interface Expression {
  meta?: { key: string };
  ct?: { key: string };
  payload?: { protocol?: string; field?: string };
}

/** The packet has no such property, so no rule about it applies. */
const absent = 'nothing';

/** The value of an expression for this packet, or `absent`; undefined when unknown. */
function factOf({ meta, ct, payload }: Expression, packet: Packet): string | number | undefined {
  const ip = packet.family === 4 ? 'ip' : 'ip6';
  const protocol = packet.udpPort === undefined ? undefined : 'udp';
  if (ct !== undefined) return { state: 'new', status: 'none', direction: 'original' }[ct.key];
  if (meta !== undefined) {
    const name = packet.oif ?? absent;
    return {
      iif: packet.iif,
      iifname: packet.iif,
      oif: name,
      oifname: name,
      nfproto: packet.family === 4 ? 'ipv4' : 'ipv6',
      protocol: ip,
      l4proto: protocol,
    }[meta.key];
  }
  if (payload?.protocol === undefined) return undefined;
  const { protocol: header, field } = payload;
  if (header === 'ip' || header === 'ip6') {
    if (header !== ip) return absent;
    return { saddr: packet.source, daddr: packet.target, protocol, nexthdr: protocol }[field ?? ''];
  }
  if (header !== 'udp' && header !== 'th') return protocol === undefined ? undefined : absent;
  return field === 'dport' ? packet.udpPort : undefined;
}

function matches({ op, left, right }: Match, packet: Packet): boolean | undefined {
  const fact = factOf(left, packet);
  if (fact === absent) return false;
  const holds = equals(fact, right);
  if (op === '==' || op === 'in') return holds;
  return op === '!=' && holds !== undefined ? !holds : undefined;
}

/** Whether a fact matches what a rule names: a value, several, a prefix, a range. */
function equals(fact: string | number | undefined, right: unknown): boolean | undefined {
  if (fact === undefined) return undefined;
  if (fact === absent) return false;
  const several = Array.isArray(right) ? (right as unknown[]) : (right as { set?: unknown[] }).set;
  if (several !== undefined) {
    const all = several.map((one) => equals(fact, one));
    return all.includes(true) ? true : all.includes(undefined) ? undefined : false;
  }
  if (typeof right === 'number') return fact === right;
  if (typeof right === 'string') return sameText(String(fact), right);
  const { prefix, range, elem } = right as Composed;
  if (elem !== undefined) return equals(fact, elem.val);
  if (prefix !== undefined) return within(String(fact), prefix);
  return range === undefined ? undefined : between(fact, range);
}

interface Composed {
  prefix?: { addr: string; len: number };
  range?: [string | number, string | number];
  elem?: { val: unknown };
}

/** Where packets of other nodes arrive; no link has this name. */
export const uplink = 'the uplink';

/** Links that are no uplink, so packets of other nodes never arrive there. */
const noUplink = /^(lo$|[mdc]-|vtep|docker|br-|virbr|veth|cni|cali|flannel)/;

/** Compares a fact with a link's name. A `*` at the end matches any ending; `@` refers to a set. */
function sameText(fact: string, text: string): boolean | undefined {
  if (text.startsWith('@')) return undefined;
  if (fact === uplink) return noUplink.test(text) ? false : undefined;
  return text.endsWith('*') ? fact.startsWith(text.slice(0, -1)) : fact === text;
}

function within(fact: string, { addr, len }: { addr: string; len: number }): boolean | undefined {
  if (!isAddress(addr) || !isAddress(fact)) return undefined;
  const { address, length } = parseInterface(`${addr}/${len}`);
  return containsAddress(cidrOf(address, length), parseAddress(fact));
}

function between(fact: string | number, [first, last]: [string | number, string | number]) {
  if (typeof fact === 'number') return fact >= Number(first) && fact <= Number(last);
  if (![fact, first, last].every((one) => isAddress(String(one)))) return undefined;
  const [value, low, high] = [fact, first, last].map((one) => parseAddress(String(one)).value) as [
    bigint,
    bigint,
    bigint,
  ];
  return value >= low && value <= high;
}
