import { json, text, type Posted, type Reply, type Route } from '../serve/http.ts';
import type { ContainerListing } from '../containers/listing.ts';
import { agentContainersPath, agentKernelPath } from '../rows/row.ts';
import { agentPacketPath } from '../rows/send.ts';
import { agentRoutePath } from '../rows/trace.ts';
import type { KernelListing } from '../inspect/kernel.ts';
import type { Rounds } from '../probe/rounds.ts';
import { agentPeersPath, agentProbePath, probeRequest } from '../rows/probe.ts';
import type { Agent } from './agent.ts';
import type { Metrics } from './metrics.ts';

/** The paths that an agent serves over HTTPS. */
export const endpoints = (
  agent: Pick<Agent, 'ready' | 'state' | 'lastPass'>,
  metrics: Metrics,
  containers: Pick<ContainerListing, 'list'>,
  kernel: Pick<KernelListing, 'list'>,
  route: (query: string) => Promise<Reply>,
  packet: (request: Posted) => Promise<Reply>,
  probes: Pick<Rounds, 'list' | 'probe'>,
): Record<string, Route> => ({
  '/overlay-agent/overlay': () =>
    agent.state === undefined
      ? json(503, { error: 'nothing is known yet: no allocation of this node in the API, and no checkpoint' })
      : json(200, agent.state),
  [agentContainersPath]: async () => {
    const listed = await containers.list();
    const pass = agent.lastPass;
    return json(200, { ...listed, ...(pass === undefined ? {} : { pass }) });
  },
  [agentKernelPath]: async () => json(200, await kernel.list()),
  [agentRoutePath]: route,
  [agentPacketPath]: { post: packet },
  [agentPeersPath]: () => json(200, probes.list()),
  [agentProbePath]: {
    post: async ({ body }) => {
      const peers = probeRequest(body);
      if (typeof peers === 'string') return json(400, { error: peers });
      const result = await probes.probe(peers);
      return typeof result === 'string' ? json(429, { error: result }) : json(200, result);
    },
  },
  '/metrics': async () => ({ status: 200, ...(await metrics.render()) }),
  '/healthz': () => text(200, 'ok'),
  '/readyz': () => (agent.ready ? text(200, 'ok') : text(503, 'the data path was not made yet')),
});
