import type { AgentAllocationSpec } from '../api/types.ts';
import type { Blocks, Snapshot } from '../dataplane/snapshot.ts';
import type { Scope } from '../dataplane/state.ts';
import type { Result } from '../kube/queue.ts';
import { pause } from '../kube/wait.ts';
import type { Caches } from './caches.ts';
import { sameSnapshot, type CheckpointFile } from './checkpoint.ts';
import type { CNIFiles } from '../containers/cni.ts';
import type { Known } from '../containers/choose.ts';
import { reasonOf } from '../host/file.ts';
import type { Judge } from './judge.ts';
import type { Metrics } from './metrics.ts';
import type { SeenVersion } from '../report/registration.ts';
import type { Failure } from '../dataplane/state.ts';
import { closedNetworks } from '../containers/closed.ts';
import type { PassContainers } from '../report/findings.ts';
import { brief, failureText, grave, mendable, type Applied } from '../report/status.ts';
import { idleNetworks, networksInForce } from '../belief/snapshot.ts';
import type { Namespace } from '../containers/wish.ts';

/** The plugin waits 5 s, and a namespace may have to be looked up, too. */
const firstPassMs = 2_000;

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

/** One pass: caches or checkpoint → snapshot → kernel → conflists → checkpoint; the runtimes' own conflist last. */
export class Pass {
  /** Of the last pass; undefined before the first. */
  applied: Applied | undefined;
  /** What the last pass worked from, or the checkpoint. */
  snapshot: Snapshot | undefined;
  /** The data path was complete once since the machine started, by this process or one before: containers can come. */
  complete: boolean;
  /** A pass of this process did all that concerns the node as a whole. */
  passed = false;
  /** Of the last pass. */
  containers: PassContainers = { failures: [], held: [], first: undefined, unread: [] };
  /** Of the last pass that was asked for links alone: what it took, and when it ended, by the monotonic clock. */
  looked = { ms: 0, endedAt: -Infinity };
  /** The last pass changed something of the kernel: whether that stands, all of it, is for the next one to see. */
  #changed = false;
  readonly node: string;
  readonly #parts: Parts;
  readonly #first = Promise.withResolvers<undefined>();

  constructor(node: string, parts: Parts) {
    this.node = node;
    this.#parts = parts;
    this.snapshot = parts.last;
    this.complete = parts.cni.isOpen;
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
    return this.snapshot && ownAllocation(this.snapshot);
  }

  /**
   * `known`, of an agent that has just started once its first pass has ended: a runtime that is told to try again does so
   * only after seconds.
   */
  async settled(): Promise<Known | string> {
    if (this.applied === undefined && this.wanted !== undefined) {
      const slow = new AbortController();
      await Promise.race([this.#first.promise, pause(firstPassMs, slow.signal)]);
      slow.abort();
    }
    return this.known;
  }

  /** Networks that take no new containers, and why. */
  get closed(): ReadonlyMap<string, string> {
    const { snapshot, applied } = this;
    return closedNetworks(snapshot?.networks ?? [], applied?.failures ?? [], this.#parts.cni.owned);
  }

  /** What a container's networks follow from; text, where the data path was never complete: what is awaited. */
  get known(): Known | string {
    const { caches } = this.#parts;
    const { snapshot, applied } = this;
    if (!this.complete || snapshot === undefined || applied === undefined) return this.#awaited;
    const failed = new Map(this.closed);
    if (!caches.networks.hasSynced) return { snapshot, idle: undefined, failed };
    const networks = caches.networks.list();
    const inForce = new Set(networksInForce(networks).map(({ metadata }) => metadata.name));
    for (const name of inForce) {
      if (!applied.networks.has(name)) failed.set(name, 'it has just come');
    }
    return { snapshot, idle: idleNetworks(networks, inForce), failed };
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
    const stands =
      this.applied !== undefined &&
      mendable(this.applied.failures).length === 0 &&
      this.containers.failures.length === 0 &&
      this.snapshot !== undefined &&
      sameSnapshot(this.snapshot, snapshot);
    if (stands && look === undefined) {
      this.save();
      return again;
    }
    const scope = stands && !this.#changed && look === 'links' ? 'links' : 'all';
    const start = performance.now();
    const { changes, failures } = await this.#apply(snapshot, scope);
    const ms = performance.now() - start;
    this.#changed = changes > 0;
    if (look === 'links') this.looked = { ms, endedAt: performance.now() };
    this.snapshot = snapshot;
    this.applied = {
      allocation: ownAllocation(snapshot),
      networks: new Set(snapshot.networks.map(({ metadata }) => metadata.name)),
      failures,
    };
    this.#first.resolve(undefined);
    this.save();
    metrics.passed({
      seconds: ms / 1_000,
      changes,
      failures: mendable(failures),
      peers: snapshot.allocations.filter(({ node }) => node !== this.node).length,
    });
    const problems = [...mendable(failures).map(failureText), ...this.containers.failures];
    if (problems.length > 0) throw new Error(brief(problems));
    return again;
  }

  /** Puts on disk what an agent needs that starts while the API server is away. */
  save(): void {
    const { checkpoint, cni, seen, caches, namespaces, judge } = this.#parts;
    if (this.snapshot === undefined) return;
    const { highest } = seen.observe(caches.versions);
    checkpoint.save({
      snapshot: this.#withDocker(this.snapshot),
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

  get #awaited(): string {
    const { caches, judge } = this.#parts;
    const { problems } = caches;
    if (judge.missing !== undefined) return judge.missing;
    if (this.applied !== undefined) return brief(this.applied.failures.map(failureText));
    return problems.length > 0 ? problems.join('; ') : 'the first pass over the kernel has not ended';
  }

  /** A conflist goes before its bridge, comes after it; a network that fails keeps the conflist it has. */
  async #apply(snapshot: Snapshot, scope: Scope): Promise<{ changes: number; failures: Failure[] }> {
    const { cni } = this.#parts;
    const conflists = cni.conflists(snapshot);
    const withdrawn = cni.withdraw(conflists);
    const { changes, failures, unread } = await this.#reconcileKernel(snapshot, scope);
    if (grave(failures).some(({ network }) => network === undefined)) {
      return { changes, failures: [...withdrawn, ...failures] };
    }
    this.passed = true;
    const failed = new Set(
      failures.flatMap(({ network, leftover }) => (leftover === true ? [] : (network ?? []))),
    );
    const ready = conflists.filter(({ network }) => !failed.has(network));
    const published = cni.publish(ready);
    const leases = cni.removeLeases(new Set([...conflists.map(({ network }) => network), ...failed]));
    // later failures close nothing: a node is not to become NotReady by them
    const waiting = snapshot.config.defaultNetwork.split(',').some((name) => failed.has(name));
    if (ownAllocation(snapshot)?.vtep !== undefined && !waiting) this.complete = true;
    this.containers = {
      failures: this.complete ? cni.open().map(failureText) : [],
      held: leases.held,
      first: cni.first,
      unread,
    };
    return { changes, failures: [...withdrawn, ...failures, ...published, ...leases.failures] };
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

const ownAllocation = ({ node, allocations }: Snapshot): AgentAllocationSpec | undefined =>
  allocations.find((allocation) => allocation.node === node)?.spec;
