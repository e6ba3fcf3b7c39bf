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

  /** One run. Rejects where the API server refused something; what could be done is done by then. */
  async run(signal: AbortSignal, settled: (state: Settled) => void): Promise<{ requeueAfterMs?: number }> {
    const writer = new Writer(this.client, this.caches);
    const stuck = new Set<string>();
    const errors: unknown[] = [];
    while (!signal.aborted) {
      const view = this.view(writer, stuck);
      const startedAt = performance.now();
      const planned = plan(view, this.renderer);
      this.metrics.planned(performance.now() - startedAt);
      if (planned.unread.length > 0) {
        await this.nodeAddresses.read(planned.unread, view.agents, view.now);
        const known = this.nodeAddresses.current(view.nodes, view.agents, view.now);
        if (planned.unread.some((name) => known.has(name))) continue;
      }
      const needsRead = planned.writes.length > 0 && view.ledger.readAt === 0;
      if (needsRead || planned.staleLedger) {
        await writer.readLedger();
        continue;
      }
      if (planned.writes.length === 0 || errors.length > 0) {
        settled({ view, plan: planned });
        if (errors.length > 0) throw errors[0];
        return requeue(planned, view.now);
      }
      const results = await this.write(planned.writes, writer, stuck, errors);
      if (results.some((result) => result !== 'done')) await writer.readLedger();
    }
    return {};
  }

  private view(writer: Writer, stuck: ReadonlySet<string>): View {
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
      stuck,
    };
  }

  private async write(
    writes: readonly Write[],
    writer: Writer,
    stuck: Set<string>,
    errors: unknown[],
  ): Promise<Result[]> {
    const results: Result[] = [];
    await inParallel(writes, async (write) => {
      try {
        const result = await writer.send(write);
        results.push(result);
        this.metrics.wrote(write.kind, result);
      } catch (error) {
        this.metrics.wrote(write.kind, 'error');
        const { kind, node, name } = { node: undefined, name: undefined, ...write };
        this.log.error('write refused', { kind, object: node ?? name, error });
        errors.push(error);
        if (write.kind === 'create-allocation') stuck.add(write.node);
      }
    });
    return results;
  }
}

function requeue({ wakeAt, registrations }: Plan, now: number): { requeueAfterMs?: number } {
  const cooled = wakeAt === Infinity ? Infinity : Math.max(0, wakeAt - now) + 1;
  const refused = registrations.refused.size + registrations.unread.length > 0 ? retryRefusedMs : Infinity;
  const after = Math.min(cooled, refused);
  return after === Infinity ? {} : { requeueAfterMs: after };
}
