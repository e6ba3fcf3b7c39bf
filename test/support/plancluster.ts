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
} from '../../src/api/types.ts';

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
 * A cluster as the plan sees it, whose writes always succeed: objects, their versions, and a clock. The real API
 * server's part (conflicts, refusals) is tested in test/apiserver.
 */
export class Cluster {
  now = Date.parse('2026-01-01T00:00:00Z');
  config: OverlayConfig | undefined = { metadata: { name: 'default' }, spec: configSpec };
  networks = new Map<string, OverlayNetwork>();
  nodes = new Map<string, NodeFacts>();
  agents = new Map<string, OverlayAgent>();
  allocations = new Map<string, AgentAllocation>();
  ledger = new Map<string, AllocationLedger>();
  stated = new Map<string, string[]>();
  apiServers: string[] = [];
  firstConfig: View['firstConfig'] = {};
  last!: Plan;
  /** Every write that was made, in order. */
  history: Write[] = [];
  /** When the operator saw the data go back. */
  wentBackAt: number | undefined;
  networksKind: View['networksKind'] = { uid: 'crd-1', goes: false };
  leaving: View['leaving'];
  confirmedGone = new Set<string>();
  /** By key of the write: why it is refused. */
  refusals = new Map<string, string>();
  /** What the API server was asked about: of a cluster that is its own API server that is true at once. */
  private readonly asked = {
    nodes: new Set<string>(),
    networks: new Set<string>(),
    agents: new Set<string>(),
  };
  private readonly memory = new Memory();
  private version = 0;
  private born = 0;

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

  /** A Node with an agent that has registered. */
  join(name: string, address: string, labels: Record<string, string> = {}, uplinkMTU = 1500): void {
    const uid = `uid-${this.born}`;
    this.nodes.set(name, { name, uid, labels, creationTimestamp: this.time(this.born++) });
    this.stated.set(name, [address]);
    this.agents.set(name, {
      metadata: { name, uid: `${uid}-agent` },
      spec: { addresses: [address], uplinkMTU },
    });
  }

  /** The node's agent answers the restore: it has registered anew. */
  answer(node: string): void {
    const agent = this.agents.get(node)!;
    const restore = this.configStatus().restored!.id;
    this.agents.set(node, { ...agent, spec: { ...agent.spec, restore } });
  }

  leave(name: string): void {
    this.nodes.delete(name);
  }

  /** Their CRD is being deleted, and all networks have gone with it. */
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

  /** Whether every plan is compared with one that remembers nothing. */
  comparing = false;

  /** Plans and writes until nothing is left; `inspect` sees the state after every round. */
  settle(inspect: () => void = () => undefined): this {
    const withdrawn = new Set<string>();
    this.asked.nodes.clear();
    this.asked.networks.clear();
    this.asked.agents.clear();
    for (let round = 0; ; round++) {
      // one round updates a part of the nodes at most
      if (round > 100 + this.nodes.size / 50) throw new Error(`no end: ${JSON.stringify(this.last.writes)}`);
      this.last = plan(this.view(withdrawn), this.memory);
      // what is remembered saves work, and must make no difference
      if (this.comparing) expect(told(this.last)).toEqual(told(plan(this.view(withdrawn), new Memory())));
      const { nodes, networks, agents } = this.last.reads;
      for (const node of nodes) this.asked.nodes.add(node);
      for (const network of networks) this.asked.networks.add(network);
      for (const agent of agents) this.asked.agents.add(agent);
      const writes = this.last.writes.filter((write) => !this.refusals.has(keyOf(write)));
      if (writes.length + nodes.size + networks.size + agents.size === 0 && !this.tellQuarantined())
        return this;
      for (const write of writes) this.apply(write, withdrawn);
      this.history.push(...writes);
      inspect();
    }
  }

  /** Writes into OverlayConfig's status which blocks are quarantined. @returns whether that is news */
  private tellQuarantined(): boolean {
    const { config } = this;
    const { quarantined } = this.configStatus();
    if (config === undefined || isDeepStrictEqual(config.status?.quarantined, quarantined)) return false;
    this.config = { ...config, status: { ...(quarantined && { quarantined }) } };
    return true;
  }

  /** Somebody else writes a node's AgentAllocation. */
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

  /** The subnets that a node's AgentAllocation shows, of all its networks. */
  shown(node: string): string[] {
    return (this.allocations.get(node)?.spec.networks ?? []).flatMap(({ subnets }) =>
      subnets.map(({ cidr }) => cidr),
    );
  }

  /** Blocks in the ledger as `page/index node state`. */
  blocks(): string[] {
    return [...this.ledger.entries()].flatMap(([name, { spec }]) =>
      (spec.page?.blocks ?? []).map(({ index, node, state }) => `${name}/${index} ${node} ${state}`),
    );
  }

  private apply(write: Write, withdrawn: Set<string>): void {
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

  private time(order: number): string {
    return new Date(Date.parse('2025-01-01T00:00:00Z') + order * 1000).toISOString();
  }
}

/** As the API server gives it back: another object, its keys in the order of the alphabet. */
function stored<T>(value: T): T {
  if (Array.isArray(value)) return value.map(stored) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, stored(child) as unknown])) as T;
}

export const dcos = [{ cidr: '9.0.0.0/8', prefix: 24 }];
export const dcos6 = [{ cidr: 'fd01:b::/64', prefix: 80 }];

/** The three agents of the reference document, each allocated before the next. */
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

/** All that a plan says. */
const told = ({ writes, reads, wakeAt, registrations, refusedNetworks, exhausted }: Plan) => ({
  writes,
  reads,
  wakeAt,
  registrations,
  refusedNetworks,
  exhausted,
});
