import { steps } from '../dataplane/change.ts';
import { desired, nothing } from '../dataplane/desired.ts';
import { diff } from '../dataplane/diff.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Desired, Failure } from '../dataplane/state.ts';
import type { Log } from '../log.ts';
import { execute } from './execute.ts';
import { applyChains, observeChains } from './iptables.ts';
import { observe } from './observe.ts';
import { run, type Run } from './run.ts';

export interface Outcome {
  /** Writes to the kernel; 0: all was as it should be. */
  changes: number;
  /** Programs run. */
  processes: number;
  /** In the tools' words; without `network` it concerns all. */
  failures: Failure[];
}

/** Brings this machine's kernel to what a snapshot asks for. Two runs at once are the caller's mistake. */
export class DataPath {
  readonly #log: Log;
  readonly #run: Run;

  /** `run`: for tests, which run every program in a network namespace. */
  constructor(options: { log: Log; run?: Run }) {
    this.#log = options.log;
    this.#run = options.run ?? run;
  }

  /** While the snapshot's node has no VTEP, or no address for the tunnel, what stands stays. */
  async reconcile(snapshot: Snapshot): Promise<Outcome> {
    const state = desired(snapshot);
    if (state?.tunnel === undefined) return { changes: 0, processes: 0, failures: state?.failures ?? [] };
    return this.#converge(state);
  }

  /** Removes everything that this class ever made, by its marks alone. */
  async cleanup(): Promise<Outcome> {
    return this.#converge(nothing());
  }

  async #converge(state: Desired): Promise<Outcome> {
    let processes = 0;
    const counted: Run = (...call) => {
      processes++;
      return this.#run(...call);
    };
    const [{ observed, failures }, saves] = await Promise.all([
      observe(counted, state),
      observeChains(counted),
    ]);
    const { plan, failures: refused } = diff(state, observed);
    failures.push(...refused);
    // sets, the rules that use them, what the rules guard; and back
    failures.push(...(await execute(counted, plan, ['sets'])));
    const chains = await applyChains(counted, state.chains, saves);
    failures.push(...chains.failures);
    failures.push(
      ...(await execute(counted, plan, ['links', 'fdb', 'routes', 'rules6', 'staleFDB', 'staleSets'])),
    );
    const changes = steps.reduce((sum, { name }) => sum + plan[name].length, chains.changes);
    if (changes > 0) this.#log.info('data path changed', { changes, processes, failures: failures.length });
    return { changes, processes, failures: distinct(failures) };
  }
}

/** A program that is missing says so each time that it is called. */
const distinct = (failures: Failure[]): Failure[] => [
  ...new Map(failures.map((failure) => [`${failure.network ?? ''} ${failure.message}`, failure])).values(),
];
