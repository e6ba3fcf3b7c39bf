import { counted } from '../api/text.ts';
import { isText, parsed } from './nodeanswer.ts';
import { QueryError } from './query.ts';
import {
  endsIn,
  givenOnce,
  portIn,
  protocolIn,
  sideIn,
  silentStep,
  whyNode,
  type Hop,
  type TraceQuery,
} from './trace.ts';

/** The path at which an operator has a packet sent: `kubectl overlay trace --send`. */
export const sendPath = '/api/v1/send';
/** The path at which an agent sends a packet like one of its containers, or watches for one. */
export const agentPacketPath = '/overlay-agent/packet';

/** The packet that an agent is to send (`out`) or to watch for (`in`). */
export interface PacketOrder extends Pick<TraceQuery, 'from' | 'to' | 'protocol' | 'port' | 'side'> {
  /** Identifies the packet: the source port of TCP and UDP, or the identifier of an echo request. */
  id: number;
}

/** One kind of packet on one link, as the CNI plugin prints it. */
export interface Sighting {
  link: string;
  direction: 'in' | 'out';
  /** `refusal`: an ICMP error about the packet. */
  what: 'request' | 'reply' | 'refusal';
  detail: string;
  count: number;
  /** Time of the first one, in microseconds since the watch began. */
  micros: number;
}

/** The packets that one node sent and saw. */
export interface NodeSightings {
  sent: number;
  seen: Sighting[];
}

const names = ['side', 'from', 'to', 'protocol', 'port', 'id'];

/**
 * Converts a JSON body into the query part of a URL, so that both are parsed by the same code. Each field is a text or
 * a number.
 * @throws QueryError
 */
export function queryIn(body: string): string {
  const wrong = (rule: string) => new QueryError('body', body.slice(0, 100), rule);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw wrong('must be JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('must be a JSON object');
  const fields = Object.entries(value).map(([name, one]: [string, unknown]) => {
    if (typeof one === 'string' || typeof one === 'number') return [name, String(one)];
    throw new QueryError(name.slice(0, 100), JSON.stringify(one).slice(0, 100), 'must be a text or a number');
  });
  return new URLSearchParams(fields).toString();
}

/**
 * Parses the order in the body of a request.
 * @throws QueryError
 */
export function parsePacketOrder(body: string): PacketOrder {
  const given = givenOnce(queryIn(body), names);
  const [from, to] = endsIn(given);
  const protocol = protocolIn(given.get('protocol') ?? 'icmp');
  const port = portIn(given.get('port'), protocol);
  if (protocol !== 'icmp' && port.port === undefined)
    throw new QueryError('port', '', `${protocol} needs one, from 1 to 65535`);
  const side = sideIn(given.get('side') ?? '');
  const text = given.get('id') ?? '';
  const id = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (id < 1 || id > 65_535) throw new QueryError('id', text, 'must be a whole number from 1 to 65535');
  return { side, from, to, protocol, ...port, id };
}

const mostSightings = 100;

/**
 * Reads an agent's answer, or the plugin's output.
 * @throws Error that says which part is invalid
 */
export function readSightings(body: string): NodeSightings {
  const value = parsed(body) as { [K in keyof NodeSightings]?: unknown } | null;
  const { sent, seen } = value ?? {};
  if (typeof sent !== 'number' || !Array.isArray(seen))
    throw new Error('its answer has no list of sightings');
  return { sent, seen: (seen as unknown[]).slice(0, mostSightings).map(sightingIn) };
}

function sightingIn(one: unknown, at: number): Sighting {
  const { link, direction, what, detail, count, micros } = (one ?? {}) as {
    [K in keyof Sighting]?: unknown;
  };
  const isKnown =
    isText(link) &&
    isText(detail) &&
    typeof count === 'number' &&
    typeof micros === 'number' &&
    (direction === 'in' || direction === 'out') &&
    (what === 'request' || what === 'reply' || what === 'refusal');
  if (!isKnown) throw new Error(`its sighting ${at + 1} cannot be understood`);
  return { link, direction, what, detail, count, micros };
}

/** One step of a packet that was sent. `agent`: a node's agent did not answer. */
export interface SentStep {
  what: 'sent' | 'seen' | 'answer' | 'agent';
  is: Hop['is'];
  evidence: string;
  /** What to do, if the step is not OK. */
  next?: string;
}

/** A node's report about the packet: sightings, or why there are none. */
export interface NodeSaid {
  node: string;
  said: NodeSightings | { problem: string };
}

/**
 * Returns the steps of a packet that was sent: the links on which each node saw it, and the answer.
 * @param far the target's node; absent if it is the sender's node or no node of ours
 */
export function sentSteps(
  near: NodeSaid,
  far: NodeSaid | undefined,
  protocol: TraceQuery['protocol'],
): SentStep[] {
  const { said } = near;
  if ('problem' in said) return [silentStep(near.node, said.problem)];
  const nodes = [near, ...(far === undefined ? [] : [far])];
  const hops: SentStep[] = [
    { what: 'sent', is: 'OK', evidence: `${counted(said.sent, 'packet')} on node ${near.node}` },
    ...nodes.map(seenStep),
  ];
  return [...hops, answerStep(near.node, said, nodes, protocol)];
}

function seenStep({ node, said }: NodeSaid): SentStep {
  if ('problem' in said) return silentStep(node, said.problem);
  const requests = said.seen.filter(({ what }) => what === 'request');
  if (requests.length === 0)
    return {
      what: 'seen',
      is: 'Wrong',
      evidence: `node ${node} saw it on no link`,
      next: whyNode(node),
    };
  const way = requests.map(({ link, direction }) => `${direction} by ${link}`).join(', ');
  return { what: 'seen', is: 'OK', evidence: `node ${node}: ${way}` };
}

function answerStep(
  node: string,
  { sent, seen }: NodeSightings,
  nodes: NodeSaid[],
  protocol: TraceQuery['protocol'],
): SentStep {
  const answer = seen.findLast(({ what }) => what !== 'request');
  const first = seen.find(({ what }) => what === 'request');
  if (answer !== undefined) {
    const after = `${((answer.micros - (first?.micros ?? 0)) / 1_000).toFixed(2)} ms`;
    // an answer from the target's address shows that the way there and back works
    const isThere = answer.what === 'reply' || answer.detail.includes('port unreachable');
    if (isThere) return { what: 'answer', is: 'OK', evidence: `${answer.detail}, after ${after}` };
    return {
      what: 'answer',
      is: 'Wrong',
      evidence: `${answer.detail}, after ${after}`,
      next: 'the steps above name the rule or the route',
    };
  }
  const last = nodes
    .flatMap((one) =>
      'problem' in one.said ? [] : one.said.seen.map((seen) => ({ ...seen, node: one.node })),
    )
    .filter(({ what }) => what === 'request')
    .at(-1);
  const where =
    last === undefined ? '' : `; last seen on node ${last.node}, ${last.direction} by ${last.link}`;
  const evidence = `none to ${counted(sent, 'packet')}${where}`;
  if (protocol === 'udp')
    return {
      what: 'answer',
      is: 'Unknown',
      evidence: `${evidence}; a program need not answer UDP`,
      next: 'try --protocol icmp',
    };
  return { what: 'answer', is: 'Wrong', evidence, next: whyNode(last?.node ?? node) };
}
