import pkg from '../../package.json' with { type: 'json' };
import { pageOf, storedKinds } from '../rows/answer.ts';
import { containerPage } from '../rows/containers.ts';
import { eventEntries } from '../rows/events.ts';
import { kernelEntries } from '../rows/kernel.ts';
import { paged } from '../rows/entry.ts';
import { parseQuery, QueryError, type Query } from '../rows/query.ts';
import { pathOf, type Kind, type Page } from '../rows/row.ts';
import { tracePath } from '../rows/path.ts';
import { peerEntries } from '../rows/peers.ts';
import { nodeIn, probePath, probeRequest } from '../rows/probe.ts';
import { sendPath } from '../rows/send.ts';
import { json, type Posted, type Reply, type Route } from '../serve/http.ts';
import { answered } from './answered.ts';
import type { Caches } from './caches.ts';
import { pathRoute, sendRoute } from './path.ts';
import type { Peers } from './peers.ts';
import type { StoredEvents } from './storedevents.ts';
import { worldOf } from './world.ts';

/** `/api/v1/…`: what people and their tools ask. @param missing why nothing is known yet */
export function rowEndpoints(
  caches: Caches,
  peers: Pick<Peers, 'containers' | 'kernel' | 'packet' | 'probe' | 'reached' | 'trace'>,
  events: Pick<StoredEvents, 'list'>,
  missing: () => string | undefined,
): Record<string, Route> {
  const route =
    (
      kind: Kind,
      answer: (query: Query) => Omit<Page<unknown>, 'version'> | Promise<Omit<Page<unknown>, 'version'>>,
    ) =>
    (text: string): Promise<Reply> =>
      answered(
        () => parseQuery(kind, text),
        missing,
        async (query) => ({ version: pkg.version, ...(await answer(query)) }),
      );
  const stored = storedKinds.map((kind) => [
    pathOf(kind),
    route(kind, (query) => pageOf(kind, worldOf(caches), query)),
  ]);
  const containers = route('containers', async (query) => {
    const { rows, unanswered, pass } = await peers.containers(wantedBy(query));
    return { ...containerPage(rows, query), unanswered, ...(pass === undefined ? {} : { pass }) };
  });
  const kernel = route('kernel', async (query) => {
    const { rows, unanswered } = await peers.kernel(wantedBy(query));
    return { ...paged('kernel', kernelEntries(rows), query), unanswered };
  });
  const eventRows = route('events', async (query) =>
    paged('events', eventEntries(await events.list(query.network ?? query.node)), query),
  );
  const reached = route('peers', async (query) => {
    if (query.node === undefined)
      throw new QueryError(
        'node',
        '',
        'must be given: each node reaches all others, and those are many rows',
      );
    const { rows, unanswered } = await peers.reached(query.node);
    return { ...paged('peers', peerEntries(rows), query), unanswered };
  });
  return {
    ...(Object.fromEntries(stored) as Record<string, Route>),
    [pathOf('events')]: eventRows,
    [pathOf('containers')]: containers,
    [pathOf('kernel')]: kernel,
    [pathOf('peers')]: reached,
    [probePath]: { post: probeRoute(peers, missing) },
    [tracePath]: pathRoute(() => worldOf(caches), peers, missing),
    [sendPath]: { post: sendRoute(() => worldOf(caches), peers, missing) },
  };
}

/** A page that continues another shows what the agents said for the first. */
const wantedBy = ({ node, after }: Query) => ({ node, following: after !== undefined });

const probeRoute =
  (peers: Pick<Peers, 'probe'>, missing: () => string | undefined) =>
  async ({ body }: Posted): Promise<Reply> => {
    const names = probeRequest(body);
    if (typeof names === 'string') return json(400, { error: names });
    const node = nodeIn(body);
    if (node === undefined)
      return json(400, { error: 'the body must name the node whose agent probes: "node"' });
    const unknown = missing();
    if (unknown !== undefined) return json(503, { error: unknown });
    const result = await peers.probe(node, names);
    if (result === undefined)
      return json(400, { error: `node ${JSON.stringify(node)}: no agent has registered on such a node` });
    if ('problem' in result)
      return json(502, { error: `the agent of ${node} did not answer: ${result.problem}` });
    return json(200, { version: pkg.version, node, peers: result.rows, problems: result.problems });
  };
