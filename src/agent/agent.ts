import { renderAgent, type AgentState } from '../api/state.ts';
import type { Client } from '../kube/client.ts';
import { KeyedQueue, type Result } from '../kube/queue.ts';
import { run as runProgram, type Run } from '../linux/run.ts';
import type { Log } from '../log.ts';
import type { Docker } from '../docker/docker.ts';
import type { Scope } from '../dataplane/state.ts';
import { answer } from '../containers/answer.ts';
import { NetworkAvailable } from '../report/available.ts';
import { Caches } from './caches.ts';
import { CheckpointFile, sameSnapshot } from './checkpoint.ts';
import { CNIFiles, socketIn } from '../containers/cni.ts';
import { reasonOf } from '../host/file.ts';
import type { ContainerHealth } from '../report/findings.ts';
import type { Directories } from '../host/directories.ts';
import type { Host } from '../host/host.ts';
import { Judge } from './judge.ts';
import type { Metrics } from './metrics.ts';
import { Namespaces } from '../containers/namespaces.ts';
import { Pass, type Kernel } from './pass.ts';
import { Pods } from '../containers/pods.ts';
import type { OwnRanges } from '../host/ranges.ts';
import { SeenVersion } from '../report/registration.ts';
import { Report } from './report.ts';
import { AgentSocket } from '../containers/socket.ts';
import { sweep } from '../containers/sweep.ts';

export interface AgentOptions {
  node: string;
  addresses: string[];
  directories: Directories;
  /** Of the conflists; by default that of the file that is there, and 0644 of a new one. */
  conflistMode?: number | undefined;
  /** File of the CNI plugin, to sweep with. */
  cniPlugin: string;
  client: Client;
  kernel: Kernel;
  /** Names of the node's links now; by default those of this process's network namespace. */
  links?: () => ReadonlySet<string>;
  run?: Run;
  /** Bytes, of the links by which packets leave to these addresses of other nodes. */
  uplinkMTU: (peers: readonly string[]) => Promise<number>;
  /** Absent where no Docker engine is to be looked for. */
  docker?: Docker | undefined;
  host: Pick<Host, 'problems' | 'look'>;
  ranges: Pick<OwnRanges, 'said'>;
  metrics: Metrics;
  log: Log;
}

/**
 * One node's agent. Kinds of work, each by a key of its own, so that one that fails (no right to write, API server
 * away) leaves the others going: the data path, Docker's networks, the report of both, the checkpoint, and once at the
 * start the sweep.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #caches: Caches;
  readonly #cni: CNIFiles;
  readonly #namespaces: Namespaces;
  readonly #checkpoint: CheckpointFile;
  readonly #pass: Pass;
  readonly #report: Report;
  readonly #socket: AgentSocket;
  readonly #queue: KeyedQueue;
  readonly #docker: Docker | undefined;
  readonly #available: NetworkAvailable;
  #engine: { stop: () => void } | undefined;
  /** What the next pass looks at, whatever the objects say. */
  #look: Scope | undefined = 'all';
  #swept: 'not yet' | 'asked for' | 'done' = 'not yet';
  #sweepProblem: string | undefined;
  #socketProblem: string | undefined;

  constructor(options: AgentOptions) {
    const {
      node,
      addresses,
      directories,
      client,
      kernel,
      links,
      uplinkMTU,
      ranges,
      docker,
      host,
      metrics,
      log,
    } = options;
    this.#options = options;
    const caches = new Caches(client, node, log);
    const checkpoint = new CheckpointFile({
      dir: directories.stateDir,
      log,
      onProblem: () => {
        metrics.checkpoint(checkpoint.problem !== undefined);
        this.#queue.add('report');
      },
    });
    const work: Record<string, () => Promise<Result | undefined>> = {
      'data path': () => this.#runPass(),
      docker: () => this.#runDocker(),
      report: () => this.#report.run(),
      checkpoint: () => this.#save(),
      sweep: () => this.#sweep(),
      host: () => this.#lookAtHost(),
      'node condition': async () => ({ requeueAfterMs: await this.#available.say() }),
    };
    this.#queue = new KeyedQueue({
      reconcile: async (key) => work[key]?.(),
      concurrency: Object.keys(work).length,
      minIntervalMs: 100,
      backoff: { baseMs: 500, maxMs: 30_000 },
      log,
    });
    const last = checkpoint.load(node);
    const seen = new SeenVersion(last?.seenResourceVersion);
    const cni = new CNIFiles({
      directories,
      log,
      owned: last?.networks ?? [],
      mode: options.conflistMode,
      ...(links === undefined ? {} : { links }),
    });
    const namespaces = new Namespaces({
      client,
      log,
      last: last?.namespaces ?? [],
      onChange: () => {
        this.#queue.add('checkpoint');
      },
    });
    const judge = new Judge({ node, caches, seen, last });
    const pass = new Pass(node, {
      judge,
      caches,
      kernel,
      cni,
      checkpoint,
      docker,
      namespaces,
      last: last?.snapshot,
      seen,
      metrics,
    });
    const containers = () => this.#containers;
    this.#report = new Report({
      node,
      addresses,
      client,
      uplinkMTU,
      ranges,
      caches,
      judge,
      pass,
      checkpoint,
      containers,
      docker,
      seen,
      system: () => host.problems,
      log,
    });
    const pods = new Pods(client);
    this.#socket = new AgentSocket({
      path: socketIn(directories.runDir),
      answer: (ask) => answer(ask, { known: () => pass.settled(), namespaces, pods }),
      onAnswer: (code) => {
        metrics.asked(code);
      },
      log,
    });
    this.#docker = docker;
    this.#available = new NetworkAvailable({ client, node, log });
    this.#cni = cni;
    this.#caches = caches;
    this.#namespaces = namespaces;
    this.#checkpoint = checkpoint;
    this.#pass = pass;
    metrics.followInformers(() => [
      ...caches.counters,
      { resource: 'namespaces', ...namespaces.informer.counters },
    ]);
  }

  /** Takes the CNI plugin's questions from now on; another agent that does is an error. @throws ListenError */
  async listen(): Promise<void> {
    await this.#socket.listen();
  }

  /** With a checkpoint the data path is made at once, API server or not. */
  start(): void {
    const { configs, networks, allocations, agents, apiServers } = this.#caches;
    for (const informer of [configs, networks, allocations, apiServers.informer]) {
      informer.onChange(() => {
        // until all are there nothing follows from one of them, and a run would put off the one that counts
        if (this.#caches.synced) this.#queue.add('data path');
      });
    }
    agents.onChange((_, object) => {
      if (object === undefined) this.#report.vanished();
      this.#queue.add('report');
    });
    this.#caches.start();
    this.#namespaces.informer.start();
    this.#engine = this.#docker?.watch((restarted) => {
      this.#queue.add('docker');
      // it puts rules of its own ahead of ours
      if (restarted) this.reconcile();
    });
    if (this.#pass.snapshot !== undefined) this.reconcile();
    this.#queue.add('host');
    this.#queue.add('report');
    for (const informer of [configs, networks, allocations, agents]) {
      void informer.synced().then(() => {
        this.#queue.add('report');
        if (this.#caches.synced) this.reconcile();
      });
    }
    void this.#namespaces.informer.synced().then(() => {
      this.#queue.add('report');
    });
  }

  /** Ends what runs; the kernel stays as it is. */
  async stop(): Promise<void> {
    this.#engine?.stop();
    await Promise.all([
      this.#socket.close(),
      this.#queue.stop(),
      this.#caches.stop(),
      this.#namespaces.informer.stop(),
    ]);
    this.#checkpoint.flush();
  }

  /** Compares kernel and files with what they should be, also where no object changed. */
  reconcile(scope: Scope = 'all'): void {
    if (this.#look !== 'all') this.#look = scope;
    this.#queue.add('data path');
  }

  /**
   * Whether this process has made the data path once, from the API or the checkpoint, without a failure that concerns the
   * node as a whole: an update of the DaemonSet goes no further otherwise.
   */
  get ready(): boolean {
    return this.#pass.passed;
  }

  /** The last look at links alone: what it took, and when it ended, by the monotonic clock. */
  get looked(): { ms: number; endedAt: number } {
    return this.#pass.looked;
  }

  /** This node's part of the state document; undefined before it is known. */
  get state(): AgentState | undefined {
    const { wanted, node } = this.#pass;
    const spec = wanted?.allocations.find((allocation) => allocation.node === node)?.spec;
    if (wanted === undefined || spec === undefined) return undefined;
    return renderAgent({ spec }, wanted.networks, wanted.config, this.#report.status);
  }

  get #containers(): ContainerHealth {
    const { complete, containers } = this.#pass;
    const others = [this.#socketProblem, this.#sweepProblem].filter((text) => text !== undefined);
    return {
      ...containers,
      complete,
      failures: [...containers.failures, ...others],
      chained: this.#cni.chained,
      namespaces: this.#namespaces.problem,
    };
  }

  async #runPass(): Promise<Result | undefined> {
    const look = this.#look;
    this.#look = undefined;
    if (look !== undefined) this.#report.remeasure();
    try {
      if (look !== undefined) await this.#repairSocket();
      return await this.#pass.run(look);
    } finally {
      this.#queue.add('docker');
      this.#queue.add('report');
      if (this.#pass.complete && this.#swept === 'not yet') {
        this.#swept = 'asked for';
        this.#queue.add('node condition');
        this.#queue.add('sweep');
      }
    }
  }

  async #runDocker(): Promise<undefined> {
    const { snapshot } = this.#pass;
    if (this.#docker === undefined || snapshot === undefined) return;
    // what is about to be made is known to an agent that starts without an engine, also if this one ends right now
    const record = () => {
      this.#pass.save();
      this.#checkpoint.flush();
    };
    const { made, error } = await this.#docker.reconcile(snapshot, { record, closed: this.#pass.closed });
    this.#queue.add('report');
    const { wanted } = this.#pass;
    // it puts rules of its own ahead of ours
    if (made) this.reconcile();
    else if (wanted !== undefined && !sameSnapshot(snapshot, wanted)) this.#queue.add('data path');
    if (error !== undefined) throw error;
  }

  /** Its own key: others' firewalls may be long to read, and nothing waits for that. */
  async #lookAtHost(): Promise<Result> {
    const requeueAfterMs = await this.#options.host.look(this.#pass.snapshot);
    this.#queue.add('report');
    return {
      requeueAfterMs: this.#pass.snapshot === undefined ? Math.min(requeueAfterMs, 5_000) : requeueAfterMs,
    };
  }

  #save(): Promise<undefined> {
    this.#pass.save();
    return Promise.resolve(undefined);
  }

  async #repairSocket(): Promise<void> {
    try {
      await this.#socket.repair();
      this.#socketProblem = undefined;
    } catch (error) {
      this.#socketProblem = reasonOf(error);
    }
  }

  /** @throws Error with what failed, for the queue to try again */
  async #sweep(): Promise<undefined> {
    if (this.#swept === 'done') return;
    const { cniPlugin, directories, run, log } = this.#options;
    const before = this.#sweepProblem;
    this.#sweepProblem = await sweep({ plugin: cniPlugin, directories, run: run ?? runProgram, log });
    if (this.#sweepProblem !== before) this.#queue.add('report');
    if (this.#sweepProblem !== undefined) throw new Error(this.#sweepProblem);
    this.#swept = 'done';
  }
}
