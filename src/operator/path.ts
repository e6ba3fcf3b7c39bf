import { setTimeout as sleep } from 'node:timers/promises';
import pkg from '../../package.json' with { type: 'json' };
import { familyOf } from '../net/address.ts';
import { pageOf } from '../rows/answer.ts';
import {
  endText,
  goesOn,
  holderOf,
  knownEnds,
  pairOf,
  parsePathQuery,
  pathHop,
  sourceHop,
  underlayOf,
  verdictOf,
  type End,
  type KnownEnd,
  type Leg,
  type PacketPath,
  type PathEnd,
  type PathQuery,
} from '../rows/path.ts';
import { QueryError } from '../rows/query.ts';
import type { AgentRow, BlockRow, Unanswered } from '../rows/row.ts';
import { queryIn, sentSteps, type NodeSaid, type SentStep } from '../rows/send.ts';
import { silentStep, traceText, type TraceQuery } from '../rows/trace.ts';
import type { World } from '../rows/world.ts';
import type { Posted, Reply } from '../serve/http.ts';
import { answered } from './answered.ts';
import type { Peers } from './peers.ts';

type PathPeers = Pick<Peers, 'containers' | 'trace'>;

/** Answers `GET /api/v1/trace?from=…&to=…`. @param missing why nothing is known yet */
export const pathRoute =
  (world: () => World, peers: PathPeers, missing: () => string | undefined) =>
  (text: string): Promise<Reply> =>
    answered(
      () => parsePathQuery(text),
      missing,
      (query) => followPath(query, world(), peers),
    );

/**
 * Answers `POST /api/v1/send`, whose body is what the query of `/api/v1/trace` is: follows the packet, and has one sent.
 */
export const sendRoute =
  (world: () => World, peers: PathPeers & Pick<Peers, 'packet'>, missing: () => string | undefined) =>
  ({ body }: Posted): Promise<Reply> =>
    answered(
      () => parsePathQuery(queryIn(body)),
      missing,
      async (query) => {
        const path = await followPath(query, world(), peers);
        return { ...path, sent: await sendAlong(path, peers) };
      },
    );

/** How long a watch takes to begin on another node, at most. */
const aheadMs = 300;

/** Has the sender's node send the packet, and the target's watch for it. */
async function sendAlong(path: PacketPath, peers: Pick<Peers, 'packet'>): Promise<SentStep[]> {
  const { from, to, protocol, port } = path;
  // above the ports that kernels choose, below those of servers: no connection of the container is like it
  const id = 61_000 + Math.floor(Math.random() * 4_000);
  const order = { from: from.address, to: to.address, protocol, ...(port === undefined ? {} : { port }), id };
  const ask = async (node: string, side: TraceQuery['side']): Promise<NodeSaid> => ({
    node,
    said: (await peers.packet(node, { ...order, side })) ?? { problem: 'no agent has registered on it' },
  });
  const { node = '' } = from;
  const far = to.node === undefined || to.node === node ? undefined : ask(to.node, 'in');
  if (far !== undefined) await sleep(aheadMs);
  const near = await ask(node, 'out');
  return sentSteps(near, await far, protocol);
}

/** A packet's whole way: the node that sends, and the one that the tunnel leads to. @throws QueryError */
export async function followPath(query: PathQuery, world: World, peers: PathPeers): Promise<PacketPath> {
  const ends = async (name: 'from' | 'to') => {
    const end = query[name];
    const node = 'address' in end ? nodeOf(end.address, world) : undefined;
    // outside the overlays no container is known
    if ('address' in end && node === undefined) return knownEnds(end, []);
    const { rows, unanswered } = await peers.containers({ node });
    const known = knownEnds(end, rows, node);
    if (known.length === 0) throw noRecord(name, end, unanswered);
    return known;
  };
  const { protocol, port } = query;
  const pair = pairOf(await ends('from'), await ends('to'));
  if (pair === undefined)
    throw new QueryError(
      'to',
      endText(query.to),
      `has no address of a family that ${endText(query.from)} has: give networks of one family to both, by annotation`,
    );
  const { from, to } = pair;
  if (from.node === undefined)
    throw new QueryError('from', endText(query.from), 'no node holds a block with this address');
  const packet = {
    family: familyOf(from.address),
    from: from.address,
    to: to.address,
    protocol,
    ...(port === undefined ? {} : { port }),
  };
  const legs = await legsOf(packet, from, from.node, to, world, peers);
  return {
    version: pkg.version,
    from: shown(from),
    to: shown(to),
    protocol,
    ...(port === undefined ? {} : { port }),
    verdict: verdictOf(legs.flatMap(({ hops }) => hops)),
    legs,
  };
}

async function legsOf(
  packet: Omit<TraceQuery, 'side'>,
  from: KnownEnd,
  node: string,
  to: KnownEnd,
  world: World,
  peers: PathPeers,
): Promise<Leg[]> {
  const source = sourceHop(from, node);
  if (source.is === 'Wrong') return [{ node, side: 'out', hops: [source] }];
  const out = await legOf({ ...packet, side: 'out' }, node, peers);
  // an agent that does not answer does not say that it knows no such container
  const isSilent = from.container === undefined && out.hops.some(({ what }) => what === 'agent');
  const first: Leg = { ...out, hops: isSilent ? out.hops : [source, ...out.hops] };
  if (to.node === undefined || to.node === node || !goesOn(first)) return [first];
  const peer = agentsOf(node, world)
    .find((row) => row.node === node)
    ?.addresses.find((one) => familyOf(one) === underlayOf(first));
  const inward = { ...packet, side: 'in', ...(peer === undefined ? {} : { peer }) } as const;
  return [first, await legOf(inward, to.node, peers)];
}

async function legOf(query: TraceQuery, node: string, peers: PathPeers): Promise<Leg> {
  const leg = (await peers.trace(node, traceText(query))) ?? {
    problem: `no agent has registered on node ${node}`,
  };
  const hops = 'problem' in leg ? [silentStep(node, leg.problem)] : leg.hops.map((hop) => pathHop(hop, node));
  return { node, side: query.side, hops };
}

const shown = ({ address, node, network, name }: KnownEnd): PathEnd => ({
  address,
  ...(node === undefined ? {} : { node }),
  ...(network === undefined ? {} : { network }),
  ...(name === undefined ? {} : { name }),
});

const nodeOf = (address: string, world: World): string | undefined => {
  const blocks = pageOf('blocks', world, { search: address, limit: 20 }).items as BlockRow[];
  return holderOf(address, agentsOf(address, world), blocks);
};

const agentsOf = (search: string, world: World) =>
  pageOf('agents', world, { search, limit: 5_000 }).items as AgentRow[];

function noRecord(name: 'from' | 'to', end: End, unanswered: readonly Unanswered[]): QueryError {
  const [one] = unanswered;
  const more = unanswered.length > 1 ? ` and ${unanswered.length - 1} more nodes` : '';
  return new QueryError(
    name,
    endText(end),
    one === undefined
      ? `no node has a record of this pod on an overlay: kubectl overlay why pod ${endText(end)}`
      : `no node that answered has a record of this pod on an overlay, and ${one.node}${more} did not answer (${one.reason}): kubectl overlay why node ${one.node}`,
  );
}
