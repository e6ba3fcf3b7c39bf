import { steps } from '../dataplane/change.ts';
import type { Attachments } from '../dataplane/attachment.ts';
import { desired, nothing } from '../dataplane/desired.ts';
import { diff } from '../dataplane/diff.ts';
import { mustFlush, owe, paid } from '../dataplane/flows.ts';
import { withoutIPv6 } from '../dataplane/ipv4only.ts';
import type { Policy } from '../dataplane/policy.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { portsOf } from '../dataplane/ports.ts';
import { desiredLeased, resolving } from '../dataplane/resolving.ts';
import { desiredGuard, guard } from '../dataplane/spoof.ts';
import type { Desired, Failure, Observed, Scope } from '../dataplane/state.ts';
import type { Log } from '../log.ts';
import { endForbidden } from './conntrack.ts';
import { execute } from './execute.ts';
import { clearHidden } from './hidden.ts';
import { applyChains, planChains } from './iptables.ts';
import { observeChains } from './iptablesread.ts';
import { convergeTables, removeTables } from './nft.ts';
import { ipv6Missing, readSwitch, type ReadSwitch } from './ipv6.ts';
import { observe } from './observe.ts';
import { looksAt, stillThere } from './probe.ts';
import { run, type Run } from './run.ts';
import { withoutLength } from '../net/address.ts';

export interface Outcome {
  /** Writes to the kernel; 0: all was as it should be. */
  changes: number;
  /** Programs run. */
  processes: number;
  /** In the tools' words; without `network` it concerns all. */
  failures: Failure[];
  /** Records of containers that could not be read: while there are any, no address that was allowed is taken back. */
  unread: string[];
}

/** Brings this machine's kernel to what a snapshot asks for. Two runs at once are the caller's mistake. */
export class DataPath {
  readonly #log: Log;
  readonly #attachments: () => Attachments;
  readonly #run: Run;
  readonly #sysctl: ReadSwitch;
  #unread = '';
  #looks: ReturnType<typeof looksAt> = [];

  /**
   * @param options.attachments reads what the CNI plugin has written down of containers
   * @param options.run for tests, which run every program in a network namespace
   * @param options.sysctl for tests, which read the switches of one
   */
  constructor(options: { log: Log; attachments?: () => Attachments; run?: Run; sysctl?: ReadSwitch }) {
    this.#log = options.log;
    this.#attachments = options.attachments ?? (() => ({ attachments: [], problems: [] }));
    this.#run = options.run ?? run;
    this.#sysctl = options.sysctl ?? readSwitch;
  }

  /**
   * While the snapshot's node has no VTEP, or no address for the tunnel, what stands stays.
   * @param scope `links`: sets and rules are looked at only where something else is not as it should be, so that what
   *   guards stands before what carries
   */
  async reconcile(snapshot: Snapshot, scope: Scope = 'all'): Promise<Outcome> {
    const full = desired(snapshot);
    if (full?.tunnel === undefined) {
      return { changes: 0, processes: 0, failures: full?.failures ?? [], unread: [] };
    }
    const missing = await ipv6Missing(this.#sysctl, full.tunnel);
    const state = missing === undefined ? full : withoutIPv6(full, missing);
    let read: Attachments | undefined;
    const records = () => (read ??= this.#attachments());
    const incomplete = () => records().problems.length > 0;
    const guarding = (counted: Run) =>
      convergeTables(counted, [
        { spec: guard, elements: () => desiredGuard(records().attachments, incomplete()) },
        { spec: resolving, elements: () => desiredLeased(records().attachments, incomplete()) },
      ]);
    const ports = () => portsOf(records().attachments);
    const outcome =
      (scope === 'links' ? await this.#asItShould(state, ports) : undefined) ??
      (await this.#converge(state, guarding, ports));
    const unread = records().problems;
    this.#logUnread(unread);
    return { ...outcome, unread };
  }

  /** Whether the rules that the last pass left are there still: cheap, so it sees only that they were flushed. */
  guarded(): Promise<boolean> {
    return stillThere(this.#run, this.#looks);
  }

  /** Removes everything that this class ever made, by its marks alone. */
  async cleanup(): Promise<Outcome> {
    const outcome = await this.#converge(nothing(), () => Promise.resolve({ changes: 0, failures: [] }));
    const guarded = await removeTables(this.#run, [guard, resolving]);
    return {
      ...outcome,
      changes: outcome.changes + guarded.changes,
      failures: distinct([...outcome.failures, ...guarded.failures]),
      unread: [],
    };
  }

  /** Undefined where links, or what hangs on them, are not as they should be, or could not be read. */
  async #asItShould(
    state: Desired,
    ports: () => Desired['ports'],
  ): Promise<Omit<Outcome, 'unread'> | undefined> {
    const { counted, processes } = counting(this.#run);
    const { observed, failures } = await observe(counted, state, false);
    if (failures.length > 0) return undefined;
    const { plan, failures: known } = diff({ ...state, ports: ports() }, observed);
    if (steps.some(({ name }) => plan[name].length > 0)) return undefined;
    return { changes: 0, processes: processes(), failures: distinct(known) };
  }

  async #converge(
    state: Desired,
    guarding: (run: Run) => ReturnType<typeof convergeTables>,
    ports: () => Desired['ports'] = () => new Map(),
  ): Promise<Omit<Outcome, 'unread'>> {
    const { counted, processes } = counting(this.#run);
    const [{ observed, failures }, saves, guarded] = await Promise.all([
      observe(counted, state),
      observeChains(counted),
      guarding(counted),
    ]);
    failures.push(...guarded.failures);
    const { plan, failures: refused } = diff({ ...state, ports: ports() }, observed);
    const chains = planChains(state.chains, saves);
    const { policy } = state;
    const flushing = policy !== undefined && mustFlush(plan, chains.changes > 0, observed);
    if (flushing) owe(plan);
    failures.push(...refused);
    const rules: Failure[] = [...chains.failures];
    const protect = async () => {
      rules.push(...(await execute(counted, plan, ['sets'])));
      rules.push(...(await applyChains(counted, chains.restores)));
    };
    const carry = async () => {
      failures.push(...(await execute(counted, plan, ['links', 'fdb', 'routes', 'rules6', 'staleFDB'])));
    };
    // what carries packets comes after what guards it, and goes before
    for (const step of state.tunnel === undefined ? [carry, protect] : [protect, carry]) await step();
    const hidden = await clearHidden(counted, chains.hidden);
    rules.push(...hidden.failures, ...(await execute(counted, plan, ['staleSets'])));
    failures.push(...rules);
    // a failure has all read again soon, and of what could not be written nothing is missed
    this.#looks = rules.length > 0 ? [] : looksAt(chains.backend, state.chains);
    if (flushing && rules.every(({ leftover }) => leftover === true))
      failures.push(...(await this.#flush(counted, policy, observed)));
    const changes = steps.reduce(
      (sum, { name }) => sum + plan[name].length,
      chains.changes + hidden.changes + guarded.changes,
    );
    if (changes > 0)
      this.#log.info('data path changed', { changes, processes: processes(), failures: failures.length });
    return { changes, processes: processes(), failures: distinct(failures) };
  }

  #logUnread(unread: string[]): void {
    const text = unread.join('; ');
    if (text !== '' && text !== this.#unread) {
      this.#log.warn("containers' records cannot be read; what they allowed stays allowed", { said: text });
    }
    this.#unread = text;
  }

  /** Not before the rules stand, which judge only how a connection begins. What fails is owed to the next run. */
  async #flush(counted: Run, policy: Policy, { links }: Observed): Promise<Failure[]> {
    if (links === undefined) return [];
    const addresses = [...links.values()].flatMap((link) => link.addresses);
    const failures = await endForbidden(counted, policy, new Set(addresses.map(withoutLength)));
    return failures.length > 0 ? failures : execute(counted, paid, ['staleSets']);
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

/** A program that is missing says so each time that it is called. */
const distinct = (failures: Failure[]): Failure[] => [
  ...new Map(failures.map((failure) => [`${failure.network ?? ''} ${failure.message}`, failure])).values(),
];
