import { setTimeout as sleep } from 'node:timers/promises';
import { PlayedAgents } from './agents.ts';
import type { Bed } from './bed.ts';
import { Sample } from './sample.ts';
import { ms, quantile, type Figure } from './table.ts';

/** The size of a cluster. */
export interface Size {
  nodes: number;
  networks: number;
}

const joins = 50;
const joinsMeanwhile = 20;

/**
 * Measures allocation alone in a cluster of that size. The operator is the real program; nodes and agents are
 * simulated, and no kernel is programmed.
 */
export async function scale(bed: Bed, size: Size): Promise<Figure[]> {
  const agents = new PlayedAgents(bed);
  const run = new Run(bed, agents, size);
  return [
    ...(await run.burst()),
    ...(await run.joinsAtRest()),
    ...(await run.joinsDuringRollout()),
    ...run.memory(),
  ];
}

/** One size, from the burst on. Every figure names the size. */
export class Run {
  readonly #bed: Bed;
  readonly #agents: PlayedAgents;
  readonly #size: Size;
  readonly #at: string;
  #nodes: number;

  constructor(bed: Bed, agents: PlayedAgents, size: Size) {
    this.#bed = bed;
    this.#agents = agents;
    this.#size = size;
    this.#nodes = size.nodes;
    this.#at = `${size.nodes} × ${size.networks}`;
  }

  async burst(): Promise<Figure[]> {
    const { nodes, networks } = this.#size;
    await this.#bed.register(0, nodes);
    const { leads } = this.#bed.operator('first', 9180);
    const start = await leads;
    const took = (await this.#agents.all(nodes, networks)) - start;
    await this.rest();
    return [
      {
        what: `${this.#at}: burst, all registrations at once`,
        measured: ms(took),
        bound: '',
        ok: true,
      },
    ];
  }

  async joinsAtRest(): Promise<Figure[]> {
    const before = await Sample.take(this.#bed, 9180);
    const times: number[] = [];
    for (let at = 0; at < joins; at++) {
      times.push(await this.join(this.#size.networks));
      await sleep(20 + Math.random() * 60);
    }
    // reports, and the work that they cause, count as part of the joins
    await this.rest();
    const after = await Sample.take(this.#bed, 9180);
    const p99 = quantile(times, 0.99);
    const plans = after.plans(before);
    const events = (after.events - before.events) / joins;
    const lists = after.lists(before);
    const reads = after.reads(before, joins);
    return [
      {
        what: `${this.#at}: one join at rest, ${joins} times: p50, p99`,
        measured: `${ms(quantile(times, 0.5))}, ${ms(p99)}`,
        bound: 'p99 0.5 s',
        ok: p99 <= 500,
      },
      {
        what: `${this.#at}: one plan of ${(plans.count / joins).toFixed(1)} per join: mean, p99`,
        measured: `${plans.meanMs.toFixed(0)} ms, ≤ ${plans.p99Ms.toFixed(0)} ms`,
        bound: 'mean 50 ms',
        ok: plans.meanMs <= 50,
      },
      {
        what: `${this.#at}: read per join: ${reads.text}`,
        measured: `${reads.perJoin.toFixed(1)} objects, ${lists} lists`,
        bound: `${this.#size.networks + 3}, 0`,
        ok: lists === 0 && reads.perJoin <= this.#size.networks + 3,
      },
      {
        what: `${this.#at}: lists of OverlayReservations (there are none) per join`,
        measured: (after.reservationLists(before) / joins).toFixed(1),
        bound: '1',
        ok: after.reservationLists(before) <= joins,
      },
      {
        what: `${this.#at}: events per join at an agent, of ${this.#bytesPerEvent()} B`,
        measured: events.toFixed(2),
        bound: '2',
        ok: events <= 2,
      },
    ];
  }

  async joinsDuringRollout(): Promise<Figure[]> {
    const networks = this.#size.networks + 1;
    const here = this.#nodes;
    const start = performance.now();
    const all = this.#agents.all(here, networks);
    await this.#bed.addNetwork(this.#size.networks);
    while (this.#agents.having(networks) === 0) await sleep(5);
    const times: number[] = [];
    let meanwhile = 0;
    for (let at = 0; at < joinsMeanwhile; at++) {
      times.push(await this.join(networks));
      if (this.#agents.having(networks) < here) meanwhile++;
      await sleep(20 + Math.random() * 60);
    }
    const took = (await all) - start;
    const p99 = quantile(times, 0.99);
    return [
      {
        what: `${this.#at}: one join while a network rolls out, ${meanwhile} times: p50, p99`,
        measured: `${ms(quantile(times, 0.5))}, ${ms(p99)}`,
        bound: 'p99 0.5 s',
        ok: p99 <= 500 && meanwhile > 0,
      },
      {
        what: `${this.#at}: that roll-out, to the last node`,
        measured: ms(took),
        bound: '',
        ok: true,
      },
    ];
  }

  memory(): Figure[] {
    const { resident, peak } = this.#bed.memory('first');
    return [
      {
        what: `${this.#at}: operator's resident memory: at the end, at most`,
        measured: `${resident.toFixed(0)} MB, ${peak.toFixed(0)} MB`,
        bound: 'at most 400 MB',
        ok: peak <= 400,
      },
    ];
  }

  /** Returns the time from the creation of a new node's OverlayAgent until its AgentAllocation has all its blocks. */
  async join(networks: number): Promise<number> {
    const at = this.#nodes++;
    const name = `node-${at}`;
    const address = `172.19.${at >> 8}.${at & 255}`;
    await this.#bed.addNode(name, address);
    const filled = this.#agents.filled(name, networks);
    const start = performance.now();
    await this.#bed.registerAgent(name, address);
    return (await filled) - start;
  }

  /** Waits until all agents have reported and the operator has processed that. */
  async rest(): Promise<void> {
    await this.#agents.answered();
    await sleep(3_000);
  }

  #bytesPerEvent(): number {
    const newest = this.#bed.allocations.get(`node-${this.#nodes - 1}`);
    return JSON.stringify(newest ?? {}).length;
  }
}
