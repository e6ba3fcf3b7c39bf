import { setFlagsFromString } from 'node:v8';
import pkg from '../../package.json' with { type: 'json' };
import { dockerAt } from '../docker/docker.ts';
import { engineAt } from '../docker/engine.ts';
import { Prober } from '../probe/prober.ts';
import { Rounds, settingsOf } from '../probe/rounds.ts';
import { fingerprint } from '../serve/certificate.ts';
import { parseListen, serve, type Route, type Server } from '../serve/http.ts';
import { connect, type Client } from '../kube/client.ts';
import { agentAudience } from '../rows/row.ts';
import { Reviews } from '../serve/review.ts';
import { DataPath } from '../linux/datapath.ts';
import { hostSpace } from '../linux/ranges.ts';
import { run } from '../linux/run.ts';
import { uplinkMTU } from '../linux/uplink.ts';
import { createLog, followSignal, type Log } from '../log.ts';
import { Agent } from './agent.ts';
import { readAttachments } from '../containers/attachments.ts';
import { ContainerListing } from '../containers/listing.ts';
import { watchDrift } from '../host/drift.ts';
import { endpoints } from './endpoints.ts';
import type { RunOptions } from './flags.ts';
import { Garbage } from '../host/garbage.ts';
import { Host } from '../host/host.ts';
import { KernelListing } from '../inspect/kernel.ts';
import { packetEndpoint } from '../inspect/packet.ts';
import { routeEndpoint } from '../inspect/route.ts';
import { Metrics } from './metrics.ts';
import { OwnRanges } from '../host/ranges.ts';

/** On a signal to stop, a pass over the kernel that is under way gets this much time, in milliseconds. */
const graceMs = 1_500;

/** Keeps the heap small. By default V8 lets it grow to twice the live data, or more, before it collects garbage. */
setFlagsFromString('--heap-growing-percent=50');

/**
 * Runs `agent run` until SIGTERM or SIGINT.
 * @throws ListenError
 */
export async function runAgent(options: RunOptions): Promise<void> {
  const { logLevel: level, logFormat: format } = options;
  const log = createLog({ level, component: 'agent', format });
  followSignal(log);
  const stop = await startAgent(options, log);
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT']) process.once(name, resolve);
  });
  log.info('stopping; the kernel stays as it is', { signal });
  await Promise.race([stop(), new Promise((resolve) => setTimeout(resolve, graceMs))]);
  process.exit(0);
}

/** Starts the agent and serves what it knows. Returns what ends it. @throws ListenError */
async function startAgent(options: RunOptions, log: Log): Promise<() => Promise<void>> {
  const { node, addresses, kubeconfig, stateDir, resyncMs } = options;
  const metrics = new Metrics(pkg.version);
  const client = connect({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    onAnswer: metrics.requested,
  });
  const kernel = new DataPath({ log, attachments: () => readAttachments(stateDir) });
  const probes: Rounds = probesOf(options, () => agent, metrics);
  let served: () => string | undefined = () => undefined;
  const certificate = () => fingerprint(served());
  const agent: Agent = agentOf(options, { client, metrics, kernel, probes, certificate, log });
  await agent.listen();
  const routes = routesOf(options, agent, metrics, probes, log);
  const server = await serveAgent(options, client, routes, log).catch(async (error: unknown) => {
    await agent.stop();
    throw error;
  });
  served = server.certificate.bind(server);
  const drift = watchDrift(agent, { resyncMs, loss: () => kernel.loss(), log });
  metrics.followNode({
    tunnel: () => agent.tunnel,
    certificate: () => server.certificate(),
    drops: () => kernel.drops(),
  });
  agent.start();
  probes.start();
  log.info('agent started', { node, addresses: addresses.join(','), listen: server.address });
  return async () => {
    drift.stop();
    probes.stop();
    metrics.stop();
    await Promise.all([agent.stop(), server.close()]);
    await client.close();
  };
}

function routesOf(
  { node, stateDir, leaseDir, dockerSocket, cniPlugin: plugin }: RunOptions,
  agent: Agent,
  metrics: Metrics,
  probes: Rounds,
  log: Log,
): Record<string, Route> {
  const own = { node, version: pkg.version, run };
  const known = { ...own, snapshot: () => agent.snapshot };
  const containers = new ContainerListing({ ...own, stateDir, engine: engineAt(dockerSocket) });
  const differences = new KernelListing({ ...known, stateDir, leaseDir });
  const packet = packetEndpoint({ node, plugin, stateDir, run, log });
  return endpoints(agent, metrics, containers, differences, routeEndpoint(known), packet, probes);
}

interface Surroundings {
  client: Client;
  metrics: Metrics;
  kernel: DataPath;
  probes: Rounds;
  certificate: () => string | undefined;
  log: Log;
}

/** UDP has the same port as HTTPS: every agent listens at the same one. */
function probesOf({ node, listen }: RunOptions, agent: () => Agent, { probes }: Metrics): Rounds {
  const { port } = parseListen(listen);
  return new Rounds({
    node,
    version: pkg.version,
    prober: new Prober({
      port,
      snapshot: () => agent().snapshot,
      steps: () => agent().steps,
      metrics: probes,
    }),
    settings: () => settingsOf(agent().probes),
    onVerdicts: probes.setVerdicts,
    onFinding: () => {
      agent().probed();
    },
  });
}

function agentOf(
  options: RunOptions,
  { client, metrics, kernel, probes, certificate, log }: Surroundings,
): Agent {
  const { node, addresses, cniPlugin, conflistMode, dockerSocket } = options;
  const { stateDir, cniConfDir, cniNetDir, leaseDir, runDir } = options;
  const garbage = new Garbage();
  const docker = dockerAt(dockerSocket, log, metrics.docker.bind(metrics));
  const ranges = new OwnRanges({ read: () => hostSpace(), addresses, pools: () => docker?.pools ?? [] });
  return new Agent({
    node,
    addresses,
    directories: { stateDir, cniConfDir, cniNetDir, leaseDir, runDir },
    cniPlugin,
    conflistMode,
    client,
    kernel: {
      reconcile: (snapshot, scope) =>
        kernel.reconcile(snapshot, scope).finally(() => {
          garbage.passEnded();
        }),
    },
    uplinkMTU: (peers) => uplinkMTU(addresses, peers),
    docker,
    host: new Host({ log, ranges }),
    ranges,
    probed: () => probes.finding,
    certificate,
    metrics,
    log,
  });
}

const serveAgent = (
  { node, addresses, listen, certificate }: RunOptions,
  client: Client,
  routes: Record<string, Route>,
  log: Log,
): Promise<Server> =>
  serve({
    listen,
    routes,
    log,
    secure: {
      certificate: {
        ...(certificate && { files: certificate }),
        commonName: 'overlaynet-agent',
        names: [node, ...addresses],
      },
      reviewer: new Reviews(client, { audience: agentAudience }),
    },
  });
