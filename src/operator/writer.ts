import type { AgentAllocation, AllocationLedger, KubeObject, OverlayConfig } from '../api/types.ts';
import { apiVersion } from '../api/types.ts';
import { blockKey } from '../allocate/space.ts';
import { spacesName, type Ledger, type Write } from '../allocate/view.ts';
import { ApiError, type Client } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import {
  agentAllocations,
  allocationLedgers,
  overlayAgents,
  overlayConfigs,
  type Resource,
} from '../kube/resources.ts';
import type { Caches } from './caches.ts';
import { ledgerOf } from './caches.ts';

/**
 * What became of one write. `conflict`: somebody else was faster. After that, and after a page was created, the ledger
 * is read again before anything more is planned.
 */
export type Result = 'done' | 'created-page' | 'conflict';

/**
 * The ledger and the AgentAllocations as this run of the allocator knows them: what it read, and what its own writes
 * were answered with. It sends the plan's writes, each under the resourceVersion that the plan was made from.
 */
export class Writer {
  ledger: Ledger;
  /** `page/index` of Releasing blocks whose node's AgentAllocation was written, or found absent, since the mark. */
  readonly withdrawn = new Set<string>();
  private readonly client: Client;
  private readonly caches: Caches;
  /** Objects that are deleted, whatever the watch still shows: by uid. */
  private readonly gone = new Set<string>();

  constructor(client: Client, caches: Caches) {
    this.client = client;
    this.caches = caches;
    this.ledger = caches.watchedLedger();
  }

  /** Everything in the ledger, from the API server itself. What was withdrawn before is asked for again. */
  async readLedger(): Promise<void> {
    const { items, resourceVersion } = await this.client.list(allocationLedgers);
    for (const item of items) this.caches.ledger.learn(item);
    this.ledger = ledgerOf(items, Number(resourceVersion));
    this.withdrawn.clear();
  }

  allocations(): Map<string, AgentAllocation> {
    return this.present(this.caches.allocations.list());
  }

  present<T extends KubeObject>(objects: readonly T[]): Map<string, T> {
    return new Map(
      objects.filter(({ metadata }) => !this.gone.has(metadata.uid ?? '')).map((o) => [o.metadata.name, o]),
    );
  }

  /** @throws Error for what is neither success nor a lost race. */
  async send(write: Write): Promise<Result> {
    try {
      return await this.perform(write);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return 'conflict';
      throw error;
    }
  }

  private async perform(write: Write): Promise<Result> {
    const { client, caches } = this;
    switch (write.kind) {
      case 'create-config': {
        const object = { metadata: { name: 'default' }, spec: write.spec };
        const create = () => client.create(overlayConfigs, stamped(overlayConfigs, object) as OverlayConfig);
        return this.orLook(overlayConfigs, caches.configs, 'default', async () => {
          caches.configs.learn(await create());
        });
      }
      case 'write-index':
        return this.writeLedger(spacesName, { index: write.index });
      case 'write-page':
        return this.writeLedger(write.name, { page: write.page });
      case 'delete-page': {
        await this.remove(allocationLedgers, this.ledger.pages.get(write.name));
        this.replacePages((pages) => pages.delete(write.name));
        return 'done';
      }
      case 'create-allocation': {
        const object = stamped(agentAllocations, { metadata: { name: write.node }, spec: write.spec });
        return this.allocate(write, () => client.create(agentAllocations, object));
      }
      case 'update-allocation': {
        const { metadata } = this.allocation(write.node);
        const object = stamped(agentAllocations, { metadata, spec: write.spec });
        return this.allocate(write, () => client.update(agentAllocations, object));
      }
      case 'delete-allocation': {
        const object = caches.allocations.get(write.node);
        if (object === undefined)
          return (await this.look(write.node)) ? 'conflict' : this.confirm(write.withdraws);
        await this.orLook(agentAllocations, caches.allocations, write.node, () =>
          this.remove(agentAllocations, object),
        );
        return this.confirm(write.withdraws);
      }
      case 'confirm-absent':
        return (await this.look(write.node)) ? 'conflict' : this.confirm(write.withdraws);
      case 'delete-agent':
        return this.orLook(overlayAgents, caches.agents, write.node, () =>
          this.remove(overlayAgents, caches.agents.get(write.node)),
        );
    }
  }

  private async allocate(
    write: { node: string; withdraws: string[] },
    call: () => Promise<AgentAllocation>,
  ): Promise<Result> {
    const { allocations } = this.caches;
    await this.orLook(agentAllocations, allocations, write.node, async () => {
      allocations.learn(await call());
    });
    return this.confirm(write.withdraws);
  }

  /** A call that loses a race leaves the cache with what the API server has, so that the next plan is made from that. */
  private async orLook<T extends KubeObject>(
    resource: Resource<T>,
    cache: Informer<T>,
    name: string,
    call: () => Promise<void>,
  ): Promise<Result> {
    try {
      await call();
      return 'done';
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) {
        await this.refresh(resource, cache, name);
      }
      throw error;
    }
  }

  private confirm(withdraws: readonly string[]): Result {
    for (const key of withdraws) this.withdrawn.add(key);
    return 'done';
  }

  /** Whether the node's AgentAllocation exists, by the API server itself. */
  private look(node: string): Promise<boolean> {
    return this.refresh(agentAllocations, this.caches.allocations, node);
  }

  private async refresh<T extends KubeObject>(
    resource: Resource<T>,
    cache: Informer<T>,
    name: string,
  ): Promise<boolean> {
    const found = await this.client.get(resource, name);
    const cached = cache.get(name);
    if (cached?.metadata.uid !== found?.metadata.uid) this.gone.add(cached?.metadata.uid ?? '');
    if (found !== undefined) cache.learn(found);
    return found !== undefined;
  }

  private allocation(node: string): AgentAllocation {
    const object = this.caches.allocations.get(node);
    if (object === undefined) throw new Error(`agentallocations/${node} is no longer in the cache`);
    return object;
  }

  private async writeLedger(name: string, spec: AllocationLedger['spec']): Promise<Result> {
    const known = name === spacesName ? this.ledger.spaces : this.ledger.pages.get(name);
    const object = stamped(allocationLedgers, { metadata: known?.metadata ?? { name }, spec });
    const stored =
      known === undefined
        ? await this.client.create(allocationLedgers, object)
        : await this.client.update(allocationLedgers, object);
    this.caches.ledger.learn(stored);
    if (name === spacesName) this.ledger = { ...this.ledger, spaces: stored };
    else {
      this.replacePages((pages) => pages.set(name, stored));
      // evidence is of one mark: a block that is marked again needs another write
      const still = (stored.spec.page?.blocks ?? []).filter(({ state }) => state === 'Releasing');
      const keys = new Set(still.map((block) => blockKey(name, block)));
      for (const key of this.withdrawn)
        if (key.startsWith(`${name}/`) && !keys.has(key)) this.withdrawn.delete(key);
    }
    return known === undefined && name !== spacesName ? 'created-page' : 'done';
  }

  private replacePages(change: (pages: Map<string, AllocationLedger>) => void): void {
    const pages = new Map(this.ledger.pages);
    change(pages);
    this.ledger = { ...this.ledger, pages };
  }

  /** Guarded by what is known of the object; that it is gone already is no failure. */
  private async remove(resource: Resource<KubeObject>, object: KubeObject | undefined): Promise<void> {
    const { name, uid, resourceVersion } = object?.metadata ?? {};
    if (name === undefined || uid === undefined || resourceVersion === undefined) return;
    await this.client.delete(resource, name, { uid, resourceVersion });
    this.gone.add(uid);
  }
}

function stamped<T extends object>(
  resource: { kind: string },
  object: T,
): T & { apiVersion: string; kind: string } {
  return { apiVersion, kind: resource.kind, ...object };
}
