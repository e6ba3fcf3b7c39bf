import pkg from '../../package.json' with { type: 'json' };
import { connect, type Client } from '../kube/client.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElection } from '../kube/lease.ts';
import { changesPath } from '../rows/row.ts';
import { Reviews } from '../serve/review.ts';
import { certificateFiles } from '../serve/certificate.ts';
import { serve, type Server } from '../serve/http.ts';
import { pageRoutes } from '../serve/page.ts';
import { faultOf, type Log } from '../log.ts';
import { Allocator } from './allocator.ts';
import { publishCertificate } from './certificate.ts';
import { Caches } from './caches.ts';
import { Changes } from './changes.ts';
import { Deletions } from './deletion.ts';
import { endpoints, unsynced } from './endpoints.ts';
import { readFirstConfig } from './firstconfig.ts';
import type { Flags } from './flags.ts';
import { followJoining } from './joining.ts';
import { LeaderWork } from './leaderwork.ts';
import { OperatorMetrics } from './metrics.ts';
import { NetworkGuard } from './guard.ts';
import { NodePods } from './nodepods.ts';
import { Peers } from './peers.ts';
import { rowEndpoints } from './rows.ts';
import { StoredEvents } from './storedevents.ts';
import { Statuses } from './statuses.ts';
import { Uninstall } from './uninstall.ts';

/**
 * How long to wait, in milliseconds, after an agent reports what it holds. Thousands do so after a roll-out, and no
 * node waits for the result.
 */
const answersIntervalMs = 500;

/** A running operator. */
interface Operator {
  /** The address that it serves on. */
  address: string;
  /** Takes part in leader election until `stop`. */
  run: () => Promise<void>;
  /** Releases the Lease, stops all work, and closes all connections. */
  stop: () => Promise<void>;
}

/**
 * Starts an operator: it follows the API server and serves. It takes part in leader election once `run` is called.
 * @throws Error, ListenError
 */
export async function startOperator(flags: Flags, log: Log): Promise<Operator> {
  const metrics = new OperatorMetrics(pkg.version);
  const client = connect({
    ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
    onAnswer: metrics.requested,
  });
  const caches = new Caches(client, log);
  const guard = new NetworkGuard({ client, caches, log });
  const uninstall = uninstallOf(client, flags, guard, log);
  const { allocator, work } = workOf({ client, flags, metrics, caches, guard, log });
  const election = electionOf(client, flags, work, metrics, log);
  const deletions = new Deletions({
    client,
    caches,
    log,
    leading: () => work.leading,
    released: (nodes) => {
      allocator.confirmGone(nodes);
      work.allocate();
    },
  });
  const changes = new Changes();
  const server = await serveOperator({ client, flags, metrics, caches, deletions, changes, log });
  log.info('serving', { address: server.address });
  const { namespace } = flags;
  const publication = publishCertificate({ client, namespace, certificate: () => server.certificate(), log });
  metrics.watch(caches);
  metrics.serve(work.queues, () => server.certificate());
  followJoining(caches, (seconds) => {
    if (work.leading) metrics.joined(seconds);
  });
  caches.start(
    (soon) => {
      changes.mark();
      work.allocate(soon ? 0 : answersIntervalMs);
    },
    () => {
      changes.mark();
      work.writeStatuses();
    },
  );
  uninstall.start();
  const stop = async () => {
    publication.stop();
    await Promise.all([work.stop(), uninstall.stop(), guard.stop()]);
    await election.stop();
    await caches.stop();
    await server.close();
    await client.close();
  };
  return { address: server.address, run: () => election.run(), stop };
}

/** What all parts of an operator need. */
interface Basis {
  client: Client;
  flags: Flags;
  metrics: OperatorMetrics;
  caches: Caches;
  log: Log;
}

/** Makes the leader's work. @throws Error when the file of the first configuration cannot be used */
function workOf({ client, flags, metrics, caches, guard, log }: Basis & { guard: NetworkGuard }) {
  const firstConfig = flags.firstConfig === undefined ? {} : readFirstConfig(flags.firstConfig);
  const pods = new NodePods(client);
  const onNode = pods.learn.bind(pods);
  const allocator = new Allocator({ client, caches, log, metrics, firstConfig, onNode, guard });
  const events = new EventRecorder({
    client,
    component: 'overlaynet-operator',
    instance: flags.identity,
    log,
  });
  const statuses = new Statuses({ client, caches, events, metrics, pods, guard });
  return { allocator, work: new LeaderWork({ caches, allocator, statuses, log }) };
}

const electionOf = (client: Client, flags: Flags, work: LeaderWork, metrics: OperatorMetrics, log: Log) =>
  new LeaderElection({
    client,
    namespace: flags.namespace,
    name: 'overlaynet-operator',
    identity: flags.identity,
    leaseDurationMs: flags.leaseDuration,
    renewDeadlineMs: flags.renewDeadline,
    retryPeriodMs: flags.retryPeriod,
    log,
    onStartedLeading: (signal) => {
      metrics.leading(true);
      work.begin(signal);
    },
    onStoppedLeading: () => {
      metrics.leading(false);
      work.end();
    },
  });

function serveOperator({
  client,
  flags,
  metrics,
  caches,
  deletions,
  changes,
  log,
}: Basis & { deletions: Deletions; changes: Changes }): Promise<Server> {
  const files = certificateFiles(flags.tlsCert, flags.tlsKey);
  const peers = new Peers({
    allocations: () => caches.allocations.list(),
    agent: (node) => caches.agents.get(node),
    config: () => caches.configs.get('default'),
    port: flags.agentPort,
    tokenFile: flags.agentTokenFile,
  });
  return serve({
    listen: flags.listen,
    routes: {
      ...endpoints(caches, metrics, deletions),
      ...rowEndpoints(caches, peers, new StoredEvents(client), () => unsynced(caches)),
      [changesPath]: () => changes.follow(),
      ...pageRoutes(flags.page),
    },
    log,
    secure: {
      certificate: { ...(files && { files }), commonName: 'overlaynet-operator', names: flags.addresses },
      reviewer: new Reviews(client),
    },
  });
}

const uninstallOf = (client: Client, { namespace }: Flags, guard: NetworkGuard, log: Log) =>
  new Uninstall(
    client,
    namespace,
    () => {
      guard.end().catch((error: unknown) => {
        const fault = faultOf('overlaynetworks', error, 'remove the finalizer of each network');
        log.error('a network may keep its finalizer: docs/deleting.md says how to take it off', fault);
      });
    },
    log,
  );
