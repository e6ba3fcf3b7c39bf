import pkg from '../../package.json' with { type: 'json' };
import { Changes } from '../../src/operator/changes.ts';
import { pathRoute } from '../../src/operator/path.ts';
import { pageOf, storedKinds } from '../../src/rows/answer.ts';
import { containerPage } from '../../src/rows/containers.ts';
import { paged } from '../../src/rows/entry.ts';
import { eventEntries } from '../../src/rows/events.ts';
import { tracePath } from '../../src/rows/path.ts';
import { peerEntries } from '../../src/rows/peers.ts';
import { parseQuery } from '../../src/rows/query.ts';
import { changesPath, pathOf } from '../../src/rows/row.ts';
import { json, serve, type Route, type Server } from '../../src/serve/http.ts';
import { pageRoutes } from '../../src/serve/page.ts';
import { silent } from '../../src/log.ts';
import type { Recorded } from './recorded.ts';
import { recordedPass } from './recordedfaults.ts';
import { recordedPeers } from './recordedpath.ts';
import { recordedProbes } from './recordedprobes.ts';

/**
 * Serves the page with recorded data on a loopback address: the operator's own rows, pages and stream, but no cluster.
 */
export async function serveRecorded(
  directory: string,
  recorded: () => Recorded,
  listen = '127.0.0.1:0',
): Promise<Server & { changes: Changes }> {
  const changes = new Changes({ tick: 100 });
  const answer = (page: object) => json(200, { version: pkg.version, ...page });
  const stored = storedKinds.map((kind): [string, Route] => [
    pathOf(kind),
    (query) => answer(pageOf(kind, recorded().world, parseQuery(kind, query))),
  ]);
  const server = await serve({
    listen,
    log: silent,
    routes: {
      ...Object.fromEntries(stored),
      [pathOf('containers')]: (query) => {
        const { containers, unanswered, world } = recorded();
        const asked = parseQuery('containers', query);
        const pass = recordedPass(world.agents.get(asked.node ?? ''));
        return answer({
          ...containerPage(containers, asked),
          unanswered: unanswered.filter(({ node }) => asked.node === undefined || asked.node === node),
          ...(pass === undefined ? {} : { pass }),
        });
      },
      [pathOf('events')]: (query) =>
        answer(paged('events', eventEntries(recorded().events), parseQuery('events', query))),
      [pathOf('peers')]: (text) => {
        const query = parseQuery('peers', text);
        const rows = recordedProbes(recorded().world, query.node ?? '');
        return answer({ ...paged('peers', peerEntries(rows), query), unanswered: [] });
      },
      [tracePath]: pathRoute(
        () => recorded().world,
        recordedPeers(recorded),
        () => undefined,
      ),
      [changesPath]: () => changes.follow(),
      ...pageRoutes(directory),
    },
  });
  return { ...server, changes };
}
