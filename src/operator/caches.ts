import { isDeepStrictEqual } from 'node:util';
import type {
  AgentAllocation,
  AllocationLedger,
  KubeObject,
  ObjectMeta,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../api/types.ts';
import { isGuarded } from '../api/inuse.ts';
import { confirmOverlap } from '../api/ranges.ts';
import { confirmAddresses } from '../allocate/addresses.ts';
import { confirmDepartures } from '../allocate/departures.ts';
import { remembered } from '../allocate/remembered.ts';
import { confirmRestore } from '../allocate/restore.ts';
import { spacesName, type Ledger, type NodeFacts } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodeMetadata,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
} from '../kube/resources.ts';
import type { Log } from '../log.ts';

/** What is needed of a Node. */
const factsOf = remembered(({ metadata }: KubeObject): NodeFacts => {
  const { name, uid = '', labels = {}, creationTimestamp = '' } = metadata;
  return { name, uid, labels, creationTimestamp };
});

/** Of one state of a cache, as long as that is its state. */
const factsByName = remembered(
  (nodes: ReadonlyMap<string, KubeObject>): ReadonlyMap<string, NodeFacts> =>
    new Map([...nodes].map(([name, node]) => [name, factsOf(node)])),
);
const pagesOf = remembered((ledger: ReadonlyMap<string, AllocationLedger>): Ledger['pages'] => {
  const pages = new Map(ledger);
  pages.delete(spacesName);
  return pages;
});

/** The operator's watch caches. Nodes come as metadata: heartbeats of 5,000 kubelets are not its business. */
export class Caches {
  readonly configs: Informer<OverlayConfig>;
  readonly networks: Informer<OverlayNetwork>;
  readonly nodes: Informer<KubeObject>;
  readonly agents: Informer<OverlayAgent>;
  readonly allocations: Informer<AgentAllocation>;
  readonly ledger: Informer<AllocationLedger>;

  constructor(client: Client, log: Log) {
    this.configs = new Informer(client, overlayConfigs, { log });
    this.networks = new Informer(client, overlayNetworks, { log });
    this.nodes = new Informer(client, nodeMetadata, { log });
    this.agents = new Informer(client, overlayAgents, { log });
    this.allocations = new Informer(client, agentAllocations, { log });
    this.ledger = new Informer(client, allocationLedgers, { log });
  }

  get all(): Informer<KubeObject>[] {
    const { configs, networks, nodes, agents, allocations, ledger } = this;
    return [configs, networks, nodes, agents, allocations, ledger] as unknown as Informer<KubeObject>[];
  }

  /**
   * @param onChange something that the allocation follows from is different, or a cache has synced; `soon`: a node may
   * wait for what follows
   * @param onStatus only a status is, or a Node's heartbeat came
   */
  start(onChange: (soon: boolean) => void, onStatus: () => void): void {
    for (const informer of this.all) {
      informer.onChange((_name, object, old) => {
        if (matters(object, old)) onChange(!isAnswer(object, old) && !this.#isEarly(object, old));
        else if (informer !== (this.nodes as unknown)) onStatus();
      });
      informer.start();
      // an empty list tells of no change
      void informer.synced().then(() => {
        onChange(true);
      });
    }
  }

  /** Whether it is a Node that has just come, and no agent has registered on it: nobody waits yet. */
  #isEarly(object: KubeObject | undefined, old: KubeObject | undefined): boolean {
    const { name = '', uid } = object?.metadata ?? {};
    const known = this.nodes.get(name)?.metadata.uid;
    return old === undefined && uid !== undefined && uid === known && this.agents.get(name) === undefined;
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((informer) => informer.stop()));
  }

  /** Nothing is planned before this: an empty cache looks like a cluster that everybody left. */
  get synced(): boolean {
    return this.all.every(({ hasSynced }) => hasSynced);
  }

  nodeFacts(): ReadonlyMap<string, NodeFacts> {
    return factsByName(this.nodes.byName);
  }

  /** @param fresh objects that were read one by one: the resourceVersion as of which each is known at least */
  ledgerNow(fresh: ReadonlyMap<string, number>): Ledger {
    const { byName, resourceVersion } = this.ledger;
    const spaces = byName.get(spacesName);
    const readAt = Number(resourceVersion);
    return { ...(spaces === undefined ? {} : { spaces }), pages: pagesOf(byName), readAt, fresh };
  }

  /** Lists everything anew: what a watch that hangs has not shown is known then. */
  async relist(): Promise<void> {
    await Promise.all(this.all.map((informer) => informer.relist()));
  }
}

/**
 * Whether an allocation can follow from it. Statuses and heartbeats leave the generation as it is; what counts of a Node
 * are its labels and its being there, and annotations of ours confirm something.
 */
export function matters(object: KubeObject | undefined, old: KubeObject | undefined): boolean {
  const [now, before] = [object?.metadata, old?.metadata];
  return (
    now === undefined ||
    before === undefined ||
    now.uid !== before.uid ||
    now.generation !== before.generation ||
    now.deletionTimestamp !== before.deletionTimestamp ||
    isGuarded(now) !== isGuarded(before) ||
    !isDeepStrictEqual(now.labels, before.labels) ||
    confirmations.some((name) => now.annotations?.[name] !== before.annotations?.[name])
  );
}

/**
 * Whether all that is new of it is what its agent holds. Thousands of agents say that after every roll-out, and no node
 * waits for what follows.
 */
export function isAnswer(object: KubeObject | undefined, old: KubeObject | undefined): boolean {
  if (object?.kind !== overlayAgents.kind || old === undefined) return false;
  const [now, before] = [object, old] as [OverlayAgent, OverlayAgent];
  const { generation } = before.metadata;
  return (
    !matters({ ...now, metadata: { ...now.metadata, generation } as ObjectMeta }, before) &&
    isDeepStrictEqual(identity(now), identity(before))
  );
}

const identity = ({ spec }: OverlayAgent) => [spec.addresses, spec.uplinkMTU, spec.restore];

const confirmations = [confirmAddresses, confirmDepartures, confirmOverlap, confirmRestore];
