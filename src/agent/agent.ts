import { renderAgent, type AgentState } from '../api/state.ts';
import type { Scope } from '../dataplane/state.ts';
import { KeyedQueue, type Result } from '../kube/queue.ts';
import type { ContainerHealth } from '../report/findings.ts';
import { sameSnapshot } from './checkpoint.ts';
import { assemble, type AgentOptions } from './parts.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { tunnelName } from '../net/name.ts';
import { messageOf } from '../error.ts';

/** Kinds of work, each of which runs by itself. */
type Work = 'data path' | 'docker' | 'report' | 'checkpoint' | 'sweep' | 'host' | 'use' | 'node condition';

/**
 * One node's agent. Kinds of work, each by a key of its own, so that one that fails (no right to write, API server
 * away) leaves the others going: the data path, Docker's networks, the report of both, the checkpoint, and once at the
 * start the sweep.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: ReturnType<typeof assemble>;
  readonly #queue: KeyedQueue<Work>;
  #engine: { stop: () => void } | undefined;
  /** What the next pass looks at, whatever the objects say. */
  #look: Scope | undefined = 'all';
  #socketProblem: string | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    const work = this.#work;
    this.#queue = new KeyedQueue<Work>({
      reconcile: (key) => work[key](),
      concurrency: Object.keys(work).length,
      minIntervalMs: 100,
      backoff: { baseMs: 500, maxMs: 30_000 },
      log: options.log,
    });
    this.#parts = assemble(options, {
      add: (key) => {
        this.#queue.add(key);
      },
      expect: (soonMs) => {
        this.#queue.addAfter('use', soonMs);
      },
      containers: () => this.#containers,
    });
  }

  get #work(): Record<Work, () => Promise<Result | undefined>> {
    return {
      'data path': () => this.#runPass(),
      docker: () => this.#runDocker(),
      report: () => this.#parts.report.run(),
      checkpoint: () => this.#save(),
      sweep: () => this.#sweep(),
      host: () => this.#lookAtHost(),
      use: () => this.#lookAtUse(),
      'node condition': async () => ({ requeueAfterMs: await this.#parts.available.say() }),
    };
  }

  /** Takes the CNI plugin's questions from now on; another agent that does is an error. @throws ListenError */
  async listen(): Promise<void> {
    await this.#parts.socket.listen();
  }

  /** With a checkpoint the data path is made at once, API server or not. */
  start(): void {
    const { configs, networks, allocations, agents, apiServers } = this.#parts.caches;
    for (const informer of [configs, networks, allocations, apiServers.informer]) {
      informer.onChange(() => {
        // until all are there nothing follows from one of them, and a run would put off the one that counts
        if (this.#parts.caches.synced) this.#queue.add('data path');
      });
    }
    agents.onChange((_, object) => {
      if (object === undefined) this.#parts.report.vanished();
      this.#queue.add('report');
    });
    this.#parts.caches.start();
    this.#parts.namespaces.informer.start();
    this.#engine = this.#options.docker?.watch((restarted) => {
      this.#queue.add('docker');
      // it puts rules of its own ahead of ours
      if (restarted) this.reconcile();
    });
    if (this.#parts.pass.snapshot !== undefined) this.reconcile();
    this.#queue.add('host');
    this.#queue.add('report');
    for (const informer of [configs, networks, allocations, agents]) {
      void informer.synced().then(() => {
        this.#queue.add('report');
        this.#queue.add('use');
        if (this.#parts.caches.synced) this.reconcile();
      });
    }
    void this.#parts.namespaces.informer.synced().then(() => {
      this.#queue.add('report');
    });
  }

  /** Ends what runs; the kernel stays as it is. */
  async stop(): Promise<void> {
    this.#engine?.stop();
    await Promise.all([
      this.#parts.socket.close(),
      this.#queue.stop(),
      this.#parts.caches.stop(),
      this.#parts.namespaces.informer.stop(),
    ]);
    this.#parts.checkpoint.flush();
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
    return this.#parts.pass.passed;
  }

  /** The last look at links alone: what it took, and when it ended, by the monotonic clock. */
  get looked(): { ms: number; endedAt: number } {
    return this.#parts.pass.looked;
  }

  /** What the last pass worked from, or the checkpoint. */
  get snapshot(): Snapshot | undefined {
    return this.#parts.pass.snapshot;
  }

  /** The last complete comparison: the same. */
  get compared(): { ms: number; endedAt: number } {
    return this.#parts.pass.compared;
  }

  /** This node's part of the state document; undefined before it is known. */
  get state(): AgentState | undefined {
    const { wanted } = this.#parts.pass;
    const spec = wanted && ownAllocation(wanted);
    if (wanted === undefined || spec === undefined) return undefined;
    return renderAgent({ spec }, wanted.networks, wanted.config, this.#parts.report.status);
  }

  /** Name of the VXLAN link; undefined before it is known. */
  get tunnel(): string | undefined {
    const { snapshot } = this.#parts.pass;
    return snapshot && tunnelName(snapshot.config.vni);
  }

  get #containers(): ContainerHealth {
    const { complete, containers } = this.#parts.pass;
    const others = [this.#socketProblem, this.#parts.sweep.problem].filter((text) => text !== undefined);
    return {
      ...containers,
      complete,
      failures: [...containers.failures, ...others],
      chained: this.#parts.cni.chained,
      namespaces: this.#parts.namespaces.problem,
    };
  }

  async #runPass(): Promise<Result | undefined> {
    const look = this.#look;
    this.#look = undefined;
    if (look !== undefined) this.#parts.report.remeasure();
    try {
      if (look !== undefined) await this.#repairSocket();
      return await this.#parts.pass.run(look);
    } finally {
      this.#queue.add('docker');
      this.#queue.add('report');
      if (this.#parts.pass.complete && this.#parts.sweep.claim()) {
        this.#queue.add('node condition');
        this.#queue.add('sweep');
      }
      this.#queue.add('use');
    }
  }

  async #runDocker(): Promise<undefined> {
    const { docker } = this.#options;
    const { pass, record, knowledge } = this.#parts;
    const { snapshot } = pass;
    if (docker === undefined || snapshot === undefined) return;
    // what is about to be made is known to an agent that starts without an engine, also if this one ends right now
    const { made, error } = await docker.reconcile(snapshot, { record, closed: knowledge.closed });
    this.#queue.add('report');
    this.#queue.add('use');
    const { wanted } = pass;
    // it puts rules of its own ahead of ours
    if (made) this.reconcile();
    else if (wanted !== undefined && !sameSnapshot(snapshot, wanted)) this.#queue.add('data path');
    if (error !== undefined) throw error;
  }

  async #lookAtUse(): Promise<Result | undefined> {
    const looked = await this.#parts.use.look();
    if (looked === undefined) return undefined;
    if (looked.news) this.#queue.add('report');
    return { requeueAfterMs: looked.againMs };
  }

  /** Its own key: others' firewalls may be long to read, and nothing waits for that. */
  async #lookAtHost(): Promise<Result> {
    const requeueAfterMs = await this.#options.host.look(this.#parts.pass.snapshot);
    this.#queue.add('report');
    return {
      requeueAfterMs:
        this.#parts.pass.snapshot === undefined ? Math.min(requeueAfterMs, 5_000) : requeueAfterMs,
    };
  }

  #save(): Promise<undefined> {
    this.#parts.pass.save();
    return Promise.resolve(undefined);
  }

  async #repairSocket(): Promise<void> {
    try {
      await this.#parts.socket.repair();
      this.#socketProblem = undefined;
    } catch (error) {
      this.#socketProblem = messageOf(error);
    }
  }

  /** @throws Error with what failed, for the queue to try again */
  async #sweep(): Promise<undefined> {
    const { sweep } = this.#parts;
    const before = sweep.problem;
    try {
      await sweep.run();
    } finally {
      if (sweep.problem !== before) this.#queue.add('report');
    }
  }
}
