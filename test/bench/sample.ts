import type { Bed } from './bed.ts';

/** Kinds that an operator reads. */
const kinds = [
  'nodes',
  'overlayagents',
  'overlaynetworks',
  'overlayconfigs',
  'agentallocations',
  'allocationledgers',
];

/** The counters of operator and API server at one moment. Two samples show what happened in between. */
export class Sample {
  /** AgentAllocation events that the bench's own watch has received, as every agent's watch does. */
  readonly events: number;
  readonly #operator: string;
  readonly #requests: ReadonlyMap<string, number>;

  private constructor(events: number, operator: string, requests: ReadonlyMap<string, number>) {
    this.events = events;
    this.#operator = operator;
    this.#requests = requests;
  }

  static async take(bed: Bed, port: number): Promise<Sample> {
    const { events } = bed.allocations.counters;
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    if (!answer.ok) throw new Error(`the operator's metrics: ${answer.status}`);
    return new Sample(events, await answer.text(), await bed.requests(['GET', 'LIST']));
  }

  /** Plans since `before`; p99 is the bound of the histogram's bucket. */
  plans(before: Sample): { count: number; meanMs: number; p99Ms: number } {
    const name = 'overlaynet_operator_plan_seconds';
    const since = (line: RegExp) => this.#value(line) - before.#value(line);
    const count = since(new RegExp(`^${name}_count (\\S+)$`, 'm'));
    const sum = since(new RegExp(`^${name}_sum (\\S+)$`, 'm'));
    const bounds = [...this.#operator.matchAll(new RegExp(`^${name}_bucket\\{le="([0-9.]+)"\\}`, 'gm'))].map(
      ([, bound = '']) => bound,
    );
    const p99 = bounds.find(
      (bound) => since(new RegExp(`^${name}_bucket\\{le="${bound}"\\} (\\S+)$`, 'm')) >= 0.99 * count,
    );
    return { count, meanMs: (1000 * sum) / count, p99Ms: 1000 * Number(p99 ?? Infinity) };
  }

  /** Complete lists of all kinds since `before`. A list of one object, from which a watch continues, does not count. */
  lists(before: Sample): number {
    const count = (sample: Sample) =>
      [...sample.#operator.matchAll(/^overlaynet_operator_informer_relists_total\{.*\} (\S+)$/gm)].reduce(
        (sum, [, value]) => sum + Number(value),
        0,
      );
    return count(this) - count(before);
  }

  /** Lists of OverlayReservations since `before`: an operator makes one before it gives nodes something new. */
  reservationLists(before: Sample): number {
    const count = (sample: Sample) => sample.#requests.get('LIST overlayreservations') ?? 0;
    return count(this) - count(before);
  }

  /** Single objects read since `before`. Only the operator reads these kinds. */
  reads(before: Sample, joins: number): { perJoin: number; text: string } {
    const each = kinds.flatMap((kind) => {
      const calls = (this.#requests.get(`GET ${kind}`) ?? 0) - (before.#requests.get(`GET ${kind}`) ?? 0);
      return calls === 0 ? [] : [{ kind, perJoin: calls / joins }];
    });
    return {
      perJoin: each.reduce((sum, { perJoin }) => sum + perJoin, 0),
      text: each.map(({ kind, perJoin }) => `${perJoin.toFixed(1)} ${kind}`).join(', '),
    };
  }

  #value(line: RegExp): number {
    return Number(line.exec(this.#operator)?.[1] ?? 0);
  }
}
