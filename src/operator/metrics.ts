import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Plan } from '../allocate/plan.ts';
import type { OverlayNetworkStatus } from '../api/types.ts';
import type { Caches } from './caches.ts';

/** The metrics that an operator serves at `/metrics`. */
export class OperatorMetrics {
  readonly registry = new Registry();
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
    help: 'Blocks of each subnet, by state.',
    labelNames: ['network', 'cidr', 'state'],
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

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Reads the informers' counters whenever the metrics are scraped. */
  watch(caches: Caches): void {
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
    new Counter({
      name: 'overlaynet_operator_relists_total',
      help: 'Lists since the start: more than one means that a watch was lost.',
      labelNames: ['resource'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { resource, counters } of caches.all)
          this.inc({ resource: resource.plural }, counters.relists);
      },
    });
  }

  planned(ms: number): void {
    this.#plans.observe(ms / 1000);
  }

  wrote(kind: string, result: string): void {
    this.#writes.inc({ kind, result });
  }

  leading(is: boolean): void {
    this.#leader.set(is ? 1 : 0);
  }

  alarms({ departures, restore }: Plan): void {
    this.#departed.set(departures.disbelieved ? departures.absent.size : 0);
    this.#restored.set(restore.active ? 1 : 0);
  }

  /** Replaces what is shown of all networks: removed ones are forgotten. */
  networks(statuses: ReadonlyMap<string, OverlayNetworkStatus>): void {
    this.#blocks.reset();
    this.#warnings.reset();
    for (const [network, { capacity = [], conditions = [] }] of statuses) {
      for (const { cidr, blocks: _, ...states } of capacity) {
        for (const [state, count] of Object.entries(states))
          this.#blocks.set({ network, cidr, state }, count);
      }
      for (const { type, status } of conditions) {
        if (warnings.has(type)) this.#warnings.set({ network, condition: type }, status === 'True' ? 1 : 0);
      }
    }
  }
}

/** Conditions of networks of which True is bad news. */
const warnings = new Set(['Deleting', 'Exhausting', 'TightBlocks']);
