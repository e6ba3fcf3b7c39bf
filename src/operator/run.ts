import { connect, type Client } from '../kube/client.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElection } from '../kube/lease.ts';
import { KeyedQueue } from '../kube/queue.ts';
import { changesPath } from '../rows/row.ts';
import { Reviews } from '../serve/review.ts';
import { certificateFiles } from '../serve/certificate.ts';
import { serve } from '../serve/http.ts';
import { pageRoutes } from '../serve/page.ts';
import type { Log } from '../log.ts';
import { Allocator, type Settled } from './allocator.ts';
import { publishCertificate } from './certificate.ts';
import { Caches } from './caches.ts';
import { Changes } from './changes.ts';
import { Deletions } from './deletion.ts';
import { endpoints, unsynced } from './endpoints.ts';
import { readFirstConfig } from './firstconfig.ts';
import type { Flags } from './flags.ts';
import { OperatorMetrics } from './metrics.ts';
import { NetworkGuard } from './guard.ts';
import { NodePods } from './nodepods.ts';
import { Peers } from './peers.ts';
import { rowEndpoints } from './rows.ts';
import { Statuses } from './statuses.ts';
import { Uninstall } from './uninstall.ts';

/** Bursts become one run; a single join waits for nothing. */
const allocateIntervalMs = 50;
/** Thousands of agents say what they hold after a roll-out, and no node waits for what follows from that. */
const answersIntervalMs = 500;
/** Counts in a status change with every join, and every agent sees them: at most so often. */
const statusIntervalMs = 1_000;

/** An operator that runs. */
interface Operator {
  /** Where it serves. */
  address: string;
  /** Takes part in the election until `stop`. */
  run: () => Promise<void>;
  /** Gives the Lease up, ends what runs, and closes all connections. */
  stop: () => Promise<void>;
}

/** Follows the API server and serves; it leads once `run` was called. @throws Error, ListenError */
export async function startOperator(flags: Flags, log: Log): Promise<Operator> {
  const files = certificateFiles(flags.tlsCert, flags.tlsKey);
  const firstConfig = flags.firstConfig === undefined ? {} : readFirstConfig(flags.firstConfig);
  const client = connect(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig });
  const metrics = new OperatorMetrics();
  const caches = new Caches(client, log);
  const events = new EventRecorder({
    client,
    component: 'overlaynet-operator',
    instance: flags.identity,
    log,
  });
  const pods = new NodePods(client);
  const onNode = pods.learn.bind(pods);
  const allocator = new Allocator({ client, caches, log, metrics, firstConfig, onNode });
  const guard = new NetworkGuard(client, caches);
  const uninstall = uninstallOf(client, flags, guard, log);
  const statuses = new Statuses({ client, caches, events, metrics, pods, guard });

  /** While this operator leads: what was planned ends with it. */
  let term: { signal: AbortSignal; listed: boolean; settled?: Settled } | undefined;
  const queue = new KeyedQueue<'allocate'>({
    log,
    minIntervalMs: allocateIntervalMs,
    reconcile: async (_key, signal) => {
      const now = term;
      if (now?.signal.aborted !== false || !caches.synced) return undefined;
      // a standby's watches may have hung for long
      if (!now.listed) await caches.relist();
      now.listed = true;
      return allocator.run(AbortSignal.any([signal, now.signal]), (state) => {
        now.settled = state;
        statusQueue.add('status');
      });
    },
  });
  const statusQueue = new KeyedQueue<'status'>({
    log,
    minIntervalMs: statusIntervalMs,
    reconcile: async () => {
      const now = term;
      if (now?.settled === undefined || now.signal.aborted) return undefined;
      const { outdated, ...result } = await statuses.write(now.settled, now.signal);
      if (outdated) queue.add('allocate');
      return result;
    },
  });

  const election = new LeaderElection({
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
      term = { signal, listed: false };
      queue.add('allocate');
    },
    onStoppedLeading: () => {
      metrics.leading(false);
      term = undefined;
    },
  });

  const deletions = new Deletions({
    client,
    caches,
    log,
    leading: () => term?.signal.aborted === false,
    released: (nodes) => {
      allocator.confirmGone(nodes);
      queue.add('allocate');
    },
  });
  const peers = new Peers({
    allocations: () => caches.allocations.list(),
    config: () => caches.configs.get('default'),
    port: flags.agentPort,
    tokenFile: flags.agentTokenFile,
  });
  const changes = new Changes();
  const server = await serve({
    listen: flags.listen,
    routes: {
      ...endpoints(caches, metrics, deletions),
      ...rowEndpoints(caches, peers, () => unsynced(caches)),
      [changesPath]: () => changes.follow(),
      ...pageRoutes(flags.page),
    },
    log,
    secure: {
      certificate: { ...(files && { files }), commonName: 'overlaynet-operator', names: flags.addresses },
      reviewer: new Reviews(client),
    },
  });
  log.info('serving', { address: server.address });
  const { namespace } = flags;
  const publication = publishCertificate({ client, namespace, certificate: () => server.certificate(), log });
  metrics.watch(caches);
  caches.start(
    (soon) => {
      changes.mark();
      queue.addAfter('allocate', soon ? 0 : answersIntervalMs);
    },
    () => {
      changes.mark();
      statusQueue.add('status');
    },
  );
  uninstall.start();
  const stop = async () => {
    publication.stop();
    await Promise.all([queue.stop(), statusQueue.stop(), uninstall.stop()]);
    await election.stop();
    await caches.stop();
    await server.close();
    await client.close();
  };
  return { address: server.address, run: () => election.run(), stop };
}

const uninstallOf = (client: Client, { namespace }: Flags, guard: NetworkGuard, log: Log) =>
  new Uninstall(
    client,
    namespace,
    () => {
      guard.end().catch((error: unknown) => {
        log.error('a network may keep its finalizer: docs/deleting.md says how to take it off', { error });
      });
    },
    log,
  );
