import { fileURLToPath } from 'node:url';
import type { HostRange, KubeObject, OverlayAgent, OverlayNetwork } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Node,
  type Resource,
} from '../../src/kube/resources.ts';
import { silent } from '../../src/log.ts';
import { Allocator, type Settled } from '../../src/operator/allocator.ts';
import { Caches } from '../../src/operator/caches.ts';
import { OperatorMetrics } from '../../src/operator/metrics.ts';

/** The namespace that the operator's Lease is in. */
export const makeNamespace = (client: Client) =>
  client.apply(
    { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' },
    { metadata: { name: 'overlaynet-system' } },
  );

/** A leader that can be put to sleep in front of a write, as a paused process or a slow network would do it. */
export class Leader {
  readonly caches: Caches;
  readonly metrics = new OperatorMetrics();
  last: Settled | undefined;
  private readonly allocator: Allocator;
  private hold:
    | { matches: (call: Call) => boolean; all: boolean; reached: () => void; release: Promise<void> }
    | undefined;
  /** Every answer that the API server gave to a write that was held. */
  readonly refusals: unknown[] = [];

  constructor(client: Client) {
    const held = this.interposed(client);
    this.caches = new Caches(held, silent);
    this.allocator = new Allocator({ client: held, caches: this.caches, log: silent, metrics: this.metrics });
  }

  async start(onChange: () => void = () => undefined): Promise<this> {
    this.caches.start(onChange, () => undefined);
    await Promise.all(this.caches.all.map((informer) => informer.synced()));
    return this;
  }

  stop(): Promise<void> {
    return this.caches.stop();
  }

  /** One run, from what the caches show. */
  run(): Promise<{ requeueAfterMs?: number }> {
    return this.allocator.run(new AbortController().signal, (state) => {
      this.last = state;
    });
  }

  /** Runs until `done`, giving the caches time to follow. */
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
   * The next write that matches sleeps, or with `all` every one does: resolves when the first is about to be sent; `wake`
   * lets them go.
   */
  sleepBefore(matches: (call: Call) => boolean, all = false): { asleep: Promise<void>; wake: () => void } {
    let wake!: () => void;
    const release = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const asleep = new Promise<void>((resolve) => {
      this.hold = { matches, all, reached: resolve, release };
    });
    return { asleep, wake };
  }

  private interposed(client: Client): Client {
    const pass = async <T>(call: Call, send: () => Promise<T>): Promise<T> => {
      const held = this.hold;
      if (held?.matches(call) !== true) return send();
      if (!held.all) this.hold = undefined;
      held.reached();
      await held.release;
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

/** A Node with its address, and an agent that has registered. */
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

export const crdFiles = [
  'overlayconfigs',
  'overlaynetworks',
  'overlayagents',
  'agentallocations',
  'allocationledgers',
].map((name) => fileURLToPath(new URL(`../../crds/${name}.yaml`, import.meta.url)));

/** Everything of ours, and all Nodes: the next test starts from nothing. */
export async function wipe(client: Client): Promise<void> {
  const ours: Resource<KubeObject>[] = [
    overlayNetworks,
    overlayAgents,
    overlayConfigs,
    nodes,
    agentAllocations,
    allocationLedgers,
  ];
  for (const resource of ours) {
    const { items } = await client.list(resource);
    await Promise.all(items.map(({ metadata }) => client.delete(resource, metadata.name)));
  }
}

/** By node: every subnet and VTEP address that its AgentAllocation shows. */
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

/** Blocks in the ledger, as `page/index node state`. */
export async function blocks(client: Client): Promise<string[]> {
  const { items } = await client.list(allocationLedgers);
  return items.flatMap(({ metadata, spec }) =>
    (spec.page?.blocks ?? []).map(({ index, node, state }) => `${metadata.name}/${index} ${node} ${state}`),
  );
}
