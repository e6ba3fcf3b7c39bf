import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Plan } from '../allocate/plan.ts';
import type { OverlayNetworkStatus } from '../api/types.ts';
import { familyOf } from '../net/address.ts';
import { informerMetrics, queueMetrics, requestMetrics } from '../kube/metrics.ts';
import type { Answered } from '../kube/transport.ts';
import { agentEntries } from '../rows/agents.ts';
import { findingEntries } from '../rows/findings.ts';
import { networkEntries } from '../rows/networks.ts';
import { certificateMetric } from '../serve/metrics.ts';
import type { Caches } from './caches.ts';
import { worldOf } from './world.ts';

const prefix = 'overlaynet_operator_';
const agentStates = ['Ready', 'Configuring', 'Failed', 'Degraded', 'Waiting', 'Refused', 'Missing', 'Gone'];
const networkStates = ['Ready', 'Waiting', 'NotReady', 'Refused', 'Disabled'];

/** The metrics that an operator serves at `/metrics`. */
export class OperatorMetrics {
  readonly registry = new Registry();
  #look: () => void = () => undefined;
  readonly #plans = new Histogram({
    name: 'overlaynet_operator_plan_seconds',
    help: 'Time to plan all allocations from the caches.',
    buckets: [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2],
    registers: [this.registry],
  });
  readonly #writes = new Counter({
    name: 'overlaynet_operator_writes_total',
    help: 'Writes of the allocation protocol, by kind and result (done, conflict, error).',
    labelNames: ['kind', 'result'],
    registers: [this.registry],
  });
  readonly #blocks = new Gauge({
    name: 'overlaynet_operator_blocks',
    help: 'Blocks of each subnet, by state; of one that drains, what would be free is closed, and free is 0.',
    labelNames: ['network', 'family', 'cidr', 'state'],
    registers: [this.registry],
  });
  readonly #warnings = new Gauge({
    name: 'overlaynet_operator_network_warnings',
    help: '1 while a network has the condition; absent where it was never raised.',
    labelNames: ['network', 'condition'],
    registers: [this.registry],
  });
  readonly #leader = new Gauge({
    name: 'overlaynet_operator_leader',
    help: '1 while this operator holds the Lease.',
    registers: [this.registry],
  });

  readonly #departed = new Gauge({
    name: 'overlaynet_operator_disbelieved_departures',
    help: 'Nodes that are gone and keep what they held: too many went at once (condition Degraded).',
    registers: [this.registry],
  });
  readonly #restored = new Gauge({
    name: 'overlaynet_operator_restored',
    help: "1 while the cluster's data is taken to come from a backup and nothing new is given out (condition Restored).",
    registers: [this.registry],
  });

  readonly #leaderChanges = new Counter({
    name: `${prefix}leader_changes_total`,
    help: 'Times that this operator began to lead.',
    registers: [this.registry],
  });
  readonly #joins = new Histogram({
    name: `${prefix}registration_to_allocation_seconds`,
    help: 'Time from when the registration of a new agent is seen to when its tunnel endpoint is allocated.',
    buckets: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60],
    registers: [this.registry],
  });
  readonly #networks = new Gauge({
    name: `${prefix}networks`,
    help: 'Networks, by state.',
    labelNames: ['state'],
    registers: [this.registry],
  });
  readonly #agents = new Gauge({
    name: `${prefix}agents`,
    help: 'Agents, and Nodes that should have one, by state.',
    labelNames: ['state'],
    registers: [this.registry],
  });
  readonly #findings = new Gauge({
    name: `${prefix}findings`,
    help: 'Conditions that are not as they should be, by weight, type and reason.',
    labelNames: ['weight', 'type', 'reason'],
    registers: [this.registry],
  });
  /** Counts a request to the API server. */
  readonly requested: (request: Answered) => void;

  /** @param version of this build */
  constructor(version = '') {
    collectDefaultMetrics({ register: this.registry });
    // gauges that end in _total, against Prometheus' conventions; the same numbers are there by type
    for (const what of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`nodejs_active_${what}_total`);
    this.requested = requestMetrics(this.registry, prefix);
    new Gauge({
      name: 'overlaynet_build_info',
      help: 'Always 1; the labels tell the build.',
      labelNames: ['version', 'node'],
      registers: [this.registry],
    }).set({ version, node: process.version }, 1);
  }

  /** Reports the lengths of the queues, and when the server's certificate expires, at each scrape. */
  serve(queues: Parameters<typeof queueMetrics>[2], certificate: () => string | undefined): void {
    queueMetrics(this.registry, prefix, queues);
    certificateMetric(this.registry, prefix, certificate);
  }

  /** Reads the caches and the informers' counters at each scrape. */
  watch(caches: Caches): void {
    this.#look = () => {
      this.#count(caches);
    };
    new Gauge({
      name: 'overlaynet_operator_cached_objects',
      help: 'Objects in the watch cache.',
      labelNames: ['resource'],
      registers: [this.registry],
      collect() {
        for (const informer of caches.all)
          this.set({ resource: informer.resource.plural }, informer.list().length);
      },
    });
    informerMetrics(this.registry, prefix, () =>
      caches.all.map(({ resource, counters }) => ({ resource: resource.plural, ...counters })),
    );
  }

  /** All metrics in Prometheus' text format. */
  async render(): Promise<{ contentType: string; body: string }> {
    this.#look();
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  /** Counts networks, agents and findings. It counts nothing while a cache is not complete. */
  #count(caches: Caches): void {
    for (const gauge of [this.#networks, this.#agents, this.#findings]) gauge.reset();
    if (!caches.synced) return;
    const world = worldOf(caches);
    for (const state of networkStates) this.#networks.set({ state }, 0);
    for (const { row } of networkEntries(world)) this.#networks.inc({ state: row.state });
    for (const state of agentStates) this.#agents.set({ state }, 0);
    for (const { row } of agentEntries(world)) this.#agents.inc({ state: row.state });
    for (const { row } of findingEntries(world))
      this.#findings.inc({ weight: row.weight, type: row.type, reason: row.reason });
  }

  /** Records that a new agent has its tunnel endpoint. */
  joined(seconds: number): void {
    this.#joins.observe(seconds);
  }

  planned(ms: number): void {
    this.#plans.observe(ms / 1000);
  }

  wrote(kind: string, result: string): void {
    this.#writes.inc({ kind, result });
  }

  /** Removes the leader's own metrics at the end of its term: the next leader has them. */
  leading(is: boolean): void {
    this.#leader.set(is ? 1 : 0);
    if (is) {
      this.#leaderChanges.inc();
      return;
    }
    this.#blocks.reset();
    this.#warnings.reset();
    this.#departed.set(0);
    this.#restored.set(0);
  }

  alarms({ departures, restore }: Plan): void {
    this.#departed.set(departures.disbelieved ? departures.absent.size : 0);
    this.#restored.set(restore.active ? 1 : 0);
  }

  /** Replaces the metrics of all networks, and forgets removed networks. */
  networks(statuses: ReadonlyMap<string, OverlayNetworkStatus>): void {
    this.#blocks.reset();
    this.#warnings.reset();
    for (const [network, { capacity = [], conditions = [], draining = [] }] of statuses) {
      const closed = new Set(draining.map(({ cidr }) => cidr));
      for (const { cidr, blocks: _, ...states } of capacity) {
        const subnet = { network, family: `IPv${familyOf(cidr)}`, cidr };
        for (const [state, count] of Object.entries(states)) this.#blocks.set({ ...subnet, state }, count);
        if (!closed.has(cidr)) continue;
        this.#blocks.set({ ...subnet, state: 'closed' }, states.free);
        this.#blocks.set({ ...subnet, state: 'free' }, 0);
      }
      for (const { type, status } of conditions) {
        if (warnings.has(type)) this.#warnings.set({ network, condition: type }, status === 'True' ? 1 : 0);
      }
    }
  }
}

/** Conditions of networks that warn when they are True. */
const warnings = new Set(['Deleting', 'Exhausting', 'TightBlocks']);
