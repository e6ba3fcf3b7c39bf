import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
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
import { startControlPlane, type ControlPlane, type OwnControlPlane } from './controlplane.ts';
import { emptyPlane, wipe } from './leader.ts';
import { config, directoriesIn, node1, node2, recordingLog, scratch } from './fixture.ts';
import { eventually } from './eventually.ts';

/** A kernel that accepts every snapshot, and fails when a test tells it to. */
export class FakeKernel implements Kernel {
  readonly snapshots: Snapshot[] = [];
  /** The scope of each pass. */
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

/** A node's directories, which stay when its agent restarts. */
export class TestNode {
  readonly at = scratch();
  readonly name: string;
  readonly log = recordingLog();
  readonly kernel = new FakeKernel();
  addresses = ['172.17.0.4'];
  uplinkMTU = 1500;
  /** Addresses of other nodes, as passed to the last MTU measurement. */
  measuredTo: readonly string[] = [];
  /** Path of the CNI plugin; a missing file by default. */
  cniPlugin = '/nonexistent/overlaynet';
  readonly links = new Set<string>();
  /** Faults of the node itself. */
  readonly host = {
    problems: [] as Problem[],
    look: () => Promise.resolve(60_000),
  };
  /** The node's address ranges that are not overlaynet's. */
  ranges: Pick<OverlayAgentSpec, 'ranges' | 'rangesLeftOut' | 'furtherAddresses'> = {};
  /** Undefined by default. */
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
      ranges: { toRegister: () => Promise.resolve(this.ranges) },
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

/** Writes what the operator would write. */
export class FakeOperator {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** @param says further fields of the status, beside the configuration in force */
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

  /** Deletes the network and removes its blocks from all nodes. */
  async withdraw(network: string): Promise<void> {
    await this.#client.delete(overlayNetworks, network);
    const { items } = await this.#client.list(agentAllocations);
    for (const { metadata, spec } of items) {
      const networks = (spec.networks ?? []).filter(({ name }) => name !== network);
      await this.allocate(metadata.name, { ...spec, revision: spec.revision + 1, networks });
    }
  }

  /** Empties the allocation and then deletes it, as the operator does for a node that is gone. */
  async release(node: string): Promise<void> {
    const object = await this.#client.get(agentAllocations, node);
    if (object === undefined) return;
    const { revision, nodeUID } = object.spec;
    const spec = { revision: revision + 1, nodeUID, addresses: [] };
    await this.#client.update(agentAllocations, { ...object, spec });
    await this.#client.delete(agentAllocations, node);
  }

  /** Creates the allocation without blocks, because the API demands that, and then adds them. */
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

/** An API server with the CRDs, `dcos`, `dcos6`, the allocation of node1, and node2, whose agent is tested. */
export class Bench<Plane extends ControlPlane = ControlPlane> {
  readonly operator: FakeOperator;
  readonly plane: Plane;
  node = new TestNode('node2');
  readonly #leave: () => Promise<void>;

  /** On the control plane that the worker's files share. */
  static async start(): Promise<Bench> {
    const plane = await emptyPlane();
    return new Bench(plane, () => wipe(plane.client));
  }

  /** On a control plane that the test may break. */
  static async startOwn(): Promise<Bench<OwnControlPlane>> {
    const plane = await startControlPlane();
    await plane.apply(...crds);
    return new Bench(plane, () => Promise.resolve());
  }

  private constructor(plane: Plane, leave: () => Promise<void>) {
    this.#leave = leave;
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
    await this.#leave();
    await this.plane.stop();
  }

  /** Returns node2's OverlayAgent. */
  async stored(): Promise<OverlayAgent> {
    const agent = await this.plane.client.get(overlayAgents, 'node2');
    if (agent === undefined) throw new Error('node2 has no OverlayAgent');
    return agent;
  }

  /** Waits until node2's agent reports OK. */
  settled(): Promise<OverlayAgent> {
    return eventually(async () => {
      const agent = await this.stored();
      expect(states(agent)).toEqual(['dcos OK', 'dcos6 OK']);
      expect(condition(agent, 'DataPathReady')?.reason).toBe('Applied');
      return agent;
    });
  }

  /** Starts an agent and waits until it has registered, has an allocation, and reports OK. */
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

/**
 * Gives the tests of a file a bench, which is reset before each test and stopped after the last.
 * @param use receives it
 */
export const withBench = (use: (bench: Bench) => void): void => {
  withBenchOf(() => Bench.start(), use);
};

/** The same with a control plane that the tests may break. */
export const withOwnBench = (use: (bench: Bench<OwnControlPlane>) => void): void => {
  withBenchOf(() => Bench.startOwn(), use);
};

function withBenchOf<B extends Bench>(start: () => Promise<B>, use: (bench: B) => void): void {
  let bench: B;
  beforeAll(async () => {
    bench = await start();
    use(bench);
  }, 60_000);
  afterAll(() => bench.stop());
  beforeEach(() => bench.reset());
}
