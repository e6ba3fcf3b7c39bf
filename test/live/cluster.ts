import { fileURLToPath } from 'node:url';
import type {
  AgentAllocation,
  AgentAllocationSpec,
  Condition,
  KubeObject,
  OverlayConfig,
} from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, nodes, overlayConfigs, type Node } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { history, sharedIn, shownBy, type Version } from './history.ts';
import { makeNamespace } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { Players } from '../support/players.ts';
import { TestNode } from '../support/agent-harness.ts';

export const crdFolder = fileURLToPath(new URL('../../crds', import.meta.url));

interface Member {
  address: string;
  /** Absent for a simulated agent. */
  real?: TestNode;
}

/**
 * A cluster for tests of allocation: etcd and API server, two operators, and nodes. Their agents are real (on a kernel
 * that only remembers) or simulated.
 */
export class LiveCluster {
  readonly plane: OwnControlPlane;
  readonly client: Client;
  operators: OperatorProcess[] = [];
  readonly #members = new Map<string, Member>();
  readonly #players: Players;
  #addresses = 1;

  /** @param spec fields of OverlayConfig's spec */
  static async start(spec: Partial<OverlayConfig['spec']> = {}): Promise<LiveCluster> {
    const plane = await startControlPlane();
    try {
      await plane.apply(crdFolder);
      await makeNamespace(plane.client);
      await plane.client.apply(overlayConfigs, { metadata: { name: 'default' }, spec } as OverlayConfig);
      const cluster = new LiveCluster(plane);
      await cluster.startOperators();
      return cluster;
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  constructor(plane: OwnControlPlane) {
    this.plane = plane;
    this.client = plane.client;
    this.#players = new Players(plane.kubeconfig);
  }

  /** Starts a leader and a standby. */
  async startOperators(): Promise<void> {
    const { kubeconfig } = this.plane;
    this.operators = await Promise.all(['one', 'two'].map((id) => OperatorProcess.start(kubeconfig, id)));
  }

  async killOperators(): Promise<void> {
    await Promise.all(this.operators.map((operator) => operator.kill()));
    this.operators = [];
  }

  async stop(): Promise<void> {
    for (const { real } of this.#members.values()) await real?.drop();
    await this.#players.stop();
    await this.killOperators();
    await this.plane.stop();
  }

  /**
   * Adds a node.
   * @param address default: the next one
   */
  async join(name: string, kind: 'real' | 'played', address?: string): Promise<void> {
    const own = address ?? `172.17.0.${++this.#addresses}`;
    const member: Member = { address: own };
    this.#members.set(name, member);
    await this.kubelet(name);
    if (kind === 'played') {
      this.#players.add(name, own);
      return;
    }
    member.real = new TestNode(name);
    await this.startAgent(name);
  }

  /** Registers the Node, if it does not exist, as kubelet does. */
  async kubelet(name: string): Promise<void> {
    const address = this.#member(name).address;
    const status = { addresses: [{ type: 'InternalIP', address }] };
    const object: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name }, status };
    const node = (await this.client.get(nodes, name)) ?? (await this.client.create(nodes, object));
    await this.client.updateStatus<Node>(nodes, { ...node, status });
  }

  /** Deletes its Node and switches its machine off. */
  async leave(name: string): Promise<void> {
    await this.switchOff(name);
    await this.client.delete(nodes, name);
  }

  /** Stops its agent. A simulated one loses its state. */
  async switchOff(name: string): Promise<void> {
    this.#players.remove(name);
    await this.#members.get(name)?.real?.stop();
  }

  async startAgent(name: string): Promise<void> {
    const real = this.real(name);
    real.addresses = [this.#member(name).address];
    await real.start(this.plane.kubeconfig);
  }

  /** Changes the node's address; the agent reads it when it starts again. */
  readdress(name: string, address: string): void {
    this.#member(name).address = address;
  }

  addressOf(name: string): string {
    return this.#member(name).address;
  }

  real(name: string): TestNode {
    const { real } = this.#member(name);
    if (real === undefined) throw new Error(`${name} is played`);
    return real;
  }

  /** Returns the names of the nodes with a real agent, including those that are switched off. */
  get reals(): string[] {
    return [...this.#members].flatMap(([name, { real }]) => (real === undefined ? [] : [name]));
  }

  /** Returns the node's own allocation in its kernel. */
  held(name: string): AgentAllocationSpec | undefined {
    const real = this.#members.get(name)?.real;
    if (real === undefined) return this.#players.held(name);
    return real.kernel.last?.allocations.find(({ node }) => node === name)?.spec;
  }

  /** Returns the blocks and the VTEP in the node's AgentAllocation. */
  async shown(name: string): Promise<string[]> {
    const found = await this.client.get(agentAllocations, name);
    return found === undefined ? [] : shownBy(found);
  }

  async allShown(): Promise<Map<string, string[]>> {
    const { items } = await this.client.list(agentAllocations);
    return new Map(items.map((item) => [item.metadata.name, shownBy(item)]));
  }

  /** Returns the entries of all nodes in `name`'s kernel, by node. */
  inKernel(name: string): Map<string, string[]> {
    const all = this.real(name).kernel.last?.allocations ?? [];
    return new Map(all.map(({ node, spec }) => [node, shownBy({ spec })]));
  }

  config(): Promise<OverlayConfig | undefined> {
    return this.client.get(overlayConfigs, 'default');
  }

  async condition(type: string): Promise<Condition | undefined> {
    return (await this.config())?.status?.conditions?.find((one) => one.type === type);
  }

  async annotate(annotation: string, id: string): Promise<void> {
    await this.plane.kubectl('annotate', '--overwrite', 'overlayconfig', 'default', `${annotation}=${id}`);
  }

  /** Returns OverlayConfig's Events as `REASON: MESSAGE`. */
  async events(): Promise<string[]> {
    const text = await this.plane.kubectl('get', 'events', '-A', '-o', 'json');
    const { items } = JSON.parse(text) as {
      items: { involvedObject?: KubeObject['metadata']; reason: string; message: string }[];
    };
    return items
      .filter(({ involvedObject }) => involvedObject?.name === 'default')
      .map((each) => `${each.reason}: ${each.message}`);
  }

  /** Returns the leader's metric, as a sum over both operators: a standby has 0. */
  async metric(name: string): Promise<number> {
    const texts = await Promise.all(
      this.operators.map(async (operator) => (await operator.get('/metrics')).text()),
    );
    const line = new RegExp(`^${name} (\\S+)$`, 'm');
    return texts.reduce((sum, text) => sum + Number(line.exec(text)?.[1] ?? NaN), 0);
  }

  history(from = 1): Promise<Version[]> {
    return history(this.plane.etcd.url, from);
  }

  /** Returns the blocks that two nodes had at the same time, in everything that etcd has stored since `from`. */
  async shared(from = 1): Promise<string[]> {
    return sharedIn(await this.history(from));
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`${name} never joined`);
    return member;
  }
}

export const blocksOf = (spec: AgentAllocation['spec'] | undefined): string[] =>
  spec === undefined ? [] : shownBy({ spec });
