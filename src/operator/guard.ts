import { judgeDeletion, type DeletionVerdict } from '../allocate/deleting.ts';
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
  /** By uid of a network that is being deleted: when this operator saw that first. */
  readonly #deletions = new Map<string, number>();
  /** By node: when its OverlayAgent last changed. */
  readonly #heard = new Map<string, number>();
  #ended = false;

  constructor(client: Client, caches: Caches) {
    this.#client = client;
    this.#caches = caches;
    caches.agents.onChange((name, object) => {
      if (object === undefined) this.#heard.delete(name);
      else this.#heard.set(name, Date.now());
    });
  }

  /**
   * overlaynet is being uninstalled: a finalizer that nobody takes off would keep the CRDs from being deleted. Takes it off
   * every network, at once.
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

  /** By name: what is to become of each network. */
  judge(view: View, plan: Plan): Map<string, DeletionVerdict> {
    const going = view.networks.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    const uids = new Set(going.map(({ metadata }) => metadata.uid ?? ''));
    for (const uid of this.#deletions.keys()) if (!uids.has(uid)) this.#deletions.delete(uid);
    const facts = this.#ended ? { ...view, networksKind: { uid: '', goes: true } } : view;
    return new Map(
      view.networks.map((network) => {
        const { name, uid = '', deletionTimestamp } = network.metadata;
        const deletionSeen = this.#deletions.get(uid) ?? view.now;
        if (deletionTimestamp !== undefined) this.#deletions.set(uid, deletionSeen);
        const agent = (node: string) => this.#heard.get(node);
        return [name, judgeDeletion(network, facts, plan, { deletionSeen, agent })];
      }),
    );
  }

  /**
   * Adds or removes the finalizer, over the very object that was judged.
   * @returns false where somebody else was faster. @throws ApiError for anything else
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
    // the last finalizer takes the object along
    await this.#caches.networks.refresh(name);
    return true;
  }
}
