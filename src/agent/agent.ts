import { renderAgent, type AgentState } from '../api/state.ts';
import type { ProbesConfig } from '../api/types.ts';
import type { Scope } from '../dataplane/state.ts';
import { KeyedQueue, type Result } from '../kube/queue.ts';
import type { ContainerHealth } from '../report/findings.ts';
import { sameSnapshot } from './checkpoint.ts';
import { assemble, type AgentOptions } from './parts.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import type { LastPass } from '../rows/row.ts';
import { tunnelName } from '../net/name.ts';
import { messageOf } from '../error.ts';

/** Kinds of work. Each runs by itself. */
type Work = 'data path' | 'docker' | 'report' | 'checkpoint' | 'sweep' | 'host' | 'use' | 'node condition';

/**
 * The agent of one node. Each kind of work has its own key in the queue, so a failing one does not hold up the others:
 * the data path, Docker's networks, the report, the checkpoint, and one sweep at the start.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: ReturnType<typeof assemble>;
  readonly #queue: KeyedQueue<Work>;
  #engine: { stop: () => void } | undefined;
  /** What the next pass must read from the kernel, even if no object changed. */
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
      'node condition': async () => ({ requeueAfterMs: await this.#parts.available.clear() }),
    };
  }

  /** Starts to answer the CNI plugin. It is an error if another agent does so already. @throws ListenError */
  async listen(): Promise<void> {
    await this.#parts.socket.listen();
  }

  /** Starts to work. With a checkpoint, the data path is made at once, even without the API server. */
  start(): void {
    const { configs, networks, allocations, agents, apiServers } = this.#parts.caches;
    for (const informer of [configs, networks, allocations, apiServers.informer]) {
      informer.onChange(() => {
        // one kind says nothing before all are listed, and a run now would delay the one that matters
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
      // Docker puts its own rules before ours
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

  /** Stops all work. The kernel stays as it is. */
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

  /** Compares kernel and files with what they should be, even if no object changed. */
  reconcile(scope: Scope = 'all'): void {
    if (this.#look !== 'all') this.#look = scope;
    this.#queue.add('data path');
  }

  /**
   * Whether this process has made the data path once, from the API or the checkpoint, without a failure that concerns
   * the whole node. Until then an update of the DaemonSet does not continue.
   */
  get ready(): boolean {
    return this.#parts.pass.passed;
  }

  /** The last look at links only: its processor time, and when it ended, by the monotonic clock. */
  get looked(): { ms: number; endedAt: number } {
    return this.#parts.pass.looked;
  }

  /** When the last pass of this process ended, and what failed in it; undefined before the first. */
  get lastPass(): LastPass | undefined {
    return this.#parts.pass.last;
  }

  /** `spec.probes` of OverlayConfig, as far as it is known. */
  get probes(): ProbesConfig | undefined {
    return this.#parts.caches.configs.get('default')?.spec.probes;
  }

  /** What probes came to is another. */
  probed(): void {
    this.#queue.add('report');
  }

  /** Beginnings and ends of passes that had something to change: odd while one works. */
  get steps(): number {
    return this.#parts.pass.steps;
  }

  /** The snapshot of the last pass, or of the checkpoint. */
  get snapshot(): Snapshot | undefined {
    return this.#parts.pass.snapshot;
  }

  /** The same for the last complete comparison. */
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
    // record the networks first: if this agent ends now, the next one knows them even without an engine
    const { made, error } = await docker.reconcile(snapshot, { record, closed: knowledge.closed });
    this.#queue.add('report');
    this.#queue.add('use');
    const { wanted } = pass;
    // Docker puts its own rules before ours
    if (made) this.reconcile();
    else if (wanted !== undefined && !sameSnapshot(snapshot, wanted)) this.#queue.add('data path');
    if (error !== undefined) throw error;
  }

  async #lookAtUse(): Promise<Result | undefined> {
    const looked = await this.#parts.use.look();
    if (looked === undefined) return undefined;
    if (looked.changed) this.#queue.add('report');
    return { requeueAfterMs: looked.againMs };
  }

  /** Looks at the rest of the host. It has its own key, because other programs' firewalls may take long to read. */
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
