import type { AgentAllocation, KubeObject, OverlayConfig } from '../api/types.ts';
import { apiVersion } from '../api/types.ts';
import { spacesName, type Write } from '../allocate/view.ts';
import { ApiError, type Client } from '../kube/client.ts';
import { isGone } from '../kube/error.ts';
import type { Informer } from '../kube/informer.ts';
import {
  agentAllocations,
  allocationLedgers,
  overlayAgents,
  overlayConfigs,
  type Resource,
} from '../kube/resources.ts';
import type { Caches } from './caches.ts';

/** The result of one write. `conflict`: another writer was faster, and the cache now has the API server's object. */
export type Result = 'done' | 'conflict';

/**
 * Sends the writes of a plan. The precondition of each is the object that the plan used, whatever the caches show
 * when it is sent. The caches take over the answers at once.
 */
export class Writer {
  /** Marks of Releasing blocks whose node's AgentAllocation was written, or found absent, after the mark was read. */
  readonly withdrawn = new Set<string>();
  readonly #client: Client;
  readonly #caches: Caches;

  constructor(client: Client, caches: Caches) {
    this.#client = client;
    this.#caches = caches;
  }

  /** @throws Error for anything but success or a lost race */
  async send(write: Write): Promise<Result> {
    const { informer, name } = this.#target(write);
    try {
      const done = await this.#perform(write);
      if (!done) return 'conflict';
    } catch (error) {
      if (!isLostRace(error)) throw error;
      await informer.refresh(name);
      return 'conflict';
    }
    if ('withdraws' in write) for (const mark of write.withdraws) this.withdrawn.add(mark);
    return 'done';
  }

  #target(write: Write): { informer: Pick<Informer<KubeObject>, 'refresh'>; name: string } {
    const { configs, ledger, allocations, agents } = this.#caches;
    switch (write.kind) {
      case 'create-config':
        return { informer: configs, name: 'default' };
      case 'write-index':
        return { informer: ledger, name: spacesName };
      case 'write-page':
      case 'delete-page':
        return { informer: ledger, name: write.name };
      case 'create-allocation':
      case 'update-allocation':
      case 'delete-allocation':
      case 'confirm-absent':
        return { informer: allocations, name: write.node };
      case 'delete-agent':
        return { informer: agents, name: write.node };
    }
  }

  /** False if the object is not yet as the write wants it. */
  async #perform(write: Write): Promise<boolean> {
    const { configs, ledger, allocations, agents } = this.#caches;
    switch (write.kind) {
      case 'create-config': {
        const object = { metadata: { name: 'default' }, spec: write.spec } as OverlayConfig;
        await this.#store(overlayConfigs, configs, undefined, object);
        return true;
      }
      case 'write-index':
        await this.#storeIndex(write);
        return true;
      case 'write-page':
        await this.#store(allocationLedgers, ledger, write.over, {
          metadata: { name: write.name },
          spec: { page: write.page },
        });
        return true;
      case 'create-allocation':
        await this.#store(agentAllocations, allocations, undefined, allocation(write));
        return true;
      case 'update-allocation':
        await this.#store(agentAllocations, allocations, write.over, allocation(write));
        return true;
      case 'delete-page':
        return this.#remove(allocationLedgers, ledger, write.over);
      case 'delete-allocation':
        return this.#remove(agentAllocations, allocations, write.over);
      case 'delete-agent':
        return this.#remove(overlayAgents, agents, write.over);
      case 'confirm-absent':
        return (await allocations.refresh(write.node)) === undefined;
    }
  }

  /**
   * A CRD of an older version would drop fields, and the index would never be as planned: nothing else would be written
   * then. One that is refused is logged, and everything else goes on from the one that is stored.
   */
  async #storeIndex({ over, index }: Extract<Write, { kind: 'write-index' }>): Promise<void> {
    const { ledger } = this.#caches;
    const object = { metadata: { name: spacesName }, spec: { index } };
    try {
      await this.#store(allocationLedgers, ledger, over, object, true);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 400) throw error;
      throw new Error(
        `${error.message}: if its CRD is of an older version than this operator, apply the CRDs of this version`,
        { cause: error },
      );
    }
  }

  /**
   * Creates the object, or updates it under the resourceVersion that was planned from. managedFields are dropped,
   * because the operator is the only writer: they are more than half of an AgentAllocation's text, and every agent
   * would receive them.
   */
  async #store<T extends KubeObject>(
    resource: Resource<T>,
    informer: Informer<T>,
    over: T | undefined,
    next: T,
    strict = false,
  ): Promise<void> {
    const object = { ...next, apiVersion, kind: resource.kind, metadata: over?.metadata ?? next.metadata };
    const stored =
      over === undefined
        ? await this.#client.create(resource, object, { strict })
        : await this.#client.update(resource, object, { untracked: true, strict });
    informer.learn(stored);
  }

  /** Deletes the object. Returns whether it is gone: after a successful DELETE a finalizer may still keep it. */
  async #remove<T extends KubeObject>(
    resource: Resource<T>,
    informer: Informer<T>,
    over: T,
  ): Promise<boolean> {
    const { name, uid = '', resourceVersion = '' } = over.metadata;
    await this.#client.delete(resource, name, { uid, resourceVersion });
    return (await informer.refresh(name))?.metadata.uid !== uid;
  }
}

const allocation = ({ node, spec }: { node: string; spec: AgentAllocation['spec'] }): AgentAllocation => ({
  metadata: { name: node },
  spec,
});

/**
 * Whether the object is another than the one that was planned from. A 404 for the kind itself does not count: the CRD
 * is missing.
 */
const isLostRace = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 409 || isGone(error));
