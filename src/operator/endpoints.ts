import { stateOf } from '../api/state.ts';
import { json, text, type Route } from '../serve/http.ts';
import type { Caches } from './caches.ts';
import type { Deletions } from './deletion.ts';
import type { OperatorMetrics } from './metrics.ts';

/** The paths that an operator serves, leader or not, each from its own caches. */
export function endpoints(
  caches: Caches,
  metrics: OperatorMetrics,
  deletions: Deletions,
): Record<string, Route> {
  return {
    '/overlay-master/state': () => {
      const missing = unsynced(caches);
      if (missing !== undefined) return json(503, { error: missing });
      const config = caches.configs.get('default');
      if (config === undefined) return json(503, { error: 'overlayconfigs/default does not exist yet' });
      const { networks, allocations, agents } = caches;
      return json(
        200,
        stateOf(config, networks.list(), allocations.list(), (node) => agents.get(node)),
      );
    },
    '/overlay-master/agents/delete': {
      post: (request) => {
        const missing = unsynced(caches);
        return missing === undefined ? deletions.post(request) : json(503, { error: missing });
      },
    },
    '/metrics': async () => ({ status: 200, ...(await metrics.render()) }),
    '/healthz': () => text(200, 'ok'),
    '/readyz': () => {
      const missing = unsynced(caches);
      return missing === undefined ? text(200, 'ok') : text(503, missing);
    },
  };
}

/** Why nothing is known yet. */
export function unsynced(caches: Caches): string | undefined {
  const waiting = caches.unsynced;
  if (waiting.length === 0) return undefined;
  const each = waiting.map(
    ({ resource, lastError }) => `${resource.plural}${lastError === undefined ? '' : ` (${lastError})`}`,
  );
  return `not synced yet: ${each.join(', ')}`;
}
