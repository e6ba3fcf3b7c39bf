import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Run } from '../linux/run.ts';
import { trace } from '../linux/trace.ts';
import { tunnelName } from '../net/name.ts';
import { QueryError, refusalOf } from '../rows/query.ts';
import { parseTraceQuery, type NodeRoute } from '../rows/trace.ts';
import { json, type Reply } from '../serve/http.ts';

/** The most traces at once: each runs about twelve programs. */
const mostAtOnce = 2;

/** Answers `GET /overlay-agent/route?from=…&to=…`: the way of a packet through this node. No packet is sent. */
export function routeEndpoint(options: {
  node: string;
  version: string;
  snapshot: () => Snapshot | undefined;
  run: Run;
}): (query: string) => Promise<Reply> {
  const { node, version, snapshot, run } = options;
  let underWay = 0;
  return async (text) => {
    const wanted = snapshot();
    try {
      const query = parseTraceQuery(text);
      if (wanted === undefined) return json(503, { error: 'the agent knows nothing yet: no pass has begun' });
      if (underWay >= mostAtOnce)
        return json(429, { error: `${mostAtOnce} packets are being traced already: try again` });
      underWay++;
      try {
        const hops = await trace(run, tunnelName(wanted.config.vni), query);
        return json(200, { node, version, hops } satisfies NodeRoute);
      } finally {
        underWay--;
      }
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      return json(400, refusalOf(error));
    }
  };
}
