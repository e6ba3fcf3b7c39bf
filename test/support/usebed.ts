import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { Use } from '../../src/use/use.ts';
import { inUseFinalizer } from '../../src/api/inuse.ts';
import type { DeletionPolicy, OverlayAgentStatus, OverlayNetwork } from '../../src/api/types.ts';
import { networksInForce } from '../../src/belief/snapshot.ts';
import type { Ask } from '../../src/containers/ask.ts';
import type { Known } from '../../src/containers/choose.ts';
import type { Endpoint } from '../../src/docker/engine.ts';
import { scratch } from './fixture.ts';

export const deletion = '2026-01-01T00:00:00Z';
export const ask: Ask = { containerID: 'c2', ifname: 'eth0', namespace: 'default', pod: 'web-2' };
/** Returns the plugin's answer: a network, and the ranges of its address. */
export const joined = (name: string, ...subnets: string[]) =>
  ({ networks: [{ name, ranges: subnets.map((subnet) => ({ subnet })) }] }) as never;

/** A node with one network and containers, and its agent's reports of their use. */
export class UseBed {
  readonly at = scratch();
  network: OverlayNetwork = {
    metadata: { name: 'dcos', uid: 'u', finalizers: [inUseFinalizer] },
    spec: {
      enabled: true,
      containerizers: ['CNI', 'Docker'],
      subnets: [{ cidr: '9.0.0.0/8', prefix: 24, state: 'Active' }],
    },
    status: {
      capacity: [
        { cidr: '9.0.0.0/8', blocks: 1, held: 1, releasing: 0, cooling: 0, quarantined: 0, free: 0 },
      ],
    },
  };
  status: OverlayAgentStatus | undefined;
  /** Names of the node's links. */
  readonly links = new Set<string>();
  blocks: { name: string; subnets: string[] }[] | undefined = [];
  endpoints: Endpoint[] | undefined = [];
  /** The snapshot that the last pass used, if it matters. */
  shown: Known['snapshot'] | undefined;
  /** The checkpoint after each write; undefined: the disk is full. */
  recorded: (Known['snapshot'] | undefined)[] | undefined = [];
  use: Use;

  constructor() {
    mkdirSync(this.at.path('attachments'), { recursive: true });
    this.use = this.agent();
  }

  drop(): void {
    this.at.drop();
  }

  snapshot(): Known['snapshot'] {
    return { networks: networksInForce([this.network]) } as Known['snapshot'];
  }

  /** Returns an agent that has just started. */
  agent(startedAt = -Infinity): Use {
    const get = {
      blocks: () => this.blocks,
      status: () => this.status,
      snapshot: () => this.shown ?? this.snapshot(),
    };
    return new Use({
      stateDir: this.at.path('.'),
      leaseDir: this.at.path('leases'),
      links: () => this.links,
      docker: {
        endpoints: () => Promise.resolve(this.endpoints),
        get blocks() {
          return get.blocks();
        },
        finding: { type: 'Docker', status: 'True', reason: 'Applied', message: 'Docker 28 has dcos' },
      },
      caches: {
        agents: { hasSynced: true },
        get agent() {
          return { metadata: { name: 'node1' }, status: get.status() };
        },
        networks: { list: () => [this.network] },
        configs: { get: () => ({ spec: { staleAfter: '3m' } }) },
      } as never,
      pass: {
        applied: {},
        get snapshot() {
          return get.snapshot();
        },
        held: {
          networks: [
            {
              name: 'dcos',
              subnets: [{ cidr: '9.0.1.0/24', bridges: { cni: '9.0.1.0/25' } }, { cidr: '10.0.1.0/24' }],
            },
          ],
        },
      } as never,
      startedAt,
      record: () => {
        this.recorded?.push(get.snapshot());
        return this.recorded !== undefined;
      },
      onCount: () => undefined,
    });
  }

  /** Deletes the network. */
  remove(deletionPolicy?: DeletionPolicy): void {
    this.network = {
      ...this.network,
      metadata: { ...this.network.metadata, deletionTimestamp: deletion },
      spec: { ...this.network.spec, ...(deletionPolicy && { deletionPolicy }) },
    };
  }

  /** Adds a pod's record, and its port in the kernel. */
  attach(id: string, pod: string, address: string): void {
    const host = hostOf(id);
    const addresses = ['fe80::1', address];
    const one = { network: 'dcos', name: 'eth0', host, mac: '', bridge: 'm-dcos', addresses };
    const record = {
      version: 1,
      conflist: 'overlaynet',
      containerID: id,
      ifname: 'eth0',
      netns: '/run/netns/x',
      namespace: 'default',
      pod,
      interfaces: [one],
    };
    writeFileSync(this.at.path('attachments', `${id}.json`), JSON.stringify(record));
    this.links.add(host);
  }

  detach(id: string): void {
    rmSync(this.at.path('attachments', `${id}.json`));
    this.links.delete(hostOf(id));
  }
}

const hostOf = (id: string) => `c-${id.padStart(12, '0')}`;
