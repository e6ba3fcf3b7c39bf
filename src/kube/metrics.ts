import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { KeyedQueue } from './queue.ts';
import type { Answered } from './transport.ts';

/** Verbs that requests are counted by; whatever else a message begins with is `other`. */
const verbs = new Set(['get', 'list', 'watch', 'create', 'update', 'patch', 'apply', 'delete']);

/**
 * Counts requests to the API server in a registry.
 * @param prefix of the names: `overlaynet_operator_`
 * @returns to be called for each request
 */
export function requestMetrics(registry: Registry, prefix: string): (request: Answered) => void {
  const requests = new Counter({
    name: `${prefix}api_requests_total`,
    help: 'Requests to the API server, by verb and HTTP status; status 0: no answer.',
    labelNames: ['verb', 'code'],
    registers: [registry],
  });
  const latency = new Histogram({
    name: `${prefix}api_request_duration_seconds`,
    help: 'Time until the answer of the API server begins, by verb.',
    labelNames: ['verb'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
  return ({ verb: said, code, seconds }) => {
    const verb = verbs.has(said) ? said : 'other';
    requests.inc({ verb, code: String(code) });
    latency.observe({ verb }, seconds);
  };
}

/**
 * Shows how much work waits, by queue.
 * @param prefix of the names: `overlaynet_operator_`
 */
export function queueMetrics(
  registry: Registry,
  prefix: string,
  queues: Readonly<Record<string, Pick<KeyedQueue<string>, 'load'>>>,
): void {
  const labelNames = ['queue'];
  const registers = [registry];
  const each = (take: (queue: string, load: KeyedQueue<string>['load']) => void) => {
    for (const [queue, { load }] of Object.entries(queues)) take(queue, load);
  };
  new Gauge({
    name: `${prefix}queue_depth`,
    help: 'Kinds of work that wait for their turn.',
    labelNames,
    registers,
    collect() {
      each((queue, { depth }) => {
        this.set({ queue }, depth);
      });
    },
  });
  new Gauge({
    name: `${prefix}queue_oldest_seconds`,
    help: 'How long the oldest work in the queue has waited; 0: none waits.',
    labelNames,
    registers,
    collect() {
      each((queue, { oldestMs }) => {
        this.set({ queue }, oldestMs / 1_000);
      });
    },
  });
  new Counter({
    name: `${prefix}queue_retries_total`,
    help: 'Runs that failed and are tried again.',
    labelNames,
    registers,
    collect() {
      this.reset();
      each((queue, { retries }) => {
        this.inc({ queue }, retries);
      });
    },
  });
}

/** What an informer of one kind has done since the start. */
export interface InformerCounters {
  /** `overlaynetworks` */
  resource: string;
  relists: number;
  watches: number;
  events: number;
  failures: number;
  restores: number;
}

const informerHelp: Readonly<Record<Exclude<keyof InformerCounters, 'resource'>, string>> = {
  relists: 'Complete lists fetched; more than one means that a watch was lost.',
  watches: 'Watches opened.',
  events: 'Watch events received.',
  failures: 'Lists and watches that failed.',
  restores: 'Times that the API server showed data older than what was seen.',
};

/**
 * Shows what the informers do, by resource.
 * @param prefix of the names: `overlaynet_operator_`
 * @param read called at each scrape
 */
export function informerMetrics(
  registry: Registry,
  prefix: string,
  read: () => readonly InformerCounters[],
): void {
  for (const [key, help] of Object.entries(informerHelp) as [keyof typeof informerHelp, string][]) {
    new Counter({
      name: `${prefix}informer_${key}_total`,
      help,
      labelNames: ['resource'],
      registers: [registry],
      collect() {
        this.reset();
        for (const counters of read()) this.inc({ resource: counters.resource }, counters[key]);
      },
    });
  }
}
