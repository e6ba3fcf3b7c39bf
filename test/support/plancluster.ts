import { isDeepStrictEqual } from 'node:util';
import { Memory, plan, type Plan } from '../../src/allocate/plan.ts';
import { allocationStatus } from '../../src/allocate/allocationstatus.ts';
import { configStatus } from '../../src/allocate/configstatus.ts';
import { gather } from '../../src/allocate/facts.ts';
import { networkStatus } from '../../src/allocate/networkstatus.ts';
import { keyOf, spacesName, type NodeFacts, type View, type Write } from '../../src/allocate/view.ts';
import type {
  AgentAllocation,
  AllocationLedger,
  NetworkSubnet,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
  OverlayNetworkSpec,
  OverlayReservation,
} from '../../src/api/types.ts';
import { stored, parts } from './planned.ts';

export const configSpec: OverlayConfig['spec'] = {
  vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
  vtepMACOUI: '70:B3:D5:00:00:00',
  vni: 1024,
  port: 64000,
  underlay: 'IPv4',
  defaultNetwork: 'dcos',
  reuseCooldown: '10m',
};

/**
 * A cluster for tests of the plan, in which writes always succeed: objects, their versions, and a clock. Conflicts and
 * refusals are tested with a real API server in test/apiserver.
 */
export class Cluster {
  now = Date.parse('2026-01-01T00:00:00Z');
  config: OverlayConfig | undefined = { metadata: { name: 'default' }, spec: configSpec };
  networks = new Map<string, OverlayNetwork>();
  reservations = new Map<string, OverlayReservation>();
  reservationsAt?: number;
  nodes = new Map<string, NodeFacts>();
  agents = new Map<string, OverlayAgent>();
  allocations = new Map<string, AgentAllocation>();
  ledger = new Map<string, AllocationLedger>();
  stated = new Map<string, string[]>();
  apiServers: string[] = [];
  firstConfig: View['firstConfig'] = {};
  last!: Plan;
  /** All writes, in order. */
  history: Write[] = [];
  /** When the operator saw that the data had gone back. */
  wentBackAt: number | undefined;
  networksKind: View['networksKind'] = { uid: 'crd-1', goes: false };
  leaving: View['leaving'];
  confirmedGone = new Set<string>();
  /** Refusals by the key of the write. */
  refusals = new Map<string, string>();
  /** The API server's answers to the plan's questions. In this cluster they are known at once. */
  readonly asked = {
    nodes: new Set<string>(),
    networks: new Set<string>(),
    agents: new Set<string>(),
  };
  readonly memory = new Memory();
  version = 0;
  born = 0;

  network(
    name: string,
    subnets: (Omit<NetworkSubnet, 'state'> & Partial<NetworkSubnet>)[],
    spec: Partial<OverlayNetworkSpec> = {},
  ): void {
    const known = this.networks.get(name);
    this.networks.set(name, {
      metadata: known?.metadata ?? {
        name,
        uid: `uid-${this.born}`,
        creationTimestamp: this.time(this.born++),
      },
      spec: {
        enabled: true,
        containerizers: ['CNI', 'Docker'],
        ...spec,
        subnets: subnets.map((subnet) => ({ state: 'Active', ...subnet })),
      },
    });
  }

  /** Adds a Node with an agent that has registered. */
  join(name: string, address: string, labels: Record<string, string> = {}, uplinkMTU = 1500): void {
    const uid = `uid-${this.born}`;
    this.nodes.set(name, { name, uid, labels, creationTimestamp: this.time(this.born++) });
    this.stated.set(name, [address]);
    this.agents.set(name, {
      metadata: { name, uid: `${uid}-agent` },
      spec: { addresses: [address], uplinkMTU },
    });
  }

  /** The node's agent answers the restore by registering anew. */
  answer(node: string): void {
    const agent = this.agents.get(node)!;
    const restore = this.configStatus().restored!.id;
    this.agents.set(node, { ...agent, spec: { ...agent.spec, restore } });
  }

  leave(name: string): void {
    this.nodes.delete(name);
  }

  /** The networks' CRD is being deleted, and all networks have been deleted with it. */
  loseNetworks(): void {
    this.networks.clear();
    this.networksKind = { uid: 'crd-1', goes: true };
  }

  view(withdrawn: ReadonlySet<string> = new Set()): View {
    const pages = new Map(this.ledger);
    const spaces = pages.get(spacesName);
    pages.delete(spacesName);
    return {
      now: this.now,
      config: this.config,
      firstConfig: this.firstConfig,
      networks: [...this.networks.values()],
      reservations: new Map(this.reservations),
      reservationsAt: this.reservationsAt ?? this.version,
      nodes: new Map(this.nodes),
      agents: new Map(this.agents),
      allocations: new Map(this.allocations),
      allocationsAt: this.version,
      ledger: {
        ...(spaces === undefined ? {} : { spaces }),
        pages,
        readAt: this.version,
        fresh: new Map([[spacesName, this.version]]),
      },
      nodeAddresses: this.stated,
      apiServers: this.apiServers,
      withdrawn,
      asked: this.asked,
      refusal: (key) => this.refusals.get(key),
      wentBackAt: this.wentBackAt,
      networksKind: this.networksKind,
      leaving: this.leaving,
      confirmedGone: this.confirmedGone,
    };
  }

  /** Whether every plan is compared with a plan without memory. */
  comparing = false;

  /** Plans and writes until nothing is left to do; `inspect` is called after every round. */
  settle(inspect: () => void = () => undefined): this {
    const withdrawn = new Set<string>();
    for (const names of Object.values(this.asked)) names.clear();
    for (let round = 0; ; round++) {
      // one round updates only a part of the nodes
      if (round > 100 + this.nodes.size / 50) throw new Error(`no end: ${JSON.stringify(this.last.writes)}`);
      this.last = plan(this.view(withdrawn), this.memory);
      // memory saves work and must not change the plan
      if (this.comparing) expect(parts(this.last)).toEqual(parts(plan(this.view(withdrawn), new Memory())));
      const { nodes, networks, agents } = this.last.reads;
      for (const node of nodes) this.asked.nodes.add(node);
      for (const network of networks) this.asked.networks.add(network);
      for (const agent of agents) this.asked.agents.add(agent);
      const writes = this.last.writes.filter((write) => !this.refusals.has(keyOf(write)));
      if (writes.length + nodes.size + networks.size + agents.size === 0 && !this.showQuarantined())
        return this;
      for (const write of writes) this.apply(write, withdrawn);
      this.history.push(...writes);
      inspect();
    }
  }

  /** Writes the quarantined blocks into OverlayConfig's status. Returns whether they changed. */
  showQuarantined(): boolean {
    const { config } = this;
    const { quarantined } = this.configStatus();
    if (config === undefined || isDeepStrictEqual(config.status?.quarantined, quarantined)) return false;
    this.config = { ...config, status: { ...(quarantined && { quarantined }) } };
    return true;
  }

  /** Sets the version of the next write above that of hand-made objects. */
  continueFrom(version: number): void {
    this.version = version;
  }

  /** Another client writes a node's AgentAllocation. */
  edit(node: string, spec: AgentAllocation['spec']): void {
    const { metadata } = this.allocations.get(node)!;
    this.allocations.set(node, {
      metadata: { ...metadata, resourceVersion: String(++this.version) },
      spec,
    });
  }

  status(network: string) {
    return networkStatus(this.networks.get(network)!, gather(this.view(), this.last));
  }

  condition(network: string, type: string) {
    return this.status(network).conditions!.find((condition) => condition.type === type)!;
  }

  configStatus() {
    return configStatus(gather(this.view(), this.last));
  }

  allocationStatus(node: string) {
    return allocationStatus(this.allocations.get(node)!, gather(this.view(), this.last));
  }

  spec(node: string): AgentAllocation['spec'] {
    return this.allocations.get(node)!.spec;
  }

  /** Returns the subnets of all networks in a node's AgentAllocation. */
  shown(node: string): string[] {
    return (this.allocations.get(node)?.spec.networks ?? []).flatMap(({ subnets }) =>
      subnets.map(({ cidr }) => cidr),
    );
  }

  /** Returns the blocks in the ledger as `page/index node state`. */
  blocks(): string[] {
    return [...this.ledger.entries()].flatMap(([name, { spec }]) =>
      (spec.page?.blocks ?? []).map(({ index, node, state }) => `${name}/${index} ${node} ${state}`),
    );
  }

  apply(write: Write, withdrawn: Set<string>): void {
    const metadata = (name: string) => ({
      name,
      uid: `uid-${name}`,
      resourceVersion: String(++this.version),
    });
    switch (write.kind) {
      case 'create-config':
        this.config = { metadata: metadata('default'), spec: { ...configSpec, ...write.spec } };
        break;
      case 'write-index':
        this.ledger.set(spacesName, { metadata: metadata(spacesName), spec: { index: stored(write.index) } });
        break;
      case 'write-page':
        this.ledger.set(write.name, { metadata: metadata(write.name), spec: { page: write.page } });
        break;
      case 'delete-page':
        this.ledger.delete(write.name);
        break;
      case 'delete-agent':
        this.agents.delete(write.node);
        break;
      case 'create-allocation':
        this.allocations.set(write.node, { metadata: metadata(write.node), spec: write.spec });
        break;
      case 'update-allocation':
        this.allocations.set(write.node, {
          metadata: { ...write.over.metadata, resourceVersion: String(++this.version) },
          spec: write.spec,
        });
        break;
      case 'delete-allocation':
        if (write.over.metadata.finalizers === undefined) this.allocations.delete(write.node);
        else {
          const deletionTimestamp = new Date(this.now).toISOString();
          this.allocations.set(write.node, {
            ...write.over,
            metadata: { ...write.over.metadata, deletionTimestamp, resourceVersion: String(++this.version) },
          });
          return;
        }
        break;
      case 'confirm-absent':
        break;
    }
    if ('withdraws' in write) for (const key of write.withdraws) withdrawn.add(key);
  }

  time(order: number): string {
    return new Date(Date.parse('2025-01-01T00:00:00Z') + order * 1000).toISOString();
  }
}

export const dcos = [{ cidr: '9.0.0.0/8', prefix: 24 }];
export const dcos6 = [{ cidr: 'fd01:b::/64', prefix: 80 }];

/** The three agents of the reference document; each is allocated before the next joins. */
export function reference(config: Partial<OverlayConfig['spec']> = {}): Cluster {
  const cluster = new Cluster();
  cluster.config = { metadata: { name: 'default' }, spec: { ...configSpec, ...config } };
  cluster.network('dcos', dcos);
  cluster.network('dcos6', dcos6);
  cluster.join('node1', '172.17.0.2', { 'overlaynet.dev/bridges': 'false' });
  cluster.settle();
  cluster.join('node2', '172.17.0.4');
  cluster.settle();
  cluster.join('node3', '172.17.0.3');
  return cluster.settle();
}
