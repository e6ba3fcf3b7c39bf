import path from 'node:path';
import { endpoints } from '../../src/agent/endpoints.ts';
import { Metrics } from '../../src/agent/metrics.ts';
import { ContainerListing } from '../../src/containers/listing.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { KernelListing } from '../../src/inspect/kernel.ts';
import { packetEndpoint } from '../../src/inspect/packet.ts';
import { routeEndpoint } from '../../src/inspect/route.ts';
import type { Client } from '../../src/kube/client.ts';
import { silent } from '../../src/log.ts';
import { agentAudience } from '../../src/rows/row.ts';
import { serve, type Server } from '../../src/serve/http.ts';
import { Reviews } from '../../src/serve/review.ts';
import type { Netns } from './netns.ts';
import { roundsOf } from './rounds.ts';

interface Served {
  /** With an agent's rights. */
  client: Client;
  stateDir: string;
  leaseDir: string;
  netns: Netns;
  /** The snapshot of the last pass. */
  snapshot: () => Snapshot | undefined;
  /** How long its answer about the kernel is kept; undefined: as long as agents do. */
  keptMs: number | undefined;
}

/** Serves what the agent of node1 serves, with its code and its rights, for a kernel in a network namespace. */
export function serveAgent({ client, stateDir, leaseDir, netns, snapshot, keptMs }: Served): Promise<Server> {
  const own = { node: 'node1', version: '0.1.0', stateDir, run: netns.run };
  const listing = new ContainerListing(own);
  const { readSwitch: sysctl, links } = netns;
  const kernel = new KernelListing({ ...own, leaseDir, snapshot, sysctl, links, keptMs });
  const route = routeEndpoint({ node: 'node1', version: '0.1.0', snapshot, run: netns.run });
  const packet = packetEndpoint({
    node: 'node1',
    plugin: path.join(process.env.CNI_PATH ?? '', 'overlaynet'),
    stateDir,
    run: netns.run,
    log: silent,
  });
  const probes = roundsOf('node1', snapshot);
  const agent = { ready: true, state: undefined, lastPass: undefined };
  return serve({
    listen: '0.0.0.0:0',
    routes: endpoints(agent, new Metrics('0.1.0'), listing, kernel, route, packet, probes),
    log: silent,
    secure: {
      certificate: { commonName: 'agent', names: [] },
      reviewer: new Reviews(client, { audience: agentAudience }),
    },
  });
}
