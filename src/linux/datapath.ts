import { steps, type KernelPlan } from '../dataplane/change.ts';
import type { Attachments } from '../dataplane/attachment.ts';
import { desired, nothing } from '../dataplane/desired.ts';
import { diff } from '../dataplane/diff.ts';
import { mustFlush, markPending, clearPending } from '../dataplane/flows.ts';
import type { Policy } from '../dataplane/policy.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { portsOf } from '../dataplane/ports.ts';
import type { Desired, Failure, Observed, Scope } from '../dataplane/state.ts';
import { entriesOf, tally, type Tally } from '../dataplane/tally.ts';
import type { Log } from '../log.ts';
import { endForbidden } from './conntrack.ts';
import { readDrops, type Drops } from './drops.ts';
import { execute } from './execute.ts';
import { clearHidden } from './hidden.ts';
import { applyChains, planChains } from './iptables.ts';
import { observeChains, type Backend } from './iptablesread.ts';
import { convergeTables, removeTables } from './nft.ts';
import { possible, readSwitch, type ReadSwitch } from './ipv6.ts';
import { observe } from './observe.ts';
import { once } from './once.ts';
import { ownTables, tableSpecs } from './owntables.ts';
import { looksAt, lossOf, type Loss } from './probe.ts';
import { findRemains } from './remains.ts';
import { run, type Run } from './run.ts';
import { withoutLength } from '../net/address.ts';

export interface DataPathOutcome {
  /** Number of writes to the kernel; 0 when nothing had to change. */
  changes: number;
  /** Number of programs run. */
  processes: number;
  /** Failures in the tools' words; those without `network` concern all networks. */
  failures: Failure[];
  /** Container records that could not be read. While there are any, no allowed address is removed. */
  unread: string[];
  detail?: PassDetail;
}

/** What a pass was made of, for metrics. */
export interface PassDetail {
  /** Writes by kind of object. */
  changed: Tally;
  /** Entries that the kernel should hold, by kind. */
  entries: Tally;
  /** Milliseconds. */
  phases: { read: number; write: number };
}

/** Makes this machine's kernel match a snapshot. The caller must not start two runs at once. */
export class DataPath {
  readonly #log: Log;
  readonly #attachments: () => Attachments;
  readonly #run: Run;
  readonly #sysctl: ReadSwitch;
  #unread = '';
  #looks: ReturnType<typeof looksAt> = [];
  #written: { backend: Backend; chains: Desired['chains'] } | undefined;

  /**
   * @param options.attachments reads what the CNI plugin has recorded of containers
   * @param options.run for tests, which run every program in a network namespace
   * @param options.sysctl for tests, which read the switches of that namespace
   */
  constructor(options: { log: Log; attachments?: () => Attachments; run?: Run; sysctl?: ReadSwitch }) {
    this.#log = options.log;
    this.#attachments = options.attachments ?? (() => ({ attachments: [], problems: [] }));
    this.#run = options.run ?? run;
    this.#sysctl = options.sysctl ?? readSwitch;
  }

  /**
   * Makes the kernel match the snapshot. Nothing changes while the snapshot's node has no VTEP, or no address for the
   * tunnel.
   * @param scope with `links`, sets and rules are looked at only if something else differs; then the guarding parts
   * are written before those that carry packets
   */
  async reconcile(snapshot: Snapshot, scope: Scope = 'all'): Promise<DataPathOutcome> {
    const full = desired(snapshot);
    if (full?.tunnel === undefined) {
      return { changes: 0, processes: 0, failures: full?.failures ?? [], unread: [] };
    }
    const state = await possible(full, full.tunnel, this.#sysctl);
    const records = once(this.#attachments);
    const guarding = (counted: Run) => convergeTables(counted, ownTables(records));
    const ports = () => portsOf(records().attachments);
    const outcome =
      (scope === 'links' ? await this.#asItShould(state, ports) : undefined) ??
      (await this.#converge(state, guarding, ports));
    const unread = records().problems;
    this.#logUnread(unread);
    const { detail } = outcome;
    return { ...outcome, unread, ...(detail && { detail: { ...detail, entries: entriesOf(state) } }) };
  }

  /** What the rules of the last pass have dropped since they were written; undefined before the first pass. */
  async drops(): Promise<Drops | undefined> {
    return this.#written && (await readDrops(this.#run, this.#written.backend, this.#written.chains));
  }

  /**
   * Which rule of the last pass is gone; undefined if they are still there. This check is cheap, so it notices only
   * that rules were flushed.
   */
  loss(): Promise<Loss | undefined> {
    return lossOf(this.#run, this.#looks);
  }

  /** Removes everything that this class ever made, recognised by its marks alone. */
  async cleanup(): Promise<DataPathOutcome> {
    const outcome = await this.#converge(nothing(), () => Promise.resolve({ changes: 0, failures: [] }));
    const guarded = await removeTables(this.#run, tableSpecs);
    return {
      ...outcome,
      changes: outcome.changes + guarded.changes,
      failures: distinct([...outcome.failures, ...guarded.failures]),
      unread: [],
    };
  }

  /** Finds what `cleanup` would remove. Changes nothing. */
  remains(): ReturnType<typeof findRemains> {
    return findRemains(this.#run, tableSpecs);
  }

  /** Undefined if links, or what belongs to them, differ from what is wanted or could not be read. */
  async #asItShould(
    state: Desired,
    ports: () => Desired['ports'],
  ): Promise<Omit<DataPathOutcome, 'unread'> | undefined> {
    const { counted, processes } = counting(this.#run);
    const startedAt = performance.now();
    const { observed, failures } = await observe(counted, state, false);
    if (failures.length > 0) return undefined;
    const { plan, failures: known } = diff({ ...state, ports: ports() }, observed);
    if (steps.some(({ name }) => plan[name].length > 0)) return undefined;
    const phases = { read: performance.now() - startedAt, write: 0 };
    const detail = { changed: {}, entries: {}, phases };
    return { changes: 0, processes: processes(), failures: distinct(known), detail };
  }

  async #converge(
    state: Desired,
    guarding: (run: Run) => ReturnType<typeof convergeTables>,
    ports: () => Desired['ports'] = () => new Map(),
  ): Promise<Omit<DataPathOutcome, 'unread'>> {
    const { counted, processes } = counting(this.#run);
    const startedAt = performance.now();
    const [{ observed, failures }, saves, guarded] = await Promise.all([
      observe(counted, state),
      observeChains(counted),
      guarding(counted),
    ]);
    const readAt = performance.now();
    failures.push(...guarded.failures);
    const { plan, failures: refused } = diff({ ...state, ports: ports() }, observed);
    const chains = planChains(state.chains, saves);
    const { policy } = state;
    const flushing = policy !== undefined && mustFlush(plan, chains.changes > 0, observed);
    if (flushing) markPending(plan, observed);
    failures.push(...refused);
    const rules: Failure[] = [...chains.failures];
    let undone = 0;
    const onUndone = (some: number) => (undone += some);
    const write = (names: (keyof KernelPlan)[]) => execute(counted, plan, names, onUndone);
    const protect = async () => {
      rules.push(...(await write(['sets'])));
      rules.push(...(await applyChains(counted, chains.restores, onUndone)));
    };
    const carry = async () => {
      failures.push(...(await write(['linkLayer', 'fdb', 'routing', 'rules6', 'staleFDB'])));
    };
    // what carries packets is added after what guards it, and removed before it
    for (const step of state.tunnel === undefined ? [carry, protect] : [protect, carry]) await step();
    const hidden = await clearHidden(counted, chains.hidden);
    rules.push(...hidden.failures, ...(await write(['staleSets'])));
    failures.push(...rules);
    this.#written = { backend: chains.backend, chains: state.chains };
    // after a failure everything is read again soon, and what could not be written is not expected to be there
    this.#looks = rules.length > 0 ? [] : looksAt(chains.backend, state.chains);
    if (flushing && rules.every(({ leftover }) => leftover === true))
      failures.push(...(await this.#flush(counted, policy, observed)));
    const changes = steps.reduce(
      (sum, { name }) => sum + plan[name].length,
      chains.changes + hidden.changes + guarded.changes,
    );
    if (changes > 0) {
      // with each retry of what fails nothing changes
      const level = undone < changes ? 'info' : 'debug';
      this.#log[level]('data path changed', { changes, processes: processes(), failures: failures.length });
    }
    const detail = {
      changed: { ...tally(plan), iptables: chains.changes + hidden.changes, nftables: guarded.changes },
      entries: {},
      phases: { read: readAt - startedAt, write: performance.now() - readAt },
    };
    return { changes, processes: processes(), failures: distinct(failures), detail };
  }

  #logUnread(unread: string[]): void {
    const text = unread.join('; ');
    if (text !== '' && text !== this.#unread) {
      this.#log.warn("containers' records cannot be read; what they allowed stays allowed", {
        object: "containers' records",
        command: 'read',
        output: text,
      });
    }
    this.#unread = text;
  }

  /**
   * Ends forbidden connections. The rules come first, because they judge only how a connection begins. What fails is
   * left to the next run.
   */
  async #flush(counted: Run, policy: Policy, { links }: Observed): Promise<Failure[]> {
    if (links === undefined) return [];
    const addresses = [...links.values()].flatMap((link) => link.addresses);
    const failures = await endForbidden(counted, policy, new Set(addresses.map(withoutLength)));
    return failures.length > 0 ? failures : execute(counted, clearPending, ['staleSets']);
  }
}

function counting(run: Run): { counted: Run; processes: () => number } {
  let processes = 0;
  const counted: Run = (...call) => {
    processes++;
    return run(...call);
  };
  return { counted, processes: () => processes };
}

/** Removes repetitions: a missing program causes the same failure each time that it is called. */
const distinct = (failures: Failure[]): Failure[] => [
  ...new Map(failures.map((failure) => [`${failure.network ?? ''} ${failure.message}`, failure])).values(),
];
