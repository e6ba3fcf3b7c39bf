import type { AgentAllocationSpec } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Caches } from './caches.ts';
import { sameSnapshot, type CheckpointFile } from './checkpoint.ts';
import type { CNIFiles } from './cni.ts';
import { defaultConflist, renderConflists } from './conflist.ts';
import { reasonOf } from './file.ts';
import type { Metrics } from './metrics.ts';
import type { SeenVersion } from './registration.ts';
import { brief, type Applied, type Failure } from './status.ts';
import { snapshotOf } from './snapshot.ts';

/** What the agent needs of src/linux/datapath.ts. */
export interface Kernel {
  /** Makes the kernel show the snapshot; what failed is in the result. */
  reconcile(snapshot: Snapshot): Promise<{ changes: number; failures: Failure[] }>;
}

/** One pass: caches or checkpoint → snapshot → kernel → conflists → checkpoint. */
export class Pass {
  /** Of the last pass; undefined before the first. */
  applied: Applied | undefined;
  /** What the last pass worked from, or the checkpoint. */
  snapshot: Snapshot | undefined;
  /** Of the last pass. */
  durationMs = 0;
  readonly node: string;
  readonly #parts: Parts;

  constructor(node: string, parts: Parts) {
    this.node = node;
    this.#parts = parts;
    this.snapshot = parts.last;
  }

  /** What the kernel is to show; undefined where nothing is known, and then nothing is touched. */
  get wanted(): Snapshot | undefined {
    const { caches } = this.#parts;
    if (!caches.synced || this.missing !== undefined) return this.snapshot;
    return snapshotOf(this.node, caches.cached);
  }

  /**
   * What synced caches do not say, so that all stays as it was. An allocation that someone deletes comes back without
   * blocks first; a node's containers and leases must outlive that.
   */
  get missing(): string | undefined {
    const { caches } = this.#parts;
    if (!caches.synced) return undefined;
    if (caches.configs.get('default')?.status?.effective === undefined) {
      return 'OverlayConfig default has no effective configuration';
    }
    return caches.allocation?.spec.vtep === undefined ? "this node's AgentAllocation has no VTEP" : undefined;
  }

  /** This node's allocation as the last pass, or the checkpoint, has it. */
  get held(): AgentAllocationSpec | undefined {
    return this.snapshot && ownAllocation(this.snapshot);
  }

  /**
   * @param look look at kernel and files also where objects say the same as at the last pass, which succeeded
   * @throws Error with what failed, for the queue to try again; the same is in `applied`
   */
  async run(look: boolean): Promise<void> {
    const snapshot = this.wanted;
    if (snapshot === undefined) return;
    if (
      !look &&
      this.applied?.failures.length === 0 &&
      this.snapshot &&
      sameSnapshot(this.snapshot, snapshot)
    )
      return;
    const { checkpoint, cni, seen, caches, metrics } = this.#parts;
    const start = performance.now();
    const { changes, failures } = await this.#apply(snapshot);
    this.durationMs = performance.now() - start;
    this.snapshot = snapshot;
    this.applied = {
      allocation: ownAllocation(snapshot),
      networks: new Set(snapshot.networks.map(({ metadata }) => metadata.name)),
      failures,
    };
    const { highest } = seen.observe(caches.resourceVersion);
    checkpoint.save({
      snapshot,
      networks: [...cni.owned].sort(),
      ...(highest === undefined ? {} : { seenResourceVersion: highest }),
    });
    metrics.passed({
      seconds: this.durationMs / 1_000,
      changes,
      failures,
      peers: snapshot.allocations.filter(({ node }) => node !== this.node).length,
    });
    if (failures.length > 0) throw new Error(brief(failures.map(failureText)));
  }

  /** A conflist goes before its bridge, comes after it; a network that fails keeps the conflist it has. */
  async #apply(snapshot: Snapshot): Promise<{ changes: number; failures: Failure[] }> {
    const { cni } = this.#parts;
    const conflists = renderConflists(snapshot);
    const withdrawn = cni.withdraw(conflists);
    const { changes, failures } = await this.#reconcileKernel(snapshot);
    if (failures.some(({ network }) => network === undefined)) {
      return { changes, failures: [...withdrawn, ...failures] };
    }
    const failed = new Set(failures.map(({ network }) => network ?? ''));
    const ready = conflists.filter(({ network }) => !failed.has(network));
    const published = cni.publish(ready, defaultConflist(conflists, snapshot.config.defaultNetwork));
    const leases = cni.removeLeases(new Set([...conflists.map(({ network }) => network), ...failed]));
    return { changes, failures: [...withdrawn, ...failures, ...published, ...leases] };
  }

  async #reconcileKernel(snapshot: Snapshot): Promise<{ changes: number; failures: Failure[] }> {
    try {
      return await this.#parts.kernel.reconcile(snapshot);
    } catch (error) {
      return { changes: 0, failures: [{ message: reasonOf(error) }] };
    }
  }
}

interface Parts {
  caches: Caches;
  kernel: Kernel;
  cni: CNIFiles;
  checkpoint: CheckpointFile;
  /** From the checkpoint. */
  last: Snapshot | undefined;
  seen: SeenVersion;
  metrics: Metrics;
}

const ownAllocation = ({ node, allocations }: Snapshot): AgentAllocationSpec | undefined =>
  allocations.find((allocation) => allocation.node === node)?.spec;

const failureText = ({ network, message }: Failure): string =>
  network === undefined ? message : `${network}: ${message}`;
