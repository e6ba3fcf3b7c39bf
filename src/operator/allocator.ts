import { plan, type Plan } from '../allocate/plan.ts';
import { Renderer } from '../allocate/render.ts';
import type { View, Write } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import type { Log } from '../log.ts';
import type { Caches } from './caches.ts';
import type { OperatorMetrics } from './metrics.ts';
import { NodeAddresses } from './nodes.ts';
import { inParallel } from './parallel.ts';
import { Writer, type Result } from './writer.ts';

/** A refused registration is looked at again after so many milliseconds: its Node may have changed unseen. */
const retryRefusedMs = 30_000;

/** More conflicts than that in one run, and it starts over later: a cache may be behind, or another leader awake. */
const mostLostRaces = 8;

/** A view and the plan that found nothing more to do in it. */
export interface Settled {
  view: View;
  plan: Plan;
}

/**
 * The master allocation: plan, write, and plan again until nothing is left to write. Any number of these may run at
 * once, on any number of operators: what keeps two nodes from one block is the API server's compare-and-swap alone.
 */
export class Allocator {
  private readonly client: Client;
  private readonly caches: Caches;
  private readonly log: Log;
  private readonly metrics: OperatorMetrics;
  private readonly renderer = new Renderer();
  private readonly nodeAddresses: NodeAddresses;

  constructor(options: { client: Client; caches: Caches; log: Log; metrics: OperatorMetrics }) {
    this.client = options.client;
    this.caches = options.caches;
    this.log = options.log;
    this.metrics = options.metrics;
    this.nodeAddresses = new NodeAddresses(options.client);
  }

  /** One run. Rejects where the API server refused something; everything else is done by then. */
  async run(signal: AbortSignal, settled: (state: Settled) => void): Promise<{ requeueAfterMs?: number }> {
    const writer = new Writer(this.client, this.caches);
    /** Writes that were refused in this run, and why: the others go on without them. */
    const refused = new Map<string, Error>();
    let lostRaces = 0;
    while (!signal.aborted) {
      const view = this.view(writer, refused);
      const startedAt = performance.now();
      const planned = plan(view, this.renderer);
      this.metrics.planned(performance.now() - startedAt);
      if (planned.unread.size > 0) {
        await this.nodeAddresses.read([...planned.unread], view.agents, view.now);
        const known = this.nodeAddresses.current(view.nodes, view.agents, view.now);
        if ([...planned.unread].some((name) => known.has(name))) continue;
      }
      const writes = planned.writes.filter((write) => !refused.has(keyOf(write)));
      if ((writes.length > 0 && view.ledger.readAt === 0) || planned.staleLedger) {
        await writer.readLedger();
        continue;
      }
      if (writes.length === 0) {
        settled({ view, plan: planned });
        const [first] = refused.values();
        if (first !== undefined) throw first;
        return requeue(planned, view.now);
      }
      const results = await this.write(writes, writer, refused);
      if (results.includes('conflict') && ++lostRaces > mostLostRaces) {
        throw new Error(`lost ${lostRaces} races against other writers in one run`);
      }
      if (results.some((result) => result !== 'done')) await writer.readLedger();
    }
    return {};
  }

  private view(writer: Writer, refused: ReadonlyMap<string, Error>): View {
    const now = Date.now();
    // allocations before the ledger: a step 3 needs a ledger read no earlier than the object it is written under
    const allocations = writer.allocations();
    const nodes = this.caches.nodeFacts();
    const agents = writer.present(this.caches.agents.list());
    return {
      now,
      config: this.caches.configs.get('default'),
      networks: this.caches.networks.list(),
      nodes,
      agents,
      allocations,
      ledger: writer.ledger,
      nodeAddresses: this.nodeAddresses.current(nodes, agents, now),
      withdrawn: writer.withdrawn,
      isStuck: (node) => refused.has(`create-allocation ${node}`),
    };
  }

  private async write(
    writes: readonly Write[],
    writer: Writer,
    refused: Map<string, Error>,
  ): Promise<Result[]> {
    const results: Result[] = [];
    await inParallel(writes, async (write) => {
      try {
        const result = await writer.send(write);
        results.push(result);
        this.metrics.wrote(write.kind, result);
      } catch (error) {
        this.metrics.wrote(write.kind, 'error');
        this.log.error('write refused', { write: keyOf(write), error });
        refused.set(keyOf(write), error instanceof Error ? error : new Error(String(error)));
      }
    });
    return results;
  }
}

/** What is written and how, in words: `update-allocation node2`. */
function keyOf(write: Write): string {
  if ('node' in write) return `${write.kind} ${write.node}`;
  return 'name' in write ? `${write.kind} ${write.name}` : write.kind;
}

function requeue({ wakeAt, registrations }: Plan, now: number): { requeueAfterMs?: number } {
  const cooled = wakeAt === Infinity ? Infinity : Math.max(0, wakeAt - now) + 1;
  const refused = registrations.refused.size + registrations.unread.size > 0 ? retryRefusedMs : Infinity;
  const after = Math.min(cooled, refused);
  return after === Infinity ? {} : { requeueAfterMs: after };
}
