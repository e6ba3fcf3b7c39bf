import type { DeletionVerdict } from '../allocate/deleting.ts';
import { Deletions } from '../allocate/deletions.ts';
import type { Plan } from '../allocate/plan.ts';
import type { View } from '../allocate/view.ts';
import { inUseFinalizer, isBare, isGuarded, isWaiting } from '../api/inuse.ts';
import type { ObjectMeta, OverlayNetwork } from '../api/types.ts';
import { ApiError, type Client } from '../kube/client.ts';
import { KeyedQueue, type Result } from '../kube/queue.ts';
import { overlayNetworks } from '../kube/resources.ts';
import type { Log } from '../log.ts';
import type { Caches } from './caches.ts';
import { NetworksKindReader } from './networkskind.ts';
import { inParallel } from './parallel.ts';

/** After the end, no network keeps the finalizer. */
const ended = ({ metadata }: OverlayNetwork): DeletionVerdict => ({
  finalizer: isGuarded(metadata) ? 'remove' : undefined,
  finding: undefined,
  wakeAt: Infinity,
});

/** While a network waits for its deletion, the CRD is read again after this many milliseconds. */
const readAgainMs = 4_000;

/** Keeps our finalizer on every network, and removes it when the network may go. */
export class NetworkGuard {
  readonly #client: Client;
  readonly #caches: Caches;
  readonly #deletions = new Deletions();
  /** By node: when its OverlayAgent last changed. */
  readonly #changed = new Map<string, number>();
  readonly #kind: NetworksKindReader;
  readonly #queue: KeyedQueue<'waiting'>;
  #ended = false;

  constructor({ client, caches, log }: { client: Client; caches: Caches; log: Log }) {
    this.#client = client;
    this.#caches = caches;
    this.#kind = new NetworksKindReader(client);
    this.#queue = new KeyedQueue({ log, minIntervalMs: 1_000, reconcile: () => this.#letGo() });
    caches.networks.onChange((_name, object) => {
      if (object !== undefined && isWaiting(object.metadata)) this.#queue.add('waiting');
    });
    caches.agents.onChange((name, object) => {
      if (object === undefined) this.#changed.delete(name);
      else this.#changed.set(name, Date.now());
    });
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  /**
   * Removes the finalizer from every network at once, because overlaynet is being uninstalled. A finalizer that stayed
   * would block the deletion of the CRDs.
   */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#removeWhere(isGuarded);
  }

  /**
   * Removes the finalizer from networks whose CRD is being deleted. This needs neither a leader nor a settled
   * allocation: if the other CRDs go too, nothing can be allocated any more.
   */
  async #letGo(): Promise<Result | undefined> {
    if (!this.#caches.networks.list().some(({ metadata }) => isWaiting(metadata))) return undefined;
    await this.#kind.read();
    if (this.#kind.last?.goes !== true) return { requeueAfterMs: readAgainMs };
    await this.#removeWhere(isWaiting);
    return undefined;
  }

  async #removeWhere(chosen: (metadata: ObjectMeta) => boolean): Promise<void> {
    const networks = this.#caches.networks.list().filter(({ metadata }) => chosen(metadata));
    await inParallel(networks, (network) => this.#setAgain(network, 'remove'));
  }

  /**
   * Adds the finalizer to every network in the cache that has none. The allocator calls it before it plans: no
   * container can join a network before a node has a block of it. What the API server refuses is reported when the
   * statuses are written.
   */
  async protect(signal: AbortSignal): Promise<void> {
    const tried = new Set<string>();
    const next = () =>
      this.#caches.networks.list().filter(({ metadata }) => isBare(metadata) && !tried.has(metadata.name));
    // others may have come meanwhile
    for (let bare = next(); bare.length > 0 && !this.#ended && !signal.aborted; bare = next())
      await inParallel(bare, async (network) => {
        tried.add(network.metadata.name);
        await this.#setAgain(network, 'add').catch(() => undefined);
      });
  }

  /** Judges the deletion of each network, by name. */
  judge(view: View, plan: Plan): Map<string, DeletionVerdict> {
    if (this.#ended) return new Map(view.networks.map((network) => [network.metadata.name, ended(network)]));
    return this.#deletions.judge(view.networks, view, plan, (node) => this.#changed.get(node));
  }

  /** Sets the finalizer, once more if another writer was faster. */
  async #setAgain(network: OverlayNetwork, finalizer: 'add' | 'remove'): Promise<void> {
    const done = await this.set(network, finalizer);
    const now = done ? undefined : this.#caches.networks.get(network.metadata.name);
    if (now !== undefined && isGuarded(now.metadata) === (finalizer === 'remove'))
      await this.set(now, finalizer);
  }

  /**
   * Adds or removes the finalizer, under the resourceVersion of the object that was judged.
   * @returns false if another writer was faster
   * @throws ApiError for anything else
   */
  async set(network: OverlayNetwork, finalizer: 'add' | 'remove'): Promise<boolean> {
    const { finalizers = [], name } = network.metadata;
    const others = finalizers.filter((one) => one !== inUseFinalizer);
    const metadata = {
      ...network.metadata,
      finalizers: finalizer === 'add' ? [...others, inUseFinalizer] : others,
    };
    try {
      await this.#client.update(overlayNetworks, { ...network, metadata });
    } catch (error) {
      if (!(error instanceof ApiError && (error.status === 409 || error.status === 404))) throw error;
      await this.#caches.networks.refresh(name);
      return false;
    }
    // without its last finalizer the object is gone
    await this.#caches.networks.refresh(name);
    return true;
  }
}
