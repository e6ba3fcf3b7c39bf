import { familyOf, formatAddress, isAddress, parseAddress, type Family } from '../net/address.ts';
import { isText, parsed } from './nodecontainers.ts';
import { QueryError } from './query.ts';

/** Where an agent tells how a packet goes through its node. */
export const agentRoutePath = '/overlay-agent/route';
export const tracePath = '/api/v1/trace';

/** Which packet, on which of the two nodes. */
export interface TraceQuery {
  family: Family;
  from: string;
  to: string;
  protocol: 'tcp' | 'udp' | 'icmp';
  port?: number;
  /** `out`: the node of `from`; `in`: that of `to`. */
  side: 'out' | 'in';
  /** Of `in`: the address that the other node's tunnel sends from. */
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

const names = ['from', 'to', 'protocol', 'port', 'side', 'peer'] as const;
const protocols = ['tcp', 'udp', 'icmp'] as const;

/** The query in the part of a URL behind `?`. @throws QueryError */
export function parseTraceQuery(text: string): TraceQuery {
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (!(names as readonly string[]).includes(name))
      throw new QueryError(name.slice(0, 100), value, `no such parameter; there are ${names.join(', ')}`);
    if (given.has(name)) throw new QueryError(name, value, 'must be given once');
    given.set(name, value);
  }
  const address = (name: string): string => {
    const value = given.get(name) ?? '';
    if (!isAddress(value)) throw new QueryError(name, value, 'must be an IP address, without a length');
    return formatAddress(parseAddress(value));
  };
  const [from, to] = [address('from'), address('to')];
  const family = familyOf(from);
  if (familyOf(to) !== family) throw new QueryError('to', to, `must be of the family of from, ${from}`);
  const protocol = protocols.find((one) => one === (given.get('protocol') ?? 'icmp'));
  if (protocol === undefined)
    throw new QueryError('protocol', given.get('protocol') ?? '', `must be one of ${protocols.join(', ')}`);
  const side = (['out', 'in'] as const).find((one) => one === (given.get('side') ?? 'out'));
  if (side === undefined) throw new QueryError('side', given.get('side') ?? '', 'must be out or in');
  return {
    family,
    from,
    to,
    protocol,
    ...portIn(given.get('port'), protocol),
    side,
    ...(given.has('peer') ? { peer: address('peer') } : {}),
  };
}

function portIn(text: string | undefined, protocol: TraceQuery['protocol']): { port?: number } {
  if (text === undefined) return {};
  if (protocol === 'icmp') throw new QueryError('port', text, 'icmp has no ports: give protocol=tcp or udp');
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new QueryError('port', text, 'must be a whole number from 1 to 65535');
  return { port };
}

/** As the other end reads it. */
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

/** What an agent answered; what is not as it should be does not come through. @throws Error saying what of it */
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
