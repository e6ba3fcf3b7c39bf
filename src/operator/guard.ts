import type { DeletionVerdict } from '../allocate/deleting.ts';
import { Deletions } from '../allocate/deletions.ts';
import type { Plan } from '../allocate/plan.ts';
import type { View } from '../allocate/view.ts';
import { inUseFinalizer, isGuarded } from '../api/inuse.ts';
import type { OverlayNetwork } from '../api/types.ts';
import { ApiError, type Client } from '../kube/client.ts';
import { overlayNetworks } from '../kube/resources.ts';
import type { Caches } from './caches.ts';
import { inParallel } from './parallel.ts';

/** Keeps our finalizer on networks that containers use, and takes it off when they may go. */
export class NetworkGuard {
  readonly #client: Client;
  readonly #caches: Caches;
  readonly #deletions = new Deletions();
  /** By node: when its OverlayAgent last changed. */
  readonly #changed = new Map<string, number>();
  #ended = false;

  constructor(client: Client, caches: Caches) {
    this.#client = client;
    this.#caches = caches;
    caches.agents.onChange((name, object) => {
      if (object === undefined) this.#changed.delete(name);
      else this.#changed.set(name, Date.now());
    });
  }

  /**
   * Removes the finalizer from every network at once, because overlaynet is being uninstalled. A finalizer that stayed
   * would block the deletion of the CRDs.
   */
  async end(): Promise<void> {
    this.#ended = true;
    const guarded = this.#caches.networks.list().filter(({ metadata }) => isGuarded(metadata));
    await inParallel(guarded, async (network) => {
      const done = await this.set(network, 'remove');
      const now = done ? undefined : this.#caches.networks.get(network.metadata.name);
      if (now !== undefined && isGuarded(now.metadata)) await this.set(now, 'remove');
    });
  }

  /** Judges the deletion of each network, by name. */
  judge(view: View, plan: Plan): Map<string, DeletionVerdict> {
    const facts = this.#ended ? { ...view, networksKind: { uid: '', goes: true } } : view;
    return this.#deletions.judge(view.networks, facts, plan, (node) => this.#changed.get(node));
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
