import { fileURLToPath } from 'node:url';
import type { HostRange, KubeObject, OverlayAgent, OverlayNetwork } from '../../src/api/types.ts';
import { ApiError, type Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  type Node,
  type Resource,
} from '../../src/kube/resources.ts';
import { silent } from '../../src/log.ts';
import { Allocator, type Settled } from '../../src/operator/allocator.ts';
import { Caches } from '../../src/operator/caches.ts';
import { OperatorMetrics } from '../../src/operator/metrics.ts';
import { controlPlane, type ControlPlane } from './controlplane.ts';
import { fewAtOnce } from './few.ts';

/** Makes the namespace of the operator's Lease. */
export const makeNamespace = (client: Client) =>
  client.apply(
    { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' },
    { metadata: { name: 'overlaynet-system' } },
  );

/** A leader that a test can pause before a write, like a paused process or a slow network. */
export class Leader {
  readonly caches: Caches;
  readonly metrics = new OperatorMetrics();
  last: Settled | undefined;
  readonly #allocator: Allocator;
  #hold:
    | { matches: (call: Call) => boolean; all: boolean; reached: () => void; release: Promise<void> }
    | undefined;
  /** The API server's refusals of paused writes. */
  readonly refusals: unknown[] = [];

  constructor(client: Client) {
    const interposed = this.#interposed(client);
    this.caches = new Caches(interposed, silent);
    this.#allocator = new Allocator({
      client: interposed,
      caches: this.caches,
      log: silent,
      metrics: this.metrics,
    });
  }

  async start(onChange: () => void = () => undefined): Promise<this> {
    this.caches.start(onChange, () => undefined);
    await Promise.all(this.caches.all.map((informer) => this.caches.settled(informer)));
    return this;
  }

  stop(): Promise<void> {
    return this.caches.stop();
  }

  /** Runs once, with the caches' contents. */
  run(): Promise<{ requeueAfterMs?: number }> {
    return this.#allocator.run(new AbortController().signal, (state) => {
      this.last = state;
    });
  }

  /** Runs until `done` is true; between runs the caches may catch up. */
  async runUntil(done: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      await this.run();
      if (await done()) return;
      if (Date.now() > end) throw new Error('the leader did not come to that');
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /**
   * Pauses before the next write that matches, or with `all` before every one. `asleep` resolves when the first is
   * about to be sent; `wake` continues them.
   */
  sleepBefore(matches: (call: Call) => boolean, all = false): { asleep: Promise<void>; wake: () => void } {
    let wake!: () => void;
    const release = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const asleep = new Promise<void>((resolve) => {
      this.#hold = { matches, all, reached: resolve, release };
    });
    return { asleep, wake };
  }

  #interposed(client: Client): Client {
    const pass = async <T>(call: Call, send: () => Promise<T>): Promise<T> => {
      const hold = this.#hold;
      if (hold?.matches(call) !== true) return send();
      if (!hold.all) this.#hold = undefined;
      hold.reached();
      await hold.release;
      try {
        return await send();
      } catch (error) {
        this.refusals.push(error);
        throw error;
      }
    };
    return new Proxy(client, {
      get: (target, property) => {
        const method: unknown = Reflect.get(target, property, target);
        if (typeof method !== 'function') return method;
        if (property !== 'create' && property !== 'update' && property !== 'delete')
          return method.bind(target) as unknown;
        return (resource: Resource<KubeObject>, object: KubeObject | string, ...rest: unknown[]) =>
          pass(
            {
              verb: property,
              resource: resource.plural,
              name: typeof object === 'string' ? object : object.metadata.name,
            },
            () => Reflect.apply(method, target, [resource, object, ...rest]) as Promise<unknown>,
          );
      },
    });
  }
}

export interface Call {
  verb: 'create' | 'update' | 'delete';
  resource: string;
  name: string;
}

/** Makes a Node with its address, and an agent that has registered. */
export async function joinNode(
  client: Client,
  name: string,
  address: string,
  labels: Record<string, string> = {},
  uplinkMTU = 1500,
  ranges?: HostRange[],
): Promise<void> {
  const node = await client.create<Node>(nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
  });
  await client.updateStatus<Node>(nodes, {
    ...node,
    status: { addresses: [{ type: 'InternalIP', address }] },
  });
  await registerAgent(client, name, address, uplinkMTU, ranges);
}

export async function registerAgent(
  client: Client,
  name: string,
  address: string,
  uplinkMTU = 1500,
  ranges?: HostRange[],
): Promise<void> {
  await client.create<OverlayAgent>(overlayAgents, {
    apiVersion: overlayAgents.apiVersion,
    kind: overlayAgents.kind,
    metadata: { name },
    spec: { addresses: [address], uplinkMTU, ...(ranges === undefined ? {} : { ranges }) },
  });
}

export async function applyNetwork(
  client: Client,
  name: string,
  subnets: { cidr: string; prefix: number }[],
  spec: Partial<OverlayNetwork['spec']> = {},
): Promise<OverlayNetwork> {
  return client.apply<OverlayNetwork>(overlayNetworks, {
    metadata: { name },
    spec: { ...spec, subnets } as OverlayNetwork['spec'],
  });
}

/**
 * Deletes a network, and its finalizers by hand: the agents of these clusters are objects that nobody answers for, or no
 * operator runs.
 */
export async function deleteAtOnce(client: Client, name: string): Promise<void> {
  await client.delete(overlayNetworks, name);
  const none: object = { metadata: { finalizers: null } };
  await client.patch(overlayNetworks, name, none, { type: 'merge' }).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  });
}

export const crdFiles = [
  'overlayconfigs',
  'overlaynetworks',
  'overlayagents',
  'overlayreservations',
  'agentallocations',
  'allocationledgers',
].map((name) => fileURLToPath(new URL(`../../crds/${name}.yaml`, import.meta.url)));

/** Deletes all of our objects and all Nodes, so that the next test starts from nothing. */
export async function wipe(client: Client): Promise<void> {
  const ours: Resource<KubeObject>[] = [
    overlayReservations,
    overlayNetworks,
    overlayAgents,
    overlayConfigs,
    nodes,
    agentAllocations,
    allocationLedgers,
  ];
  for (const resource of ours) {
    const { items } = await client.list(resource);
    await fewAtOnce(items, async ({ metadata: { name, finalizers = [] } }) => {
      // no operator runs that would remove it
      if (finalizers.length > 0)
        await client.patch(resource, name, { metadata: { finalizers: null } }, { type: 'merge' });
      await client.delete(resource, name);
    });
  }
}

/** The control plane of this worker with our CRDs and namespace, and without objects. */
export async function emptyPlane(): Promise<ControlPlane> {
  const plane = await controlPlane();
  await plane.apply(...crdFiles);
  await makeNamespace(plane.client);
  await wipe(plane.client);
  return plane;
}

/** Returns each node's subnets and VTEP addresses in its AgentAllocation. */
export async function shown(client: Client): Promise<Map<string, string[]>> {
  const { items } = await client.list(agentAllocations);
  return new Map(
    items.map(({ metadata, spec }) => [
      metadata.name,
      [
        ...(spec.vtep?.ip === undefined ? [] : [spec.vtep.ip]),
        ...(spec.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
      ],
    ]),
  );
}

/** Returns the blocks in the ledger, as `page/index node state`. */
export async function blocks(client: Client): Promise<string[]> {
  const { items } = await client.list(allocationLedgers);
  return items.flatMap(({ metadata, spec }) =>
    (spec.page?.blocks ?? []).map(({ index, node, state }) => `${metadata.name}/${index} ${node} ${state}`),
  );
}

/**
 * Gives the tests of a file an API server that contains only OverlayConfig before each test.
 * @param use receives the client
 * @returns a function that starts a leader, which is stopped after the test
 */
export function withLeaders(use: (client: Client) => void): () => Promise<Leader> {
  let client: Client;
  const leaders: Leader[] = [];
  beforeAll(async () => {
    const plane = await controlPlane();
    client = plane.client;
    use(client);
    await plane.apply(...crdFiles);
  }, 60_000);
  beforeEach(async () => {
    await wipe(client);
    await client.create(overlayConfigs, {
      apiVersion: overlayConfigs.apiVersion,
      kind: overlayConfigs.kind,
      metadata: { name: 'default' },
      spec: { reuseCooldown: '1s' } as never,
    });
  });
  afterEach(() => Promise.all(leaders.splice(0).map((one) => one.stop())));
  afterAll(() => wipe(client));
  return async () => {
    const one = await new Leader(client).start();
    leaders.push(one);
    return one;
  };
}
