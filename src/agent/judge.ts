import type { Finding } from '../api/conditions.ts';
import type { OverlayConfig } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Result } from '../kube/queue.ts';
import { believe, firstBelief, keptBy, wakeAt, type Belief, type Kept } from '../belief/belief.ts';
import type { Caches } from './caches.ts';
import type { Checkpoint, Remembered } from './checkpoint.ts';
import { newestOf } from '../belief/shown.ts';
import { holdingOf } from '../belief/holding.ts';
import type { SeenVersion } from '../report/registration.ts';
import { snapshotOf } from '../belief/snapshot.ts';

/** Keeps the belief about the caches from one pass to the next. The rules are in `believe`. */
export class Judge {
  readonly #parts: Parts;
  #belief: Belief | undefined;
  #newest: bigint | undefined;
  #kept: Kept = { peers: [], networks: [], blocks: [] };

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#belief = parts.last && recall(parts.last);
    this.#newest = parts.seen.before;
    parts.caches.onWentBack(() => {
      parts.seen.distrust();
    });
  }

  /**
   * Judges the caches' present content.
   * @returns when the judgement may change although the caches do not
   */
  run(): Result | undefined {
    const { caches, seen } = this.#parts;
    const next = this.#next;
    const belief = this.#believe(next);
    this.#belief = belief;
    this.#kept = keptBy(belief, next);
    if (belief === undefined) return undefined;
    this.#forgetReleased(belief);
    if (caches.synced && this.#config !== undefined && belief.doubt === undefined) seen.accept();
    const now = Date.now();
    const at = wakeAt(belief, now);
    return at === Infinity ? undefined : { requeueAfterMs: Math.max(0, at - now) };
  }

  /** Forgets released nodes that have left by now. */
  #forgetReleased({ snapshot }: Belief): void {
    const { released } = this.#parts.caches;
    if (released.size === 0) return;
    const shown = new Set(snapshot.allocations.map(({ node }) => node));
    for (const node of released) if (!shown.has(node)) released.delete(node);
  }

  /** What the kernel should show, by the last run or the checkpoint; undefined if nothing is known. */
  get believed(): Snapshot | undefined {
    return this.#belief?.snapshot;
  }

  /** The snapshot that a run would make now. */
  get wanted(): Snapshot | undefined {
    return this.#believe(this.#next)?.snapshot;
  }

  /**
   * What synced caches lack, so that everything stays as it was. For example, an allocation that is deleted comes
   * back without blocks first; the node's containers and leases must outlive that.
   */
  get missing(): string | undefined {
    const { caches } = this.#parts;
    if (!caches.synced) return undefined;
    if (this.#config === undefined) {
      return 'OverlayConfig default has no effective configuration';
    }
    return caches.allocation?.spec.vtep === undefined ? "this node's AgentAllocation has no VTEP" : undefined;
  }

  /** Objects that the last run kept although the caches do not show them. */
  get kept(): Kept {
    return this.#kept;
  }

  /** The condition that reports what stays; undefined if nothing does. */
  get holding(): Finding | undefined {
    if (this.#belief === undefined) return undefined;
    return holdingOf(this.#belief, this.#kept, this.#config, Date.now());
  }

  /** For the checkpoint: the part of the belief that does not follow from the snapshot. */
  get remembered(): Remembered | undefined {
    if (this.#belief === undefined) return undefined;
    const { configUID, doubt, lostPeers } = this.#belief;
    return {
      ...(configUID === undefined ? {} : { configUID }),
      ...(doubt === undefined ? {} : { doubt }),
      ...(lostPeers.length === 0
        ? {}
        : { gone: lostPeers.map(({ node, since, mass }) => ({ node, since, mass })) }),
    };
  }

  /** The configuration; undefined if none is in force. */
  get #config(): OverlayConfig | undefined {
    const config = this.#parts.caches.configs.get('default');
    return config?.status?.effective === undefined ? undefined : config;
  }

  #believe(next: Snapshot | undefined): Belief | undefined {
    const { caches, seen } = this.#parts;
    if (!caches.synced) return this.#belief;
    this.#newest = newestOf(caches.cached.allocations, this.#newest);
    return believe(this.#belief, {
      config: this.#config,
      networks: caches.cached.networks,
      allocations: caches.cached.allocations,
      seen: this.#newest,
      next,
      released: caches.released,
      wentBack: seen.observe(caches.versions).wentBack,
      refused: caches.refused,
      now: Date.now(),
    });
  }

  /** The snapshot made from the caches alone; undefined if they do not hold enough. */
  get #next(): Snapshot | undefined {
    const { caches, node } = this.#parts;
    if (!caches.synced || this.missing !== undefined) return undefined;
    const last = this.#belief?.snapshot.apiServers;
    // an agent that has just started takes the API servers from its checkpoint
    return snapshotOf(node, { ...(last === undefined ? {} : { apiServers: last }), ...caches.cached });
  }
}

interface Parts {
  node: string;
  caches: Pick<
    Caches,
    'synced' | 'refused' | 'cached' | 'allocation' | 'versions' | 'released' | 'onWentBack'
  > & {
    configs: Pick<Caches['configs'], 'get'>;
  };
  seen: SeenVersion;
  /** The checkpoint. */
  last: Checkpoint | undefined;
}

function recall({ snapshot, belief = {} }: Checkpoint): Belief {
  const { gone = [], ...doubts } = belief;
  const specs = new Map(snapshot.allocations.map(({ node, spec }) => [node, spec]));
  const lostPeers = gone.flatMap((one) => {
    const spec = specs.get(one.node);
    return spec === undefined ? [] : [{ ...one, spec }];
  });
  return firstBelief(snapshot, { ...doubts, lostPeers });
}
