import { renderAgent, type AgentState } from '../api/state.ts';
import type { Client } from '../kube/client.ts';
import { KeyedQueue, type Result } from '../kube/queue.ts';
import type { Log } from '../log.ts';
import { Caches } from './caches.ts';
import { CheckpointFile } from './checkpoint.ts';
import { CNIFiles } from './cni.ts';
import type { Directories } from './flags.ts';
import type { Metrics } from './metrics.ts';
import { Pass, type Kernel } from './pass.ts';
import { SeenVersion } from './registration.ts';
import { Report } from './report.ts';

export interface AgentOptions {
  node: string;
  addresses: string[];
  directories: Directories;
  /** Where host-local keeps its leases; by default its own default. */
  leaseDir?: string;
  client: Client;
  kernel: Kernel;
  /** Bytes, of the link that carries the node's address. */
  uplinkMTU: () => Promise<number>;
  metrics: Metrics;
  log: Log;
}

/**
 * One node's agent. Two kinds of work, each by a key of its own, so that one that fails (no right to write, API server
 * away) leaves the other going: the data path, and the report of it.
 */
export class Agent {
  readonly #caches: Caches;
  readonly #checkpoint: CheckpointFile;
  readonly #pass: Pass;
  readonly #report: Report;
  readonly #queue: KeyedQueue;
  /** The next pass looks at kernel and files, whatever the objects say. */
  #look = true;

  constructor(options: AgentOptions) {
    const { node, addresses, directories, leaseDir, client, kernel, uplinkMTU, metrics, log } = options;
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
      report: () => this.#report.run(),
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
      ...(leaseDir === undefined ? {} : { leaseDir }),
    });
    const pass = new Pass(node, { caches, kernel, cni, checkpoint, last: last?.snapshot, seen, metrics });
    this.#report = new Report({ node, addresses, client, uplinkMTU, caches, pass, checkpoint, seen, log });
    this.#caches = caches;
    this.#checkpoint = checkpoint;
    this.#pass = pass;
    metrics.followInformers(() => caches.counters);
  }

  /** With a checkpoint the data path is made at once, API server or not. */
  start(): void {
    const { configs, networks, allocations, agents } = this.#caches;
    for (const informer of [configs, networks, allocations]) {
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
    if (this.#pass.snapshot !== undefined) this.reconcile();
    this.#queue.add('report');
    for (const informer of [configs, networks, allocations, agents]) {
      void informer.synced().then(() => {
        this.#queue.add('report');
        if (this.#caches.synced) this.reconcile();
      });
    }
  }

  /** Ends what runs; the kernel stays as it is. */
  async stop(): Promise<void> {
    await Promise.all([this.#queue.stop(), this.#caches.stop()]);
    this.#checkpoint.flush();
  }

  /** Compares kernel and files with what they should be, also where no object changed. */
  reconcile(): void {
    this.#look = true;
    this.#queue.add('data path');
  }

  /** Whether the data path was made once, from the API or the checkpoint. */
  get ready(): boolean {
    return this.#pass.applied !== undefined;
  }

  /** How long the last pass over kernel and files took. */
  get passMs(): number {
    return this.#pass.durationMs;
  }

  /** This node's part of the state document; undefined before it is known. */
  get state(): AgentState | undefined {
    const { wanted, node } = this.#pass;
    const spec = wanted?.allocations.find((allocation) => allocation.node === node)?.spec;
    if (wanted === undefined || spec === undefined) return undefined;
    return renderAgent({ spec }, wanted.networks, wanted.config, this.#report.status);
  }

  async #runPass(): Promise<undefined> {
    const look = this.#look;
    this.#look = false;
    if (look) this.#report.remeasure();
    try {
      await this.#pass.run(look);
    } finally {
      this.#queue.add('report');
    }
  }
}
