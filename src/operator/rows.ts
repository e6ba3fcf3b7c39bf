import pkg from '../../package.json' with { type: 'json' };
import { pageOf, storedKinds } from '../rows/answer.ts';
import { containerEntries } from '../rows/containers.ts';
import { kernelEntries } from '../rows/kernel.ts';
import { paged } from '../rows/entry.ts';
import { parseQuery, QueryError, refusalOf, type Query } from '../rows/query.ts';
import { pathOf, type Kind, type Page } from '../rows/row.ts';
import { parseTraceQuery, tracePath, traceText } from '../rows/trace.ts';
import { json, type Reply, type Route } from '../serve/http.ts';
import type { Caches } from './caches.ts';
import type { Peers } from './peers.ts';
import { worldOf } from './world.ts';

/** `/api/v1/…`: what people and their tools ask. @param missing why nothing is known yet */
export function rowEndpoints(
  caches: Caches,
  peers: Pick<Peers, 'containers' | 'kernel' | 'trace'>,
  missing: () => string | undefined,
): Record<string, Route> {
  const route =
    (
      kind: Kind,
      answer: (query: Query) => Omit<Page<unknown>, 'version'> | Promise<Omit<Page<unknown>, 'version'>>,
    ) =>
    async (text: string): Promise<Reply> => {
      try {
        const query = parseQuery(kind, text);
        const unknown = missing();
        if (unknown !== undefined) return json(503, { error: unknown });
        return json(200, { version: pkg.version, ...(await answer(query)) });
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        return json(400, refusalOf(error));
      }
    };
  const stored = storedKinds.map((kind) => [
    pathOf(kind),
    route(kind, (query) => pageOf(kind, worldOf(caches), query)),
  ]);
  const containers = route('containers', async (query) => {
    const { rows, unanswered } = await peers.containers(query.node);
    return { ...paged('containers', containerEntries(rows), query), unanswered };
  });
  const kernel = route('kernel', async (query) => {
    const { rows, unanswered } = await peers.kernel(query.node);
    return { ...paged('kernel', kernelEntries(rows), query), unanswered };
  });
  return {
    ...(Object.fromEntries(stored) as Record<string, Route>),
    [pathOf('containers')]: containers,
    [pathOf('kernel')]: kernel,
    [tracePath]: traceRoute(peers, missing),
  };
}

/** `?node=` and what its agent takes. */
const traceRoute =
  (peers: Pick<Peers, 'trace'>, missing: () => string | undefined) =>
  async (text: string): Promise<Reply> => {
    const parameters = new URLSearchParams(text);
    const node = parameters.get('node') ?? '';
    parameters.delete('node');
    try {
      const query = parseTraceQuery(parameters.toString());
      const unknown = missing();
      if (unknown !== undefined) return json(503, { error: unknown });
      const said = await peers.trace(node, traceText(query));
      if (said === undefined) throw new QueryError('node', node, 'no agent has registered on such a node');
      if ('problem' in said)
        return json(502, { error: `the agent of ${node} did not answer: ${said.problem}` });
      return json(200, { version: pkg.version, node, hops: said.hops });
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      return json(400, refusalOf(error));
    }
  };
