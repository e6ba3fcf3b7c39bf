import { expect } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { Agent } from '../../src/agent/agent.ts';
import type { Problem } from '../../src/host/problem.ts';
import { Metrics } from '../../src/agent/metrics.ts';
import type { Kernel } from '../../src/agent/pass.ts';
import type { Failure, Scope } from '../../src/dataplane/state.ts';
import {
  apiVersion,
  type AgentAllocationSpec,
  type Condition,
  type OverlayAgent,
  type OverlayAgentSpec,
  type OverlayConfig,
  type OverlayConfigStatus,
  type OverlayNetwork,
} from '../../src/api/types.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import type { Docker } from '../../src/docker/docker.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
} from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from './controlplane.ts';
import { config, directoriesIn, node1, node2, recordingLog, scratch } from './fixture.ts';

/** A kernel that takes every snapshot, and fails as told. */
export class FakeKernel implements Kernel {
  readonly snapshots: Snapshot[] = [];
  /** What each pass looked at. */
  readonly scopes: string[] = [];
  changes = 1;
  failures: Failure[] = [];
  unread: string[] = [];
  /** Called in each pass, before its result. */
  during: () => void | Promise<void> = () => undefined;

  get last(): Snapshot | undefined {
    return this.snapshots.at(-1);
  }

  async reconcile(snapshot: Snapshot, scope: Scope): ReturnType<Kernel['reconcile']> {
    this.snapshots.push(snapshot);
    this.scopes.push(scope);
    await this.during();
    return { changes: this.changes, failures: this.failures, unread: this.unread };
  }
}

/** Repeats until `check` passes, and fails with its error when it does not within 15 s. */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  const until = Date.now() + 15_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The node's own directories, kept when its agent restarts. */
export class TestNode {
  readonly at = scratch();
  readonly name: string;
  readonly log = recordingLog();
  readonly kernel = new FakeKernel();
  addresses = ['172.17.0.4'];
  uplinkMTU = 1500;
  /** Addresses of other nodes that the MTU was last asked for. */
  measuredTo: readonly string[] = [];
  /** File of the CNI plugin; none, unless told. */
  cniPlugin = '/nonexistent/overlaynet';
  readonly links = new Set<string>();
  /** What is wrong with the node itself. */
  readonly host = {
    problems: [] as Problem[],
    look: () => Promise.resolve(60_000),
  };
  /** What the node has beside overlaynet's own. */
  ranges: Pick<OverlayAgentSpec, 'ranges' | 'rangesLeftOut' | 'furtherAddresses'> = {};
  /** None, unless told. */
  docker: Docker | undefined;
  #running: { agent: Agent; client: Client } | undefined;

  constructor(name: string) {
    this.name = name;
    for (const dir of ['state', 'conf', 'net', 'leases']) mkdirSync(this.at.path(dir));
  }

  async start(kubeconfig: string): Promise<Agent> {
    const client = connect({ kubeconfig });
    const agent = new Agent({
      node: this.name,
      addresses: this.addresses,
      directories: directoriesIn(this.at),
      cniPlugin: this.cniPlugin,
      links: () => this.links,
      client,
      kernel: this.kernel,
      uplinkMTU: (peers) => {
        this.measuredTo = peers;
        return Promise.resolve(this.uplinkMTU);
      },
      host: this.host,
      ranges: { said: () => Promise.resolve(this.ranges) },
      docker: this.docker,
      metrics: new Metrics('0.0.0'),
      log: this.log,
    });
    this.#running = { agent, client };
    await agent.listen();
    agent.start();
    return agent;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.agent.stop();
    await running?.client.close();
  }

  async drop(): Promise<void> {
    await this.stop();
    this.at.drop();
  }
}

/** What the operator would write. */
export class FakeOperator {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** @param says what the status has beside the configuration in force */
  async configure(
    says: Omit<OverlayConfigStatus, 'effective'> = {},
    annotations: Record<string, string> = {},
  ): Promise<void> {
    const object = { metadata: { name: 'default', annotations }, spec: {} } as OverlayConfig;
    const { metadata, spec } = await this.#client.apply(overlayConfigs, object);
    await this.#client.updateStatus(overlayConfigs, {
      apiVersion,
      kind: 'OverlayConfig',
      metadata,
      spec,
      status: { effective: config, ...says },
    });
  }

  async network(name: string, cidr: string, prefix: number): Promise<void> {
    const object = {
      metadata: { name },
      spec: { subnets: [{ cidr, prefix }] },
    } as OverlayNetwork;
    const stored = await this.#client.apply(overlayNetworks, object);
    const condition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' } as const;
    await this.#client.updateStatus(overlayNetworks, {
      ...stored,
      status: { conditions: [{ ...condition, lastTransitionTime: '2026-01-01T00:00:00Z' }] },
    });
  }

  /** Deletes the network, and takes its blocks from all nodes. */
  async withdraw(network: string): Promise<void> {
    await this.#client.delete(overlayNetworks, network);
    const { items } = await this.#client.list(agentAllocations);
    for (const { metadata, spec } of items) {
      const networks = (spec.networks ?? []).filter(({ name }) => name !== network);
      await this.allocate(metadata.name, { ...spec, revision: spec.revision + 1, networks });
    }
  }

  /** Emptied and then deleted, as it is where a node is gone. */
  async release(node: string): Promise<void> {
    const object = await this.#client.get(agentAllocations, node);
    if (object === undefined) return;
    const { revision, nodeUID } = object.spec;
    const spec = { revision: revision + 1, nodeUID, addresses: [] };
    await this.#client.update(agentAllocations, { ...object, spec });
    await this.#client.delete(agentAllocations, node);
  }

  /** Created without blocks, as the API demands, and then given them. */
  async allocate(node: string, spec: AgentAllocationSpec): Promise<void> {
    const { revision, nodeUID, addresses } = spec;
    const { kind } = agentAllocations;
    const present = await this.#client.get(agentAllocations, node);
    const empty = { metadata: { name: node }, spec: { revision, nodeUID, addresses } };
    const { metadata } =
      present ?? (await this.#client.create(agentAllocations, { apiVersion, kind, ...empty }));
    await this.#client.update(agentAllocations, {
      apiVersion,
      kind,
      metadata,
      spec,
    });
  }
}

export const crds = ['overlayconfigs', 'overlaynetworks', 'overlayagents', 'agentallocations'].map(
  (name) => `crds/${name}.yaml`,
);

/** An API server with the CRDs, `dcos`, `dcos6` and the allocation of node1; and node2, whose agent is under test. */
export class Bench {
  readonly operator: FakeOperator;
  readonly plane: OwnControlPlane;
  node = new TestNode('node2');

  static async start(): Promise<Bench> {
    const plane = await startControlPlane();
    await plane.apply(...crds);
    return new Bench(plane);
  }

  constructor(plane: OwnControlPlane) {
    this.plane = plane;
    this.operator = new FakeOperator(plane.client);
  }

  async reset(): Promise<void> {
    await this.node.drop();
    for (const name of ['node1', 'node2']) {
      await this.plane.client.delete(agentAllocations, name);
      await this.plane.client.delete(overlayAgents, name);
    }
    this.node = new TestNode('node2');
    await this.operator.configure();
    await this.operator.network('dcos', '9.0.0.0/8', 24);
    await this.operator.network('dcos6', 'fd01:b::/64', 80);
    await this.operator.allocate('node1', node1);
  }

  async stop(): Promise<void> {
    await this.node.drop();
    await this.plane.stop();
  }

  /** node2's OverlayAgent. */
  async stored(): Promise<OverlayAgent> {
    const agent = await this.plane.client.get(overlayAgents, 'node2');
    if (agent === undefined) throw new Error('node2 has no OverlayAgent');
    return agent;
  }

  /** Once all is well. */
  settled(): Promise<OverlayAgent> {
    return eventually(async () => {
      const agent = await this.stored();
      expect(states(agent)).toEqual(['dcos OK', 'dcos6 OK']);
      expect(condition(agent, 'DataPathReady')?.reason).toBe('Applied');
      return agent;
    });
  }

  /** An agent that has registered, was allocated, and reports OK. */
  async running(kubeconfig = this.plane.kubeconfig): Promise<Agent> {
    const agent = await this.node.start(kubeconfig);
    await eventually(() => this.stored());
    await this.operator.allocate('node2', node2);
    await this.settled();
    return agent;
  }
}

export const condition = ({ status }: OverlayAgent, type: string): Condition | undefined =>
  status?.conditions?.find((one) => one.type === type);

export const states = ({ status }: OverlayAgent) =>
  status?.networks?.map(({ name, state }) => `${name} ${state}`);
