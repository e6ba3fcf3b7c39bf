import { believe, wakeAt, type Belief } from '../../src/belief/belief.ts';
import { snapshotOf } from '../../src/belief/snapshot.ts';
import type {
  AgentAllocation,
  AgentAllocationSpec,
  EffectiveConfig,
  OverlayConfig,
  OverlayConfigStatus,
  OverlayNetwork,
} from '../../src/api/types.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { config, dcos, dcos6, node2 } from './fixture.ts';

export const peerName = (i: number): string => `peer${String(i).padStart(3, '0')}`;

/** The i-th peer's allocation: a block of both networks. */
export const peer = (i: number): AgentAllocationSpec => ({
  revision: 2,
  nodeUID: `uid-${i}`,
  addresses: [`172.17.${1 + (i >> 8)}.${i & 255}`],
  vtep: {
    ip: `44.128.1.${i}/20`,
    ip6: `fd01:a::1:${i}/64`,
    mac: `70:b3:d5:80:01:${i.toString(16).padStart(2, '0')}`,
  },
  networks: [
    { name: 'dcos', subnets: [{ cidr: `9.${i >> 8}.${(10 + i) & 255}.0/24` }] },
    { name: 'dcos6', subnets: [{ cidr: `fd01:b:0:0:${10 + i}::/80` }] },
  ],
});

export const names = (snapshot: Snapshot): string[] => snapshot.allocations.map(({ node }) => node);

/** A cluster of node2 and that many peers, all of which exist and are believed. */
export function started(peers = 10): { cluster: Cluster; belief: Belief } {
  const cluster = new Cluster(peers);
  return { cluster, belief: cluster.believe(undefined) };
}

type Objects = Snapshot['networks'][number];

/** The objects as node2's agent sees them, and a clock. */
export class Cluster {
  readonly started = Date.parse('2026-01-01T00:00:00Z');
  now = this.started;
  uid = 'first';
  effective: EffectiveConfig | undefined = config;
  status: Omit<OverlayConfigStatus, 'effective'> = {};
  annotations: Record<string, string> = {};
  readonly networks = new Map<string, OverlayNetwork>();
  readonly allocations = new Map<string, AgentAllocation>();
  readonly released = new Set<string>();
  wentBack = false;
  refused = false;
  /** The highest resourceVersion that an earlier agent saw. */
  seen: bigint | undefined;
  #version = 0;

  constructor(peers: number) {
    this.network(dcos);
    this.network(dcos6);
    this.join(node2, 'node2');
    for (let i = 0; i < peers; i++) this.join(peer(i));
  }

  /** Returns the resourceVersion of the next write. */
  write(): string {
    return String(++this.#version);
  }

  network({ metadata, spec }: Objects): void {
    this.networks.set(metadata.name, { metadata: { ...metadata }, spec });
    this.accept(metadata.name);
  }

  accept(name: string): void {
    const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' } as const;
    this.networks.get(name)!.status = {
      conditions: [{ ...accepted, lastTransitionTime: '2026-01-01T00:00:00Z' }],
    };
  }

  join(spec: AgentAllocationSpec, name = peerName(Number(spec.nodeUID.slice(4)))): void {
    this.released.delete(name);
    this.allocations.set(name, { metadata: { name, resourceVersion: this.write() }, spec });
  }

  /** Removes the peers' AgentAllocations, as if they were lost. */
  lose(...peers: number[]): void {
    for (const i of peers) this.allocations.delete(peerName(i));
  }

  /** Removes the peers as the operator does when nodes are gone. */
  leave(...peers: number[]): void {
    for (const i of peers) this.released.add(peerName(i));
    this.lose(...peers);
  }

  /** Removes the network as the operator does when it is deleted. */
  withdraw(network: string): void {
    for (const [name, { metadata, spec }] of this.allocations) {
      const networks = (spec.networks ?? []).filter((one) => one.name !== network);
      this.allocations.set(name, { metadata, spec: { ...spec, revision: spec.revision + 1, networks } });
    }
  }

  clear(kind: 'config' | 'networks' | 'allocations'): void {
    if (kind === 'config') this.effective = undefined;
    else this[kind].clear();
  }

  /** The operator creates OverlayConfig anew. */
  install(uid: string): void {
    this.effective = config;
    this.uid = uid;
    this.status = {};
  }

  get config(): OverlayConfig | undefined {
    if (this.effective === undefined) return undefined;
    return {
      metadata: { name: 'default', uid: this.uid, annotations: this.annotations },
      spec: { ...config, reuseCooldown: '10m' },
      status: { ...this.status, effective: this.effective },
    };
  }

  /** The snapshot that the objects alone give. */
  get next(): Snapshot | undefined {
    if (this.allocations.get('node2')?.spec.vtep === undefined) return undefined;
    return snapshotOf('node2', {
      config: this.config,
      networks: [...this.networks.values()],
      allocations: [...this.allocations.values()],
    });
  }

  /** Returns what node2's agent believes now, given what it believed before. */
  believe(before: Belief | undefined): Belief {
    const { config: object, networks, allocations, seen, next, released, wentBack, refused, now } = this;
    return believe(before, {
      config: object,
      networks: [...networks.values()],
      allocations: [...allocations.values()],
      seen,
      next,
      released,
      wentBack,
      refused,
      now,
    })!;
  }

  /** Believes twice, with a second in between. */
  settle(before: Belief): Belief {
    const now = this.believe(before);
    this.now = Math.min(Math.max(this.now, wakeAt(now, this.now)), this.now + 1_000);
    return this.believe(now);
  }
}
