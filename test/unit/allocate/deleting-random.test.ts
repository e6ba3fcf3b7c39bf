import fc from 'fast-check';
import { judgeDeletion } from '../../../src/allocate/deleting.ts';
import { inUseFinalizer, isWaiting } from '../../../src/api/inuse.ts';
import type { DeletionPolicy } from '../../../src/api/types.ts';
import { Cluster } from '../../support/plancluster.ts';

type Step =
  | { kind: 'join' | 'leave' | 'silence'; node: number }
  | { kind: 'network'; network: number }
  | { kind: 'delete'; network: number; policy: DeletionPolicy }
  | { kind: 'start' | 'stop'; node: number; network: number }
  | { kind: 'wait'; minutes: number };

const node = fc.integer({ min: 0, max: 3 });
const network = fc.integer({ min: 0, max: 2 });
const of = <T extends object>(kind: string, more: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record({ kind: fc.constant(kind), ...more }) as unknown as fc.Arbitrary<Step>;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: of('join', { node }) },
  { weight: 8, arbitrary: of('start', { node, network }) },
  { weight: 3, arbitrary: of('network', { network }) },
  { weight: 3, arbitrary: of('delete', { network, policy: fc.constantFrom('Block', 'Drain', 'Force') }) },
  { weight: 2, arbitrary: of('stop', { node, network }) },
  of('leave', { node }),
  of('silence', { node }),
  of('wait', { minutes: fc.integer({ min: 1, max: 12 }) }),
);

/** The first and the last overlap: what one gives up the other gets, once it has rested. */
const subnets = ['10.1.0.0/22', '10.2.0.0/22', '10.1.0.0/23'];

/** A cluster with containers, and agents that answer as agents do. */
class Busy extends Cluster {
  /** `node net0` → the block that a container has an address of. */
  readonly used = new Map<string, string>();
  readonly #silent = new Set<string>();
  readonly #heard = new Map<string, number>();
  readonly #deletions = new Map<string, number>();

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
      case 'network':
        if (!this.networks.has(net)) this.network(net, [{ cidr: subnets[step.network]!, prefix: 24 }]);
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
    if (network.metadata.finalizers?.includes(inUseFinalizer) !== true) this.#gone(net);
    else {
      this.networks.set(net, {
        ...network,
        metadata: { ...network.metadata, deletionTimestamp },
        spec: { ...network.spec, deletionPolicy },
      });
    }
  }

  /** Who was told that it is in use took it on himself: containers lose it. */
  #gone(net: string): void {
    this.networks.delete(net);
    for (const key of this.used.keys()) if (key.endsWith(` ${net}`)) this.lost.add(key);
  }
  readonly lost = new Set<string>();
  /** What containers of silent nodes had: nobody else may have it before their agent speaks again. */
  readonly abandoned = new Map<string, string>();

  #start(node: string, net: string): void {
    const block = this.#blockOf(node, net);
    const network = this.networks.get(net);
    if (block === undefined || network === undefined || this.#silent.has(node)) return;
    const closes = network.spec.deletionPolicy === 'Drain' || !this.used.has(`${node} ${net}`);
    if (network.metadata.deletionTimestamp !== undefined && closes) return;
    this.used.set(`${node} ${net}`, block);
    // its agent says so before anybody can be fast enough to delete the network
    this.#speak();
    this.#guard();
  }

  #speak(): void {
    for (const [name, agent] of this.agents) {
      if (this.#silent.has(name)) continue;
      this.#heard.set(name, this.now);
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
        return { name: net, state: 'OK' as const, ...(inUse ? { inUse } : {}), ...users };
      });
      this.agents.set(name, { ...agent, spec: { ...agent.spec, networks }, status: { networks: status } });
    }
  }

  /** What the operator does of each finalizer. @returns whether anything changed */
  #guard(): boolean {
    let changed = false;
    for (const [net, network] of [...this.networks]) {
      const { deletionTimestamp, uid = '', finalizers = [] } = network.metadata;
      if (deletionTimestamp !== undefined && !this.#deletions.has(uid)) this.#deletions.set(uid, this.now);
      const { finalizer } = judgeDeletion(network, this.view(), this.last, {
        deletionSeen: this.#deletions.get(uid) ?? this.now,
        agent: (name) => this.#heard.get(name),
      });
      if (finalizer === undefined) continue;
      changed = true;
      const others = finalizers.filter((one) => one !== inUseFinalizer);
      if (finalizer === 'add') {
        const metadata = { ...network.metadata, finalizers: [...others, inUseFinalizer] };
        this.networks.set(net, { ...network, metadata });
      } else if (deletionTimestamp === undefined) {
        this.networks.set(net, { ...network, metadata: { ...network.metadata, finalizers: others } });
      } else {
        if (network.spec.deletionPolicy === 'Force') this.#gone(net);
        else {
          this.networks.delete(net);
          // whoever is silent was waited for; what it has is not waited for any longer
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

/** Unless it was forced, or the agent was silent for too long, a container keeps the block that it is on. */
function containersKeepTheirBlocks(cluster: Busy): void {
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

test('however networks are deleted, no block changes hands while a container uses it, unless it is forced', () => {
  const outcomes = { waited: 0, forced: 0, gone: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 50 }), (steps) => {
      const cluster = new Busy();
      for (const each of steps) {
        cluster.perform(each);
        cluster.converge(() => {
          containersKeepTheirBlocks(cluster);
        });
        for (const key of cluster.lost) if (cluster.used.delete(key)) outcomes.forced++;
        cluster.lost.clear();
        outcomes.waited += [...cluster.networks.values()].filter(({ metadata }) =>
          isWaiting(metadata),
        ).length;
      }
      // at the end everybody stops, and whatever was deleted goes
      cluster.used.clear();
      for (let at = 0; at < 5; at++)
        if (cluster.nodes.has(`node${at}`)) cluster.perform({ kind: 'join', node: at });
      cluster.now += 600_000;
      cluster.converge(() => undefined);
      const waiting = [...cluster.networks.values()].filter(({ metadata }) => isWaiting(metadata));
      expect(waiting.map(({ metadata }) => metadata.name)).toEqual([]);
      outcomes.gone++;
    }),
    { numRuns: 100 },
  );
  // it was tried, not skipped
  expect(outcomes.waited).toBeGreaterThan(15);
  expect(outcomes.forced).toBeGreaterThan(2);
});
