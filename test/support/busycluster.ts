import { Deletions } from '../../src/allocate/deletions.ts';
import { inUseFinalizer, isGuarded, isWaiting } from '../../src/api/inuse.ts';
import type { DeletionPolicy } from '../../src/api/types.ts';
import { Cluster } from './plancluster.ts';

/** One event in the history of networks that are deleted while containers use them. */
export type Step =
  | { kind: 'join' | 'leave' | 'silence' | 'forget'; node: number }
  | { kind: 'restart' }
  | { kind: 'unseen' | 'hasty'; node: number; network: number }
  | { kind: 'network'; network: number }
  | { kind: 'delete'; network: number; policy: DeletionPolicy }
  | { kind: 'start' | 'stop'; node: number; network: number }
  | { kind: 'wait'; minutes: number };

const counts = { cidr: '10.1.0.0/25', containerizer: 'CNI' as const, addresses: 125, free: 124 };

/** The first and the last overlap: after one network has given up a block and it has rested, another gets it. */
const subnets = ['10.1.0.0/22', '10.2.0.0/22', '10.1.0.0/23'];

/** A cluster with containers, and agents that answer as agents do. */
export class BusyCluster extends Cluster {
  /** `node net0` → the block that a container has an address of. */
  readonly used = new Map<string, string>();
  readonly #silent = new Set<string>();
  readonly #heardAt = new Map<string, number>();
  #deletions = new Deletions();
  /** Containers that started while no operator ran, and whose network was deleted before one ran. */
  unseen = 0;

  perform(step: Step): void {
    const name = 'node' in step ? `node${step.node}` : '';
    const net = 'network' in step ? `net${step.network}` : '';
    switch (step.kind) {
      case 'join':
        this.#silent.delete(name);
        this.#forget(name);
        if (!this.nodes.has(name)) this.join(name, `172.17.0.${step.node + 2}`);
        break;
      case 'leave':
        this.leave(name);
        for (const key of this.used.keys()) if (key.startsWith(`${name} `)) this.used.delete(key);
        this.#forget(name);
        break;
      case 'silence':
        if (this.nodes.has(name)) this.#silent.add(name);
        break;
      case 'forget': {
        // a person deletes its OverlayAgent: it registers anew, and counts later; the operator plans in between
        const agent = this.agents.get(name);
        if (agent === undefined || this.#silent.has(name)) break;
        this.agents.set(name, { metadata: agent.metadata, spec: agent.spec });
        this.#guard();
        break;
      }
      case 'restart':
        this.#restart();
        break;
      case 'unseen':
        this.#unseen(name, net);
        break;
      case 'hasty':
        // the network is deleted before an agent reports its first container
        this.#start(name, net);
        this.#delete(net, 'Block');
        break;
      case 'network':
        if (this.networks.has(net)) break;
        this.network(net, [{ cidr: subnets[step.network]!, prefix: 24 }]);
        this.#guard();
        break;
      case 'delete':
        this.#delete(net, step.policy);
        break;
      case 'start':
        this.#start(name, net);
        break;
      case 'stop':
        this.used.delete(`${name} ${net}`);
        break;
      case 'wait':
        this.now += step.minutes * 60_000;
        break;
    }
  }

  /** Plans, agents speak, finalizers follow, until nothing changes. */
  converge(inspect: () => void): void {
    for (let rounds = 0; rounds < 20; rounds++) {
      this.settle(inspect);
      this.#speak();
      if (!this.#guard()) return;
    }
    throw new Error('finalizers do not come to rest');
  }

  #restart(): void {
    this.#heardAt.clear();
    this.#deletions = new Deletions();
  }

  /**
   * A container starts while no operator runs, and its network is deleted. Then an operator starts, and judges what it
   * finds before any agent has said anything.
   */
  #unseen(node: string, net: string): void {
    const { metadata, spec } = this.networks.get(net) ?? {};
    if (metadata === undefined || !isGuarded(metadata) || spec?.deletionPolicy === 'Force') return;
    this.#start(node, net);
    if (this.used.has(`${node} ${net}`)) this.unseen++;
    this.#delete(net, 'Block');
    this.#restart();
    this.settle(() => {
      containersKeepTheirBlocks(this);
    });
    this.#guard();
  }

  #forget(node: string): void {
    for (const key of this.abandoned.keys()) if (key.startsWith(`${node} `)) this.abandoned.delete(key);
  }

  #blockOf(node: string, net: string): string | undefined {
    const networks = this.allocations.get(node)?.spec.networks ?? [];
    return networks.find(({ name }) => name === net)?.subnets[0]?.cidr;
  }

  #delete(net: string, deletionPolicy: DeletionPolicy): void {
    const network = this.networks.get(net);
    if (network === undefined) return;
    const deletionTimestamp = network.metadata.deletionTimestamp ?? new Date(this.now).toISOString();
    // containers of it lose their blocks, which the history's check reports
    if (!isGuarded(network.metadata)) this.networks.delete(net);
    else {
      this.networks.set(net, {
        ...network,
        metadata: { ...network.metadata, deletionTimestamp },
        spec: { ...network.spec, deletionPolicy },
      });
    }
  }

  /** A forced deletion takes the network's blocks from containers. */
  #forceDeleted(net: string): void {
    this.networks.delete(net);
    for (const key of this.used.keys()) if (key.endsWith(` ${net}`)) this.lost.add(key);
  }
  readonly lost = new Set<string>();
  /** Blocks of containers on silent nodes: no other node may have them before their agent reports again. */
  readonly abandoned = new Map<string, string>();

  #start(node: string, net: string): void {
    const block = this.#blockOf(node, net);
    const network = this.networks.get(net);
    if (block === undefined || network === undefined || this.#silent.has(node)) return;
    const closes = network.spec.deletionPolicy === 'Drain' || !this.used.has(`${node} ${net}`);
    if (network.metadata.deletionTimestamp !== undefined && closes) return;
    this.used.set(`${node} ${net}`, block);
  }

  #speak(): void {
    for (const [name, agent] of this.agents) {
      if (this.#silent.has(name)) continue;
      this.#heardAt.set(name, this.now);
      const shown = this.allocations.get(name)?.spec.networks ?? [];
      const networks = shown.map(({ name: net, subnets: blocks }) => ({
        name: net,
        subnets: blocks.map(({ cidr }) => cidr),
      }));
      const status = shown.map(({ name: net }) => {
        const inUse = this.used.has(`${name} ${net}`);
        const metadata = this.networks.get(net)?.metadata;
        const users =
          metadata !== undefined && isWaiting(metadata)
            ? { users: { deletion: metadata.deletionTimestamp!, at: '', count: Number(inUse) } }
            : {};
        const usage = [{ ...counts, used: Number(inUse) }];
        return { name: net, state: 'OK' as const, usage, ...(inUse ? { inUse } : {}), ...users };
      });
      this.agents.set(name, { ...agent, spec: { ...agent.spec, networks }, status: { networks: status } });
    }
  }

  /**
   * Lets the operator handle each finalizer.
   * @returns whether anything changed
   */
  #guard(): boolean {
    let changed = false;
    const networks = [...this.networks.values()];
    const verdicts = this.#deletions.judge(networks, this.view(), this.last, (name) =>
      this.#heardAt.get(name),
    );
    for (const network of networks) {
      const { name: net, deletionTimestamp, finalizers = [] } = network.metadata;
      const finalizer = verdicts.get(net)?.finalizer;
      if (finalizer === undefined) continue;
      changed = true;
      const others = finalizers.filter((one) => one !== inUseFinalizer);
      if (finalizer === 'add') {
        const metadata = { ...network.metadata, finalizers: [...others, inUseFinalizer] };
        this.networks.set(net, { ...network, metadata });
      } else if (deletionTimestamp === undefined) {
        this.networks.set(net, { ...network, metadata: { ...network.metadata, finalizers: others } });
      } else {
        if (network.spec.deletionPolicy === 'Force') this.#forceDeleted(net);
        else {
          this.networks.delete(net);
          // the operator has waited for silent agents, and does not wait for their blocks any longer
          for (const name of this.#silent) {
            const key = `${name} ${net}`;
            const block = this.used.get(key);
            if (block !== undefined) this.abandoned.set(key, block);
            this.lost.add(key);
          }
        }
      }
    }
    return changed;
  }
}

/** A container keeps its block, unless the deletion was forced or the agent was silent for too long. */
export function containersKeepTheirBlocks(cluster: BusyCluster): void {
  const owner = new Map<string, string>();
  for (const name of cluster.allocations.keys())
    for (const block of cluster.shown(name)) owner.set(block, name);
  for (const [key, block] of cluster.abandoned) {
    const [name = ''] = key.split(' ');
    expect([key, block, owner.get(block) ?? name]).toEqual([key, block, name]);
  }
  for (const [key, block] of cluster.used) {
    const [name = ''] = key.split(' ');
    if (!cluster.lost.has(key)) expect([key, block, owner.get(block)]).toEqual([key, block, name]);
  }
}
