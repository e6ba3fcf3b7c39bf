import { confirmDepartures, confirmRestore } from '../api/labels.ts';
import { isDeepStrictEqual } from 'node:util';
import type {
  AgentAllocation,
  AllocationLedger,
  KubeObject,
  ObjectMeta,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
  OverlayReservation,
} from '../api/types.ts';
import { isGuarded } from '../api/inuse.ts';
import { confirmOverlap } from '../api/ranges.ts';
import { confirmAddresses } from '../allocate/addresses.ts';
import { remembered } from '../allocate/remembered.ts';
import { spacesName, type Ledger, type NodeFacts } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { isMissingKind } from '../kube/error.ts';
import { Informer } from '../kube/informer.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodeMetadata,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
} from '../kube/resources.ts';
import type { Log } from '../log.ts';

/** The parts of a Node that are needed. */
const factsOf = remembered(({ metadata }: KubeObject): NodeFacts => {
  const { name, uid = '', labels = {}, creationTimestamp = '' } = metadata;
  return { name, uid, labels, creationTimestamp };
});

/** Values that are valid for one state of a cache, as long as it has that state. */
const factsByName = remembered(
  (nodes: ReadonlyMap<string, KubeObject>): ReadonlyMap<string, NodeFacts> =>
    new Map([...nodes].map(([name, node]) => [name, factsOf(node)])),
);
const pagesOf = remembered((ledger: ReadonlyMap<string, AllocationLedger>): Ledger['pages'] => {
  const pages = new Map(ledger);
  pages.delete(spacesName);
  return pages;
});

/** The operator's watch caches. Nodes are read as metadata, without the heartbeats of 5,000 kubelets. */
export class Caches {
  readonly configs: Informer<OverlayConfig>;
  readonly networks: Informer<OverlayNetwork>;
  readonly reservations: Informer<OverlayReservation>;
  readonly nodes: Informer<KubeObject>;
  readonly agents: Informer<OverlayAgent>;
  readonly allocations: Informer<AgentAllocation>;
  readonly ledger: Informer<AllocationLedger>;

  /** Resolves when the API server says that it does not know OverlayReservations. */
  readonly #missing = Promise.withResolvers<undefined>();
  #isMissing = false;

  constructor(client: Client, log: Log) {
    void this.#missing.promise.then(() => (this.#isMissing = true));
    this.configs = new Informer(client, overlayConfigs, { log });
    this.networks = new Informer(client, overlayNetworks, { log });
    this.reservations = new Informer(client, overlayReservations, {
      log,
      onFailure: (error) => {
        if (isMissingKind(error)) this.#missing.resolve(undefined);
      },
    });
    this.nodes = new Informer(client, nodeMetadata, { log });
    this.agents = new Informer(client, overlayAgents, { log });
    this.allocations = new Informer(client, agentAllocations, { log });
    this.ledger = new Informer(client, allocationLedgers, { log });
  }

  get all(): Informer<KubeObject>[] {
    const { configs, networks, reservations, nodes, agents, allocations, ledger } = this;
    return [
      configs,
      networks,
      reservations,
      nodes,
      agents,
      allocations,
      ledger,
    ] as unknown as Informer<KubeObject>[];
  }

  /**
   * @param onChange called when the allocation may change, or a cache has synced; `soon`: a node may wait for the
   * result
   * @param onStatus called when only a status changed, or a Node's heartbeat came
   */
  start(onChange: (soon: boolean) => void, onStatus: () => void): void {
    for (const informer of this.all) {
      informer.onChange((_name, object, old) => {
        if (matters(object, old) || isDrainAnswer(object, old))
          onChange(!isAnswer(object, old) && !this.#isEarly(object, old));
        else if (informer !== (this.nodes as unknown)) onStatus();
      });
      informer.start();
      // an empty list causes no change event
      void this.settled(informer).then(() => {
        onChange(true);
      });
    }
  }

  /** Whether it is a new Node on which no agent has registered, so no node waits yet. */
  #isEarly(object: KubeObject | undefined, old: KubeObject | undefined): boolean {
    const { name = '', uid } = object?.metadata ?? {};
    const known = this.nodes.get(name)?.metadata.uid;
    return old === undefined && uid !== undefined && uid === known && this.agents.get(name) === undefined;
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((informer) => informer.stop()));
  }

  /**
   * Whether all caches have synced. Nothing is planned before that, because an empty cache looks like a cluster that
   * all nodes left.
   */
  get synced(): boolean {
    return this.unsynced.length === 0;
  }

  /**
   * Those that are not known yet. An API server whose CRDs are older does not know OverlayReservations. There are none
   * then, and before a block is given out that is verified.
   */
  get unsynced(): Informer<KubeObject>[] {
    return this.all.filter((one) => !one.hasSynced && !(this.#mayBeMissing(one) && this.#isMissing));
  }

  /** Resolves when the cache has synced, or need not. */
  async settled(informer: Informer<KubeObject>): Promise<void> {
    await (this.#mayBeMissing(informer)
      ? Promise.race([informer.synced(), this.#missing.promise])
      : informer.synced());
  }

  #mayBeMissing(informer: Informer<KubeObject>): boolean {
    return (informer as unknown) === this.reservations;
  }

  nodeFacts(): ReadonlyMap<string, NodeFacts> {
    return factsByName(this.nodes.byName);
  }

  /** @param fresh objects that were read one by one: the least resourceVersion that each is known at */
  ledgerNow(fresh: ReadonlyMap<string, number>): Ledger {
    const { byName, resourceVersion } = this.ledger;
    const spaces = byName.get(spacesName);
    const readAt = Number(resourceVersion);
    return { ...(spaces === undefined ? {} : { spaces }), pages: pagesOf(byName), readAt, fresh };
  }

  /** Lists everything again. This finds changes that a hanging watch has missed. */
  async relist(): Promise<void> {
    await Promise.all(
      this.all.map((informer) =>
        informer.relist().catch((error: unknown) => {
          if (!this.#mayBeMissing(informer) || !isMissingKind(error)) throw error;
        }),
      ),
    );
  }
}

/**
 * Whether the allocation may depend on the change. Statuses and heartbeats do not change the generation. Of a Node
 * its labels and its existence count, and our annotations, which confirm departures.
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
 * Whether only what the agent reports to hold has changed. Thousands of agents report that after every roll-out, and
 * no node waits for what follows.
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

/** Whether an agent's answer about containers on draining blocks changed: an entry may be removed with the last of them. */
export function isDrainAnswer(object: KubeObject | undefined, old: KubeObject | undefined): boolean {
  if (object?.kind !== overlayAgents.kind || old === undefined) return false;
  const answers = ({ status }: OverlayAgent) =>
    status?.networks?.flatMap(({ draining = [] }) => draining) ?? [];
  return !isDeepStrictEqual(answers(object as OverlayAgent), answers(old as OverlayAgent));
}

const identity = ({ spec }: OverlayAgent) => [spec.addresses, spec.uplinkMTU, spec.restore];

const confirmations = [confirmAddresses, confirmDepartures, confirmOverlap, confirmRestore];
