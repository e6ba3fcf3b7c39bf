import { isDeepStrictEqual } from 'node:util';
import { oneMoreLeft } from '../allocate/leaving.ts';
import { Memory, plan, type Plan } from '../allocate/plan.ts';
import { isUrgent } from '../allocate/urgent.ts';
import { keyOf, type View, type Write } from '../allocate/view.ts';
import { isWaiting } from '../api/inuse.ts';
import type { KubeObject } from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { isMissingKind } from '../kube/error.ts';
import type { Node } from '../kube/resources.ts';
import { faultOf, type Log } from '../log.ts';
import { nextBatch } from './batch.ts';
import type { NetworkGuard } from './guard.ts';
import { isAnswer, matters, type Caches } from './caches.ts';
import type { OperatorMetrics } from './metrics.ts';
import { NodeAddresses } from './nodes.ts';
import { NetworksKindReader } from './networkskind.ts';
import { inParallel } from './parallel.ts';
import { Answers } from './reads.ts';
import { ReservationsReader } from './reservations.ts';
import { Writer, type Result } from './writer.ts';
import { errorOf } from '../error.ts';

/** A refused registration is checked again after this many milliseconds, because its Node may have changed unseen. */
const retryRefusedMs = 30_000;

/** With more conflicts in one run, it starts over later: a cache may be behind, or another leader may be active. */
const mostLostRaces = 8;

/** This many rounds of reads in a row without a write mean that caches and API server do not agree. */
const mostReads = 8;

/** This many refused writes end a run, because the rest would be refused too. */
const mostRefused = 200;

/** How long a departure that a person confirmed for one node stays confirmed, in milliseconds. */
const confirmedMs = 600_000;

/** A view, and its plan, which found nothing more to write. */
export interface Settled {
  view: View;
  plan: Plan;
}

/** State of one run. */
interface Run {
  signal: AbortSignal;
  writer: Writer;
  answers: Answers;
  /** Writes that were refused in this run, with the reasons. The other writes go on without them. */
  refused: Map<string, Error>;
  /** Reads that failed. */
  unread: Error | undefined;
  restores: number;
}

/**
 * The master allocation: plan, write, and plan again until nothing is left to write. Any number of these may run at
 * once, on any number of operators. Only the API server's compare-and-swap keeps two nodes from getting one block.
 */
export class Allocator {
  readonly #client: Client;
  readonly #caches: Caches;
  readonly #log: Log;
  readonly #metrics: OperatorMetrics;
  readonly #addresses: NodeAddresses;
  readonly #guard: NetworkGuard | undefined;
  readonly #firstConfig: View['firstConfig'];
  readonly #confirmedGone = new Map<string, number>();
  #memory = new Memory();
  #restores = 0;
  #wentBackAt: number | undefined;
  readonly #networksKind: NetworksKindReader;
  readonly #reservations: ReservationsReader;
  #leaving: View['leaving'];
  #mustRelist = false;
  /** A node has arrived or registered, so work that is not urgent waits. */
  #nodesArrived = false;
  /** Nodes that have arrived or registered since the last plan. */
  readonly #arrived = new Set<string>();

  constructor(options: {
    client: Client;
    caches: Caches;
    log: Log;
    metrics: OperatorMetrics;
    /** The spec of the first OverlayConfig, created where there never was one. */
    firstConfig?: View['firstConfig'];
    /** Called for each Node that is read. */
    onNode?: (node: Node) => void;
    /** Absent: networks get no finalizer here. */
    guard?: NetworkGuard;
  }) {
    this.#client = options.client;
    this.#caches = options.caches;
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#guard = options.guard;
    this.#addresses = new NodeAddresses(options.client, options.onNode);
    this.#networksKind = new NetworksKindReader(options.client);
    this.#reservations = new ReservationsReader(options.client, this.#caches.reservations);
    this.#firstConfig = options.firstConfig ?? {};
    for (const informer of this.#caches.all) {
      informer.onWentBack((from, to) => {
        this.#wentBack(informer.resource.plural, from, to);
      });
    }
    this.#caches.nodes.onChange((_name: string, object: KubeObject | undefined) => {
      if (object === undefined) this.#leaving = oneMoreLeft(this.#leaving, Date.now());
    });
    for (const informer of [this.#caches.agents, this.#caches.nodes]) {
      informer.onChange((name, object, old) => {
        if (object === undefined || !matters(object, old) || isAnswer(object, old)) return;
        this.#nodesArrived = true;
        this.#arrived.add(name);
      });
    }
  }

  /**
   * Nodes that are gone and whose departure a person confirmed. Their blocks are released even in a mass departure.
   */
  confirmGone(nodes: readonly string[]): void {
    for (const node of nodes) this.#confirmedGone.set(node, Date.now());
  }

  /** Runs once. Rejects where the API server refused something; everything else is done by then. */
  async run(signal: AbortSignal, settled: (state: Settled) => void): Promise<{ requeueAfterMs?: number }> {
    if (this.#mustRelist) {
      await this.#caches.relist();
      this.#mustRelist = false;
    }
    const run: Run = {
      signal,
      writer: new Writer(this.#client, this.#caches),
      answers: new Answers(this.#caches, {
        addresses: this.#addresses,
        networksKind: this.#networksKind,
        reservations: this.#reservations,
      }),
      refused: new Map(),
      unread: undefined,
      restores: this.#restores,
    };
    // if it cannot be read, a step that depends on it asks again
    const waits = this.#caches.networks.list().some(({ metadata }) => isWaiting(metadata));
    await this.#networksKind.readIfOld(waits).catch(() => undefined);
    let lostRaces = 0;
    let readsInARow = 0;
    while (!signal.aborted) {
      this.#assertSameData(run);
      await this.#readAhead(run);
      await this.#guard?.protect(signal);
      const view = this.#view(run);
      const startedAt = performance.now();
      const planned = plan(view, this.#memory);
      this.#metrics.planned(performance.now() - startedAt);
      if (readsInARow < mostReads && (await this.#read(run, planned, view))) {
        readsInARow++;
        continue;
      }
      const writes = planned.writes.filter((write) => !run.refused.has(keyOf(write)));
      if (writes.length === 0) {
        if (readsInARow >= mostReads)
          throw new Error(`caches and API server do not agree after ${mostReads} reads`);
        settled({ view, plan: planned });
        const [first = run.unread] = run.refused.values();
        if (first !== undefined) throw first;
        return requeue(planned, view.now);
      }
      readsInARow = 0;
      const results = await this.#write(run, nextBatch(writes));
      if (results.includes('conflict') && ++lostRaces > mostLostRaces) {
        throw new Error(`lost ${lostRaces} races against other writers in one run`);
      }
    }
    return {};
  }

  /**
   * Lists all data again before anything more is planned. What was remembered of the newer data does not count any
   * more.
   */
  #wentBack(plural: string, from: string, to: string): void {
    this.#log.error('the API server’s data went back: was it restored from a backup?', {
      object: plural,
      command: `list ${plural}`,
      output: `resourceVersion went back from ${from} to ${to}`,
    });
    this.#restores++;
    this.#wentBackAt = Date.now();
    this.#mustRelist = true;
    this.#memory = new Memory();
    this.#reservations.forget();
  }

  #assertSameData({ restores }: Run): void {
    if (restores !== this.#restores) throw new Error('the API server’s data went back during this run');
  }

  /**
   * The plan would ask for the addresses of a Node whose agent registers; reading them first saves a joining node one
   * plan.
   */
  async #readAhead({ answers }: Run): Promise<void> {
    const { agents, allocations } = this.#caches;
    const names = [...this.#arrived].filter((name) => {
      const claimed = agents.get(name)?.spec.addresses;
      return claimed !== undefined && !isDeepStrictEqual(claimed, allocations.get(name)?.spec.addresses);
    });
    this.#arrived.clear();
    if (names.length === 0) return;
    await answers.readAddresses(names).catch(() => undefined);
  }

  /** @returns whether something was read, so that planning again may give more */
  async #read(run: Run, planned: Plan, view: View): Promise<boolean> {
    if (run.unread !== undefined) return false;
    try {
      return await run.answers.read(planned.reads, view);
    } catch (error) {
      // everything that does not depend on it is written all the same
      if (isMissingKind(error)) throw error;
      run.unread = errorOf(error);
      return false;
    }
  }

  #view({ writer, answers, refused }: Run): View {
    const now = Date.now();
    // allocations before the ledger: step 3 needs a ledger that was read no earlier than the object written under it
    const allocationsAt = Number(this.#caches.allocations.resourceVersion);
    const allocations = this.#caches.allocations.byName;
    const nodes = this.#caches.nodeFacts();
    const agents = this.#caches.agents.byName;
    for (const [node, at] of this.#confirmedGone)
      if (at + confirmedMs < now) this.#confirmedGone.delete(node);
    return {
      now,
      config: this.#caches.configs.get('default'),
      firstConfig: this.#firstConfig,
      networks: this.#caches.networks.list(),
      ...this.#reservations.known,
      nodes,
      agents,
      allocations,
      allocationsAt,
      ledger: this.#caches.ledgerNow(answers.fresh),
      nodeAddresses: this.#addresses.current(nodes, agents, now),
      apiServers: this.#addresses.apiServers,
      withdrawn: writer.withdrawn,
      asked: answers.asked(now),
      refusal: (key) => refused.get(key)?.message,
      wentBackAt: this.#wentBackAt,
      networksKind: this.#networksKind.last,
      leaving: this.#leaving,
      confirmedGone: new Set(this.#confirmedGone.keys()),
    };
  }

  async #write(run: Run, batch: readonly Write[]): Promise<Result[]> {
    const { signal, writer, refused } = run;
    const results: Result[] = [];
    let fatal: Error | undefined;
    this.#nodesArrived = false;
    const send = async (write: Write) => {
      // each is checked at its turn, because the Lease or the data may have gone meanwhile
      if (signal.aborted || fatal !== undefined || run.restores !== this.#restores) return;
      if (this.#nodesArrived && !isUrgent(write)) return;
      try {
        const result = await writer.send(write);
        results.push(result);
        this.#metrics.wrote(write.kind, result);
      } catch (thrown) {
        const error = errorOf(thrown);
        this.#metrics.wrote(write.kind, 'error');
        this.#log.error('write refused', faultOf(keyOf(write), error, write.kind));
        refused.set(keyOf(write), error);
        if (isMissingKind(error) || refused.size > mostRefused) fatal = error;
      }
    };
    await inParallel(batch, send, { gently: !batch.some(isUrgent) });
    if (fatal !== undefined) throw fatal;
    return results;
  }
}

function requeue({ wakeAt, registrations }: Plan, now: number): { requeueAfterMs?: number } {
  const cooled = wakeAt === Infinity ? Infinity : Math.max(0, wakeAt - now) + 1;
  const refused = registrations.refused.size + registrations.unread.size > 0 ? retryRefusedMs : Infinity;
  const after = Math.min(cooled, refused);
  return after === Infinity ? {} : { requeueAfterMs: after };
}
