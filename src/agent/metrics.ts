import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { NodeUsage } from '../api/usage.ts';
import type { Done } from '../containers/done.ts';
import type { Failure } from '../dataplane/state.ts';
import { informerMetrics, requestMetrics, type InformerCounters } from '../kube/metrics.ts';
import type { Answered } from '../kube/transport.ts';
import type { PassDetail } from '../linux/datapath.ts';
import { probeMetrics } from '../probe/metrics.ts';
import { followNode } from '../inspect/nodemetrics.ts';

const prefix = 'overlaynet_agent_';

/** The metrics that an agent serves at `/metrics`. */
export class Metrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  readonly #duration = new Histogram({
    name: `${prefix}reconcile_duration_seconds`,
    help: 'Time of one pass over the data path.',
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: this.#registers,
  });
  readonly #changes = new Counter({
    name: `${prefix}changes_total`,
    help: 'Kernel entries that were added, replaced or removed, by kind of object.',
    labelNames: ['kind'],
    registers: this.#registers,
  });
  readonly #repairs = new Counter({
    name: `${prefix}repairs_total`,
    help: 'Of the changes, those of entries that were right before: another program changed them.',
    labelNames: ['kind'],
    registers: this.#registers,
  });
  readonly #entries = new Gauge({
    name: `${prefix}entries`,
    help: 'Entries that the kernel should hold, by kind of object; of sets the elements, of iptables the rules.',
    labelNames: ['kind'],
    registers: this.#registers,
  });
  readonly #phases = new Histogram({
    name: `${prefix}pass_phase_seconds`,
    help: 'Time of a pass in the kernel, by phase: read, write.',
    labelNames: ['phase'],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: this.#registers,
  });
  readonly #running = new Gauge({
    name: `${prefix}containers`,
    help: 'Containers on each network, by whose they are (CNI, Docker).',
    labelNames: ['network', 'containerizer'],
    registers: this.#registers,
  });
  readonly #docker = new Counter({
    name: `${prefix}docker_operations_total`,
    help: 'Networks that the Docker engine was asked to create or remove, by operation and result (done, error).',
    labelNames: ['operation', 'result'],
    registers: this.#registers,
  });
  readonly #failures = new Counter({
    name: `${prefix}failures_total`,
    help: 'Failures of a pass, by network; those that concern all networks have the empty name.',
    labelNames: ['network'],
    registers: this.#registers,
  });
  readonly #lastSuccess = new Gauge({
    name: `${prefix}last_success_timestamp_seconds`,
    help: 'When a pass last ended without a failure.',
    registers: this.#registers,
  });
  readonly #peers = new Gauge({
    name: `${prefix}peers`,
    help: 'Other nodes that this node has a tunnel to.',
    registers: this.#registers,
  });
  readonly #held = new Gauge({
    name: `${prefix}held`,
    help: 'What the data path keeps although no object says so any more, by kind: peers, networks, blocks of this node.',
    labelNames: ['kind'],
    registers: this.#registers,
  });
  readonly #addresses = new Gauge({
    name: `${prefix}addresses`,
    help: "Addresses of this node's blocks, by network, part, whose it is (CNI, Docker) and state (used, free).",
    labelNames: ['network', 'cidr', 'containerizer', 'state'],
    registers: this.#registers,
  });
  readonly #checkpointFailed = new Gauge({
    name: `${prefix}checkpoint_failed`,
    help: '1 while the checkpoint cannot be written.',
    registers: this.#registers,
  });

  readonly #containers = new Counter({
    name: `${prefix}container_questions_total`,
    help: 'Questions of the CNI plugin for the networks of a container, by code of the refusal; 0: answered.',
    labelNames: ['code'],
    registers: this.#registers,
  });

  readonly #operations = new Counter({
    name: `${prefix}cni_operations_total`,
    help: 'Commands of the CNI plugin that ended, by command and code of the error; 0: done.',
    labelNames: ['command', 'code'],
    registers: this.#registers,
  });
  readonly #operationTime = new Histogram({
    name: `${prefix}cni_operation_duration_seconds`,
    help: 'Time of a command of the CNI plugin.',
    labelNames: ['command'],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: this.#registers,
  });
  /** Counts a request to the API server. */
  readonly requested: (request: Answered) => void;
  /** Counts probes of other nodes. */
  readonly probes: ReturnType<typeof probeMetrics>;
  #stop: () => void = () => undefined;

  /** @param version of this build */
  constructor(version: string) {
    this.requested = requestMetrics(this.registry, prefix);
    this.probes = probeMetrics(this.registry, prefix);
    this.#containers.inc({ code: '0' }, 0);
    new Gauge({
      name: 'overlaynet_build_info',
      help: 'Always 1; the labels tell the build.',
      labelNames: ['version', 'node'],
      registers: this.#registers,
    }).set({ version, node: process.version }, 1);
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory of this process.',
      registers: this.#registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
  }

  /** Records one pass over the data path. */
  passed(pass: {
    seconds: number;
    failures: readonly Failure[];
    peers: number;
    detail: PassDetail | undefined;
    /** Whether the pass repaired drift: the objects are the same as before, and the kernel was right then. */
    repair: boolean;
  }): void {
    this.#duration.observe(pass.seconds);
    this.#count(pass.detail, pass.repair);
    for (const { network } of pass.failures) this.#failures.inc({ network: network ?? '' });
    if (pass.failures.length === 0) this.#lastSuccess.setToCurrentTime();
    this.#peers.set(pass.peers);
  }

  #count(detail: PassDetail | undefined, repair: boolean): void {
    if (detail === undefined) return;
    for (const [kind, count] of Object.entries(detail.changed)) {
      this.#changes.inc({ kind }, count);
      this.#repairs.inc({ kind }, repair ? count : 0);
    }
    for (const [kind, count] of Object.entries(detail.entries)) this.#entries.set({ kind }, count);
    for (const [phase, ms] of Object.entries(detail.phases)) this.#phases.observe({ phase }, ms / 1_000);
  }

  /** Reads the kernel's and the server's state at each scrape. `stop` ends it. */
  followNode(sources: Parameters<typeof followNode>[2]): void {
    this.#stop = followNode(this.registry, prefix, sources);
  }

  stop(): void {
    this.#stop();
  }

  /** Counts a request to the Docker engine to create or remove a network. */
  docker(operation: string, done: boolean): void {
    this.#docker.inc({ operation, result: done ? 'done' : 'error' });
  }

  /** Records the containers by network, and forgets networks that this node no longer has. */
  contains(counts: ReadonlyMap<string, Readonly<Record<'CNI' | 'Docker', number>>>): void {
    this.#running.reset();
    for (const [network, by] of counts) {
      for (const [containerizer, count] of Object.entries(by))
        this.#running.set({ network, containerizer }, count);
    }
  }

  /** @param read called at each scrape */
  followInformers(read: () => InformerCounters[]): void {
    informerMetrics(this.registry, prefix, read);
  }

  /** Counts a command of the CNI plugin that has ended. */
  done({ command, code, seconds }: Done): void {
    this.#operations.inc({ command, code: String(code) });
    this.#operationTime.observe({ command }, seconds);
  }

  /** @param code of the refusal, 0 for none */
  asked(code: number): void {
    this.#containers.inc({ code: String(code) });
  }

  /** Records what stays in the data path although objects do not show it. */
  holds(held: Record<'peers' | 'networks' | 'blocks', readonly string[]>): void {
    for (const [kind, names] of Object.entries(held)) this.#held.set({ kind }, names.length);
  }

  /** Records how full this node's blocks are, and forgets blocks that it no longer has. */
  used(usage: NodeUsage): void {
    this.#addresses.reset();
    for (const [network, parts] of usage) {
      for (const { cidr, containerizer, used, free } of parts) {
        for (const [state, count] of Object.entries({ used, free }))
          this.#addresses.set({ network, cidr, containerizer, state }, count);
      }
    }
  }

  checkpoint(failed: boolean): void {
    this.#checkpointFailed.set(failed ? 1 : 0);
  }

  /** All metrics in Prometheus' text format. */
  async render(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }
}
