import { familyOf, formatAddress, isAddress, parseAddress, type Family } from '../net/address.ts';
import { isText, parsed } from './nodeanswer.ts';
import { QueryError } from './query.ts';

/** The path at which an agent traces a packet through its node; path.ts joins the whole way. */
export const agentRoutePath = '/overlay-agent/route';

/** The packet, and which of its two nodes is asked. */
export interface TraceQuery {
  family: Family;
  from: string;
  to: string;
  protocol: 'tcp' | 'udp' | 'icmp';
  port?: number;
  /** `out`: the node of `from`; `in`: the node of `to`. */
  side: 'out' | 'in';
  /** For `in`: the source address of the other node's tunnel packets. */
  peer?: string;
}

/** One step of a packet's way through a node, in order. */
export interface Hop {
  what: 'bridge' | 'route' | 'isolation' | 'NAT' | 'neighbour' | 'FDB' | 'underlay' | 'member' | 'container';
  is: 'OK' | 'Wrong' | 'Unknown';
  evidence: string;
}

export interface NodeRoute {
  node: string;
  version: string;
  hops: Hop[];
}

const protocols = ['tcp', 'udp', 'icmp'] as const;

/**
 * Parses the query part of a URL.
 * @throws QueryError
 */
export function parseTraceQuery(text: string): TraceQuery {
  const given = givenOnce(text, ['from', 'to', 'protocol', 'port', 'side', 'peer']);
  const [from, to] = endsIn(given);
  const protocol = protocolIn(given.get('protocol') ?? 'icmp');
  return {
    family: familyOf(from),
    from,
    to,
    protocol,
    ...portIn(given.get('port'), protocol),
    side: sideIn(given.get('side') ?? 'out'),
    ...(given.has('peer') ? { peer: addressIn(given, 'peer') } : {}),
  };
}

/**
 * Returns the parameters by name.
 * @throws QueryError if one is unknown or given twice
 */
export function givenOnce(text: string, names: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (!names.includes(name))
      throw new QueryError(name.slice(0, 100), value, `no such parameter; there are ${names.join(', ')}`);
    if (given.has(name)) throw new QueryError(name, value, 'must be given once');
    given.set(name, value);
  }
  return given;
}

function addressIn(given: ReadonlyMap<string, string>, name: string): string {
  const value = given.get(name) ?? '';
  if (!isAddress(value)) throw new QueryError(name, value, 'must be an IP address, without a length');
  return formatAddress(parseAddress(value));
}

/**
 * Returns `from` and `to`, which must have one family.
 * @throws QueryError
 */
export function endsIn(given: ReadonlyMap<string, string>): [from: string, to: string] {
  const [from, to] = [addressIn(given, 'from'), addressIn(given, 'to')];
  if (familyOf(to) !== familyOf(from))
    throw new QueryError('to', to, `must be of the family of from, ${from}`);
  return [from, to];
}

export function sideIn(text: string): TraceQuery['side'] {
  if (text === 'out' || text === 'in') return text;
  throw new QueryError('side', text, 'must be out or in');
}

export function protocolIn(text: string): TraceQuery['protocol'] {
  const protocol = protocols.find((one) => one === text);
  if (protocol !== undefined) return protocol;
  throw new QueryError('protocol', text, `must be one of ${protocols.join(', ')}`);
}

export function portIn(text: string | undefined, protocol: TraceQuery['protocol']): { port?: number } {
  if (text === undefined) return {};
  if (protocol === 'icmp') throw new QueryError('port', text, 'icmp has no ports: give protocol=tcp or udp');
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new QueryError('port', text, 'must be a whole number from 1 to 65535');
  return { port };
}

/** Returns the command that explains the faults of a node. */
export const whyNode = (node: string): string => `kubectl overlay why node ${node}`;

/** Returns the step for a node whose agent did not answer. */
export const silentStep = (node: string, problem: string) => ({
  what: 'agent' as const,
  is: 'Unknown' as const,
  evidence: `the agent of ${node} did not answer: ${problem}`,
  next: whyNode(node),
});

/** Formats a query as parseTraceQuery reads it. */
export function traceText({ from, to, protocol, port, side, peer }: TraceQuery): string {
  const query = new URLSearchParams({ from, to, protocol, side });
  if (port !== undefined) query.set('port', String(port));
  if (peer !== undefined) query.set('peer', peer);
  return query.toString();
}

const whats: readonly string[] = [
  'bridge',
  'route',
  'isolation',
  'NAT',
  'neighbour',
  'FDB',
  'underlay',
  'member',
  'container',
] satisfies Hop['what'][];
const mostHops = 32;
const mostText = 4_096;

/**
 * Reads an agent's answer; invalid values are refused.
 * @throws Error that says which part is invalid
 */
export function readNodeRoute(body: string): Hop[] {
  const value = parsed(body) as { [K in keyof NodeRoute]?: unknown } | null;
  if (typeof value !== 'object' || value === null || !Array.isArray(value.hops))
    throw new Error('its answer has no list of hops');
  return (value.hops as unknown[]).slice(0, mostHops).map((one, at) => {
    const { what, is, evidence } = (one ?? {}) as { [K in keyof Hop]?: unknown };
    const isKnown =
      isText(what) && whats.includes(what) && (is === 'OK' || is === 'Wrong' || is === 'Unknown');
    if (!isKnown || typeof evidence !== 'string' || evidence.length > mostText)
      throw new Error(`its hop ${at + 1} cannot be understood`);
    return { what: what as Hop['what'], is, evidence };
  });
}
