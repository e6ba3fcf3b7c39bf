import { json, text, type Reply, type Route } from '../serve/http.ts';
import type { ContainerListing } from '../containers/listing.ts';
import { agentContainersPath, agentKernelPath } from '../rows/row.ts';
import { agentRoutePath } from '../rows/trace.ts';
import type { KernelListing } from '../inspect/kernel.ts';
import type { Agent } from './agent.ts';
import type { Metrics } from './metrics.ts';

/** What an agent serves. */
export const endpoints = (
  agent: Pick<Agent, 'ready' | 'state'>,
  metrics: Metrics,
  containers: Pick<ContainerListing, 'list'>,
  kernel: Pick<KernelListing, 'list'>,
  route: (query: string) => Promise<Reply>,
): Record<string, Route> => ({
  '/overlay-agent/overlay': () =>
    agent.state === undefined
      ? json(503, { error: 'nothing is known yet: no allocation of this node in the API, and no checkpoint' })
      : json(200, agent.state),
  [agentContainersPath]: async () => json(200, await containers.list()),
  [agentKernelPath]: async () => json(200, await kernel.list()),
  [agentRoutePath]: route,
  '/metrics': async () => ({ status: 200, ...(await metrics.render()) }),
  '/healthz': () => text(200, 'ok'),
  '/readyz': () => (agent.ready ? text(200, 'ok') : text(503, 'the data path was not made yet')),
});
