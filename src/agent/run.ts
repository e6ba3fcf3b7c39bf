import { setFlagsFromString } from 'node:v8';
import pkg from '../../package.json' with { type: 'json' };
import { dockerAt } from '../docker/docker.ts';
import { engineAt } from '../docker/engine.ts';
import { serve } from '../serve/http.ts';
import { connect } from '../kube/client.ts';
import { agentAudience } from '../rows/row.ts';
import { Reviews } from '../serve/review.ts';
import { DataPath } from '../linux/datapath.ts';
import { hostSpace } from '../linux/ranges.ts';
import { run } from '../linux/run.ts';
import { uplinkMTU } from '../linux/uplink.ts';
import { createLog } from '../log.ts';
import { Agent } from './agent.ts';
import { readAttachments } from '../containers/attachments.ts';
import { ContainerListing } from '../containers/listing.ts';
import { watchDrift } from '../host/drift.ts';
import { endpoints } from './endpoints.ts';
import type { RunOptions } from './flags.ts';
import { Garbage } from '../host/garbage.ts';
import { Host } from '../host/host.ts';
import { KernelListing } from './kernel.ts';
import { routeEndpoint } from './route.ts';
import { Metrics } from './metrics.ts';
import { OwnRanges } from '../host/ranges.ts';

/** When the agent is told to stop, a pass over the kernel that is under way gets this much time. */
const graceMs = 1_500;

/** With thousands of peers V8 would let the heap grow to twice of what stays, and more, before it looks for garbage. */
setFlagsFromString('--heap-growing-percent=50');

/**
 * Runs `agent run` until SIGTERM or SIGINT.
 * @throws ListenError
 */
export async function runAgent(options: RunOptions): Promise<void> {
  const {
    node,
    addresses,
    kubeconfig,
    listen,
    certificate,
    resyncMs,
    logLevel,
    cniPlugin,
    conflistMode,
    dockerSocket,
    ...directories
  } = options;
  const log = createLog({ level: logLevel, component: 'agent' });
  const client = connect(kubeconfig === undefined ? {} : { kubeconfig });
  const metrics = new Metrics(pkg.version);
  const kernel = new DataPath({ log, attachments: () => readAttachments(directories.stateDir) });
  const garbage = new Garbage();
  const docker = dockerAt(dockerSocket, log);
  const ranges = new OwnRanges({ read: () => hostSpace(), addresses, pools: () => docker?.pools ?? [] });
  const agent = new Agent({
    node,
    addresses,
    directories,
    cniPlugin,
    conflistMode,
    client,
    kernel: {
      reconcile: (snapshot, scope) =>
        kernel.reconcile(snapshot, scope).finally(() => {
          garbage.left();
        }),
    },
    uplinkMTU: (peers) => uplinkMTU(addresses, peers),
    docker,
    host: new Host({ log, ranges }),
    ranges,
    metrics,
    log,
  });
  const containers = new ContainerListing({
    node,
    version: pkg.version,
    stateDir: directories.stateDir,
    engine: engineAt(dockerSocket),
    run,
  });
  const own = { node, version: pkg.version, snapshot: () => agent.snapshot, run };
  const { stateDir, leaseDir } = directories;
  const differences = new KernelListing({ ...own, stateDir, leaseDir });
  await agent.listen();
  const server = await serve({
    listen,
    routes: endpoints(agent, metrics, containers, differences, routeEndpoint(own)),
    log,
    secure: {
      certificate: {
        ...(certificate && { files: certificate }),
        commonName: 'overlaynet-agent',
        names: [node, ...addresses],
      },
      reviewer: new Reviews(client, { audience: agentAudience }),
    },
  }).catch(async (error: unknown) => {
    await agent.stop();
    throw error;
  });
  const drift = watchDrift(agent, { resyncMs, guarded: () => kernel.guarded(), log });
  agent.start();
  log.info('agent started', { node, addresses: addresses.join(','), listen: server.address });

  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT']) process.once(name, resolve);
  });
  log.info('stopping; the kernel stays as it is', { signal });
  drift.stop();
  const stopped = Promise.all([agent.stop(), server.close()]).then(() => client.close());
  await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, graceMs))]);
  process.exit(0);
}
