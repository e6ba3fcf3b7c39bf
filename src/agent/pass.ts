import type { AgentAllocationSpec } from '../api/types.ts';
import { ownAllocation, type Blocks, type Snapshot } from '../dataplane/snapshot.ts';
import type { Scope } from '../dataplane/state.ts';
import type { Result } from '../kube/queue.ts';
import type { Caches } from './caches.ts';
import { sameSnapshot, type CheckpointFile } from './checkpoint.ts';
import type { CNIFiles } from '../containers/cni.ts';
import { reasonOf } from '../host/file.ts';
import type { Judge } from './judge.ts';
import type { Metrics } from './metrics.ts';
import type { SeenVersion } from '../report/registration.ts';
import type { Failure } from '../dataplane/state.ts';
import type { PassContainers } from '../report/findings.ts';
import { brief, failureText, grave, mendable, type Applied } from '../report/status.ts';
import type { Namespace } from '../containers/wish.ts';

/** What the agent needs of src/linux/datapath.ts. */
export interface Kernel {
  /** Makes the kernel show the snapshot; what failed is in the result. `links`: looks at rules only where it has to. */
  reconcile(snapshot: Snapshot, scope: Scope): Promise<Reconciled>;
}

interface Reconciled {
  /** Writes to the kernel. */
  changes: number;
  failures: Failure[];
  /** Records of containers that could not be read. */
  unread: string[];
}

/** What a pass worked from, and how it left the node. */
interface Outcome {
  snapshot: Snapshot;
  applied: Applied;
  containers: PassContainers;
  /** Writes to the kernel. Whether they stand, all of them, is for the next pass to see. */
  changes: number;
}

const nothingYet: PassContainers = { failures: [], held: [], first: undefined, unread: [] };

/** One pass: caches or checkpoint → snapshot → kernel → conflists → checkpoint; the runtimes' own conflist last. */
export class Pass {
  readonly node: string;
  /** Resolves when the first pass of this process has ended. */
  readonly first: Promise<undefined>;
  /** The data path was complete once since the machine started, by this process or one before: containers can come. */
  complete: boolean;
  /** A pass of this process did all that concerns the node as a whole. */
  passed = false;
  /** Of the last pass that was asked for links alone: what it took, and when it ended, by the monotonic clock. */
  looked = { ms: 0, endedAt: -Infinity };
  /** Of the last complete comparison: the same. */
  compared = { ms: 0, endedAt: -Infinity };
  readonly #parts: Parts;
  readonly #ended = Promise.withResolvers<undefined>();
  /** Undefined before the first pass of this process. */
  #last: Outcome | undefined;

  constructor(node: string, parts: Parts) {
    this.node = node;
    this.#parts = parts;
    this.first = this.#ended.promise;
    this.complete = parts.cni.isOpen;
  }

  /** What the last pass worked from, or the checkpoint. */
  get snapshot(): Snapshot | undefined {
    return this.#last?.snapshot ?? this.#parts.last;
  }

  /** Of the last pass; undefined before the first. */
  get applied(): Applied | undefined {
    return this.#last?.applied;
  }

  /** How the last pass left the node for containers. */
  get containers(): PassContainers {
    return this.#last?.containers ?? nothingYet;
  }

  /** What the kernel is to show; undefined where nothing is known, and then nothing is touched. */
  get wanted(): Snapshot | undefined {
    return this.#withDocker(this.#parts.judge.wanted);
  }

  /** Networks of ours that Docker has: by its engine, and until that has answered by the checkpoint. Undefined: not known. */
  get docker(): Blocks | undefined {
    const { docker, last } = this.#parts;
    return docker?.blocks ?? (last && (last.docker ?? []));
  }

  /** This node's allocation as the last pass, or the checkpoint, has it. */
  get held(): AgentAllocationSpec | undefined {
    const { snapshot } = this;
    return snapshot && ownAllocation(snapshot);
  }

  /**
   * @param look what of the kernel to look at, beside the files, where objects say the same as at the last pass, which
   *   succeeded; undefined: nothing
   * @returns when to run again although nothing changes
   * @throws Error with what failed, for the queue to try again; the same is in `applied`
   */
  async run(look: Scope | undefined): Promise<Result | undefined> {
    const { metrics, judge } = this.#parts;
    const again = judge.run();
    metrics.holds(judge.held);
    const snapshot = this.#withDocker(judge.believed);
    if (snapshot === undefined) return undefined;
    const stands = this.#stands(snapshot);
    if (stands && look === undefined) {
      this.save();
      return again;
    }
    const settled = stands && this.#last?.changes === 0;
    const start = performance.now();
    const scope = settled && look === 'links' ? 'links' : 'all';
    const outcome = await this.#apply(snapshot, scope);
    const endedAt = performance.now();
    const ms = endedAt - start;
    if (look === 'links') this.looked = { ms, endedAt };
    if (scope === 'all') this.compared = { ms, endedAt };
    this.#last = outcome;
    this.#ended.resolve(undefined);
    this.save();
    const failures = mendable(outcome.applied.failures);
    metrics.passed({
      seconds: ms / 1_000,
      changes: outcome.changes,
      failures,
      peers: snapshot.allocations.filter(({ node }) => node !== this.node).length,
    });
    const problems = [...failures.map(failureText), ...outcome.containers.failures];
    if (problems.length > 0) throw new Error(brief(problems));
    return again;
  }

  /** Whether the last pass worked from the same, and nothing of it is to be tried again. */
  #stands(snapshot: Snapshot): boolean {
    if (this.#last === undefined) return false;
    const { applied, containers } = this.#last;
    return (
      mendable(applied.failures).length === 0 &&
      containers.failures.length === 0 &&
      sameSnapshot(this.#last.snapshot, snapshot)
    );
  }

  /** Puts on disk what an agent needs that starts while the API server is away. */
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

  /** A conflist goes before its bridge, comes after it; a network that fails keeps the conflist it has. */
  async #apply(snapshot: Snapshot, scope: Scope): Promise<Outcome> {
    const { cni } = this.#parts;
    const conflists = cni.conflists(snapshot);
    const withdrawn = cni.withdraw(conflists);
    const { changes, failures, unread } = await this.#reconcileKernel(snapshot, scope);
    const outcome = (containers: PassContainers, ...later: Failure[]): Outcome => ({
      snapshot,
      applied: {
        allocation: ownAllocation(snapshot),
        networks: new Set(snapshot.networks.map(({ metadata }) => metadata.name)),
        failures: [...withdrawn, ...failures, ...later],
      },
      containers,
      changes,
    });
    if (grave(failures).some(({ network }) => network === undefined)) return outcome(this.containers);
    this.passed = true;
    const failed = new Set(
      failures.flatMap(({ network, leftover }) => (leftover === true ? [] : (network ?? []))),
    );
    const published = cni.publish(conflists.filter(({ network }) => !failed.has(network)));
    const leases = cni.removeLeases(new Set([...conflists.map(({ network }) => network), ...failed]));
    // later failures close nothing: a node is not to become NotReady by them
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
      return { changes: 0, failures: [{ message: reasonOf(error) }], unread: [] };
    }
  }
}

interface Parts {
  caches: Caches;
  kernel: Kernel;
  cni: CNIFiles;
  checkpoint: CheckpointFile;
  /** Absent where no Docker engine is looked for. */
  docker: { readonly blocks: Blocks | undefined } | undefined;
  namespaces: { readonly list: readonly Namespace[] };
  /** From the checkpoint. */
  last: Snapshot | undefined;
  judge: Pick<Judge, 'run' | 'wanted' | 'believed' | 'held' | 'missing' | 'remembered'>;
  seen: SeenVersion;
  metrics: Metrics;
}
