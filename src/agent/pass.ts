import type { AgentAllocationSpec } from '../api/types.ts';
import { ownAllocation, type Blocks, type Snapshot } from '../dataplane/snapshot.ts';
import type { Scope } from '../dataplane/state.ts';
import type { PassDetail } from '../linux/datapath.ts';
import type { Result } from '../kube/queue.ts';
import type { Caches } from './caches.ts';
import { sameSnapshot, type CheckpointFile } from './checkpoint.ts';
import type { CNIFiles } from '../containers/cni.ts';
import type { Judge } from './judge.ts';
import type { Metrics } from './metrics.ts';
import type { LastPass } from '../rows/row.ts';
import type { SeenVersion } from '../report/registration.ts';
import type { Failure } from '../dataplane/state.ts';
import type { PassContainers } from '../report/findings.ts';
import { brief, failureText, grave, mendable, type Applied } from '../report/status.ts';
import { spentMs } from '../linux/spent.ts';
import type { Namespace } from '../containers/requested.ts';
import { messageOf } from '../error.ts';
import { Faults, type Fault, type Log } from '../log.ts';

/** The part of src/linux/datapath.ts that the agent needs. */
export interface Kernel {
  /** Makes the kernel show the snapshot. The result has the failures. With `links` it reads rules only if it must. */
  reconcile(snapshot: Snapshot, scope: Scope): Promise<Reconciled>;
}

interface Reconciled {
  /** Writes to the kernel. */
  changes: number;
  failures: Failure[];
  /** Records of containers that could not be read. */
  unread: string[];
  detail?: PassDetail;
}

/** The result of a pass: its snapshot, and how it left the node. */
interface Outcome {
  snapshot: Snapshot;
  applied: Applied;
  containers: PassContainers;
  /** Number of writes to the kernel. The next pass checks that they are still there. */
  changes: number;
  detail: PassDetail | undefined;
}

const faultOfPass = ({ network, message, command = 'compare' }: Failure): Fault => ({
  object: network === undefined ? 'data path' : `overlaynetworks/${network}`,
  command,
  output: message,
});

/** @param output why the runtimes' own conflist is not there */
const unopened = (output: string): Fault => ({ object: "runtimes' conflist", command: 'write', output });

const nothingYet: PassContainers = { failures: [], held: [], first: undefined, unread: [] };

/**
 * Runs passes: caches or checkpoint → snapshot → kernel → conflists → checkpoint, and last the runtimes' own conflist.
 */
export class Pass {
  readonly node: string;
  /** Resolves when the first pass of this process has ended. */
  readonly first: Promise<undefined>;
  /**
   * Whether the data path was complete once since the machine started, under this process or an earlier one. Containers
   * can join then.
   */
  complete: boolean;
  /** Beginnings and ends of passes that had something to change or to try again: odd while one works. */
  steps = 0;
  /** Whether a pass of this process succeeded in all that concerns the whole node. */
  passed = false;
  /** Duration of the last pass that checked links alone, and when it ended, by the monotonic clock. */
  looked = { ms: 0, endedAt: -Infinity };
  /** The same for the last complete comparison. */
  compared = { ms: 0, endedAt: -Infinity };
  /** When the last pass of this process ended, and what failed in it that another may mend. */
  last: LastPass | undefined;
  readonly #parts: Parts;
  readonly #ended = Promise.withResolvers<undefined>();
  /** Undefined before the first pass of this process. */
  #last: Outcome | undefined;
  #lasting: ReadonlySet<string> = new Set();

  constructor(node: string, parts: Parts) {
    this.node = node;
    this.#parts = parts;
    this.first = this.#ended.promise;
    this.complete = parts.cni.isOpen;
  }

  /** The snapshot of the last pass, or of the checkpoint. */
  get snapshot(): Snapshot | undefined {
    return this.#last?.snapshot ?? this.#parts.last;
  }

  /** The result of the last pass; undefined before the first. */
  get applied(): Applied | undefined {
    return this.#last?.applied;
  }

  /** How the last pass left the node for containers. */
  get containers(): PassContainers {
    return this.#last?.containers ?? nothingYet;
  }

  /** The snapshot that the kernel should show. Undefined if nothing is known: then nothing is changed. */
  get wanted(): Snapshot | undefined {
    return this.#withDocker(this.#parts.judge.wanted);
  }

  /**
   * Our networks in Docker: by its engine, or by the checkpoint until the engine has answered. Undefined if not known.
   */
  get docker(): Blocks | undefined {
    const { docker, last } = this.#parts;
    return docker?.blocks ?? (last && (last.docker ?? []));
  }

  /** This node's allocation in the snapshot of the last pass, or of the checkpoint. */
  get held(): AgentAllocationSpec | undefined {
    const { snapshot } = this;
    return snapshot && ownAllocation(snapshot);
  }

  /**
   * Runs one pass.
   * @param look how much of the kernel to check, beside the files, if the last pass succeeded and no object changed
   *   since; undefined: nothing
   * @returns when to run again although nothing changes
   * @throws Error that says what failed, so that the queue tries again; `applied` has the same
   */
  async run(look: Scope | undefined): Promise<Result | undefined> {
    const { metrics, judge } = this.#parts;
    const again = judge.run();
    metrics.holds(judge.kept);
    const snapshot = this.#withDocker(judge.believed);
    if (snapshot === undefined) return undefined;
    const stands = this.#stands(snapshot);
    if (stands && look === undefined) {
      this.save();
      return again;
    }
    const settled = stands && this.#last?.changes === 0;
    const start = performance.now();
    const spent = spentMs();
    const scope = settled && look === 'links' ? 'links' : 'all';
    const work = () => this.#apply(snapshot, scope);
    const outcome = await (settled ? work() : this.#counted(work));
    const endedAt = performance.now();
    const ms = spentMs() - spent;
    if (look === 'links') this.looked = { ms, endedAt };
    if (scope === 'all') this.compared = { ms, endedAt };
    this.#last = outcome;
    const failures = mendable(outcome.applied.failures);
    const problems = [...failures.map(failureText), ...outcome.containers.failures];
    this.last = { endedAt: new Date().toISOString(), problem: brief(problems) };
    this.#ended.resolve(undefined);
    this.save();
    this.#logLasting(outcome.applied.failures.filter(({ lasting }) => lasting === true).map(faultOfPass));
    metrics.passed({
      seconds: (endedAt - start) / 1_000,
      detail: outcome.detail,
      repair: settled,
      failures,
      peers: snapshot.allocations.filter(({ node }) => node !== this.node).length,
    });
    const faults = [...failures.map(faultOfPass), ...outcome.containers.failures.map(unopened)];
    if (faults.length > 0) throw new Faults(brief(problems), faults);
    return again;
  }

  /** Logs what no retry can mend, once: the queue hears only of what it is to try again. */
  #logLasting(faults: readonly Fault[]): void {
    const before = this.#lasting;
    this.#lasting = new Set(faults.map(({ object, output }) => `${object} ${String(output)}`));
    for (const fault of faults)
      if (!before.has(`${fault.object} ${String(fault.output)}`))
        this.#parts.log.warn("this cannot be repaired; change the node's setup", fault);
  }

  /** Whether the last pass had the same snapshot, and nothing of it must be tried again. */
  #stands(snapshot: Snapshot): boolean {
    if (this.#last === undefined) return false;
    const { applied, containers } = this.#last;
    return (
      mendable(applied.failures).length === 0 &&
      containers.failures.length === 0 &&
      sameSnapshot(this.#last.snapshot, snapshot)
    );
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    this.steps++;
    try {
      return await work();
    } finally {
      this.steps++;
    }
  }

  /** Writes the checkpoint, for an agent that starts while the API server is away. */
  save(): void {
    const { checkpoint, cni, seen, caches, namespaces, judge } = this.#parts;
    const { snapshot } = this;
    if (snapshot === undefined) return;
    const { highest } = seen.observe(caches.versions);
    checkpoint.save({
      snapshot: this.#withDocker(snapshot),
      networks: [...cni.owned].sort(),
      namespaces: namespaces.list,
      ...(highest === undefined ? {} : { seenResourceVersion: highest }),
      ...(judge.remembered === undefined ? {} : { belief: judge.remembered }),
    });
  }

  #withDocker<T extends Snapshot | undefined>(snapshot: T): T {
    const docker = this.docker ?? [];
    if (snapshot === undefined || (docker.length === 0 && snapshot.docker === undefined)) return snapshot;
    return { ...snapshot, docker };
  }

  /**
   * Applies the snapshot. A conflist is removed before its bridge and written after it. A network that fails keeps its
   * conflist.
   */
  async #apply(snapshot: Snapshot, scope: Scope): Promise<Outcome> {
    const { cni } = this.#parts;
    const conflists = cni.conflists(snapshot);
    const withdrawn = cni.withdraw(conflists);
    const { changes, failures, unread, detail } = await this.#reconcileKernel(snapshot, scope);
    const outcome = (containers: PassContainers, ...later: Failure[]): Outcome => ({
      snapshot,
      applied: {
        allocation: ownAllocation(snapshot),
        networks: new Set(snapshot.networks.map(({ metadata }) => metadata.name)),
        failures: [...withdrawn, ...failures, ...later],
      },
      containers,
      changes,
      detail,
    });
    if (grave(failures).some(({ network }) => network === undefined)) return outcome(this.containers);
    this.passed = true;
    const failed = new Set(
      failures.flatMap(({ network, leftover }) => (leftover === true ? [] : (network ?? []))),
    );
    const published = cni.publish(conflists.filter(({ network }) => !failed.has(network)));
    const leases = cni.removeLeases(new Set([...conflists.map(({ network }) => network), ...failed]));
    // later failures close nothing: they must not make a node NotReady
    const waiting = snapshot.config.defaultNetwork.split(',').some((name) => failed.has(name));
    if (ownAllocation(snapshot)?.vtep !== undefined && !waiting) this.complete = true;
    const unopened = this.complete ? cni.open().map(failureText) : [];
    const containers = { failures: unopened, held: leases.held, first: cni.first, unread };
    return outcome(containers, ...published, ...leases.failures);
  }

  async #reconcileKernel(snapshot: Snapshot, scope: Scope): Promise<Reconciled> {
    try {
      return await this.#parts.kernel.reconcile(snapshot, scope);
    } catch (error) {
      return { changes: 0, failures: [{ message: messageOf(error) }], unread: [] };
    }
  }
}

interface Parts {
  caches: Caches;
  kernel: Kernel;
  cni: CNIFiles;
  checkpoint: CheckpointFile;
  /** Undefined if the agent does not use Docker. */
  docker: { readonly blocks: Blocks | undefined } | undefined;
  namespaces: { readonly list: readonly Namespace[] };
  /** From the checkpoint. */
  last: Snapshot | undefined;
  judge: Pick<Judge, 'run' | 'wanted' | 'believed' | 'kept' | 'missing' | 'remembered'>;
  seen: SeenVersion;
  metrics: Metrics;
  log: Log;
}
