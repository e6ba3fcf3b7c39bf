import { familyOf, formatAddress, isAddress, parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import { containerName, mainAddresses } from './containers.ts';
import { QueryError } from './query.ts';
import type { AgentRow, BlockRow, ContainerRow } from './row.ts';
import type { SentStep } from './send.ts';
import { givenOnce, portIn, protocolIn, whyNode, type Hop, type TraceQuery } from './trace.ts';

/** The path at which an operator traces a packet from one container to another. */
export const tracePath = '/api/v1/trace';

/** An address, or a pod as `NAMESPACE/NAME`. */
export type End = { address: string } | { pod: string };

/** The packet to trace. */
export interface PathQuery {
  from: End;
  to: End;
  protocol: TraceQuery['protocol'];
  port?: number;
}

/** One step of the whole way. `agent`: the node's agent did not answer. */
export interface PathHop {
  what: Hop['what'] | 'agent';
  is: Hop['is'];
  evidence: string;
  /** What to do, if the step is not OK. */
  next?: string;
}

/** The steps on one node, in the packet's order. They end at the first wrong step. */
export interface Leg {
  node: string;
  /** `out`: the node that sends; `in`: the node at the other end of the tunnel. */
  side: TraceQuery['side'];
  hops: PathHop[];
}

export interface PathEnd {
  address: string;
  /** Absent for an address outside of the overlays. */
  node?: string;
  network?: string;
  /** `shop/web-0`, or the name of a Docker container. */
  name?: string;
}

/** A packet's way from end to end, according to the nodes' kernels. */
export interface PacketPath {
  version: string;
  from: PathEnd;
  to: PathEnd;
  protocol: TraceQuery['protocol'];
  port?: number;
  /** `Wrong`: the packet does not arrive; `Unknown`: no step is wrong, but one could not be read. */
  verdict: Hop['is'];
  legs: Leg[];
  /** The fate of a packet that was sent; absent if none was. */
  sent?: SentStep[];
}

const pod = /^[a-z0-9][-a-z0-9]*\/[a-z0-9][-.a-z0-9]*$/;

/** Parses an end; undefined if the text is neither an address nor a pod. */
export function endIn(text: string): End | undefined {
  if (isAddress(text)) return { address: formatAddress(parseAddress(text)) };
  return text.length <= 512 && pod.test(text) ? { pod: text } : undefined;
}

export const endText = (end: End): string => ('pod' in end ? end.pod : end.address);

/**
 * Parses the query part of a URL.
 * @throws QueryError
 */
export function parsePathQuery(text: string): PathQuery {
  const given = givenOnce(text, ['from', 'to', 'protocol', 'port']);
  const end = (name: string): End => {
    const found = endIn(given.get(name) ?? '');
    if (found !== undefined) return found;
    throw new QueryError(
      name,
      given.get(name) ?? '',
      'must be an IP address, without a length, or a pod as NAMESPACE/NAME',
    );
  };
  const port = given.get('port');
  const protocol = protocolIn(given.get('protocol') ?? (port === undefined ? 'icmp' : 'tcp'));
  return { from: end('from'), to: end('to'), protocol, ...portIn(port, protocol) };
}

/** Formats a query as parsePathQuery reads it. */
export function pathText({ from, to, protocol, port }: PathQuery): string {
  const query = new URLSearchParams({ from: endText(from), to: endText(to), protocol });
  if (port !== undefined) query.set('port', String(port));
  return query.toString();
}

/** One end of a packet's way, and its container if known. */
export type KnownEnd = PathEnd & { container?: ContainerRow };

/**
 * Returns an end for each address that it may mean.
 * @param node that has the address in its block
 */
export function knownEnds(end: End, containers: readonly ContainerRow[], node?: string): KnownEnd[] {
  if ('pod' in end)
    return containers
      .filter((row) => row.pod !== undefined && containerName(row) === end.pod)
      .flatMap((row) => mainAddresses(row).map((address) => knownEnd(address, row)));
  const row = containers.find(({ addresses }) => addresses.includes(end.address));
  if (row !== undefined) return [knownEnd(end.address, row)];
  return [{ address: end.address, ...(node === undefined ? {} : { node }) }];
}

const knownEnd = (address: string, row: ContainerRow): KnownEnd => ({
  address,
  node: row.node,
  network: row.network,
  name: containerName(row),
  container: row,
});

/** Returns two ends of one family, and of one network if both have one. Undefined if they have no family in common. */
export function pairOf(
  from: readonly KnownEnd[],
  to: readonly KnownEnd[],
): { from: KnownEnd; to: KnownEnd } | undefined {
  const pairs = from.flatMap((one) =>
    to
      .filter(({ address }) => familyOf(address) === familyOf(one.address))
      .map((other) => ({ from: one, to: other })),
  );
  const isOfOne = (pair: { from: KnownEnd; to: KnownEnd }) => pair.from.network === pair.to.network;
  return pairs.find(isOfOne) ?? pairs[0];
}

/** Returns the node of an address, which is the node's own or in its block; undefined outside of the overlays. */
export function holderOf(
  address: string,
  agents: readonly AgentRow[],
  blocks: readonly BlockRow[],
): string | undefined {
  const own = agents.find((row) => row.addresses.includes(address));
  const block = blocks.find(
    ({ space, cidr, state }) =>
      space !== 'vtep' &&
      state !== 'Cooling' &&
      state !== 'Reserved' &&
      containsAddress(parseCidr(cidr), parseAddress(address)),
  );
  return own?.node ?? block?.node;
}

/** Returns the first step: whether the sending container exists. */
export function sourceHop({ address, container }: KnownEnd, node: string): PathHop {
  if (container === undefined)
    return {
      what: 'container',
      is: 'Unknown',
      evidence: `the agent of ${node} knows no container with ${address}`,
      next: `which containers does it know: kubectl overlay containers --node ${node}`,
    };
  const { hostLink, interface: link, kernel } = container;
  const where = `${containerName(container)} has ${address}${link === '' ? '' : ` on ${link}`}`;
  if (kernel === 'Missing')
    return {
      what: 'container',
      is: 'Wrong',
      evidence: `${where}, and the kernel of ${node} does not show its link ${hostLink}`,
      next: remedyOf('container', node),
    };
  return { what: 'container', is: 'OK', evidence: `${where}${hostLink === '' ? '' : `, link ${hostLink}`}` };
}

/** Adds to a step what to do about it. */
export const pathHop = (hop: Hop, node: string): PathHop =>
  hop.is === 'Wrong' ? { ...hop, next: remedyOf(hop.what, node) } : { ...hop };

const remedyOf = (what: Hop['what'], node: string): string =>
  what === 'isolation'
    ? 'the networks do not talk: spec.isolation of both (docs/isolation.md)'
    : whyNode(node);

/** Returns whether the packet continues to another node: all steps are OK, and the way leads into the tunnel. */
export const goesOn = ({ hops }: Leg): boolean =>
  hops.some(({ what }) => what === 'FDB') && verdictOf(hops) !== 'Wrong';

/** Returns the family of the address in the forwarding entry. */
export const underlayOf = ({ hops }: Leg): 4 | 6 =>
  /behind \S*:/.test(hops.find(({ what }) => what === 'FDB')?.evidence ?? '') ? 6 : 4;

export function verdictOf(hops: readonly Pick<PathHop, 'is'>[]): Hop['is'] {
  if (hops.some(({ is }) => is === 'Wrong')) return 'Wrong';
  return hops.some(({ is }) => is === 'Unknown') ? 'Unknown' : 'OK';
}
