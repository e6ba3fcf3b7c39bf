import { plan, type Plan } from '../../../src/allocate/plan.ts';
import { Renderer } from '../../../src/allocate/render.ts';
import { allocationStatus, configStatus, gather, networkStatus } from '../../../src/allocate/status.ts';
import { spacesName, type NodeFacts, type View, type Write } from '../../../src/allocate/view.ts';
import type {
  AgentAllocation,
  AllocationLedger,
  NetworkSubnet,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
  OverlayNetworkSpec,
} from '../../../src/api/types.ts';

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
  last!: Plan;
  /** Every write that was made, in order. */
  history: Write[] = [];
  private readonly renderer = new Renderer();
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

  leave(name: string): void {
    this.nodes.delete(name);
  }

  view(withdrawn: ReadonlySet<string> = new Set()): View {
    const pages = new Map(this.ledger);
    const spaces = pages.get(spacesName);
    pages.delete(spacesName);
    return {
      now: this.now,
      config: this.config,
      networks: [...this.networks.values()],
      nodes: this.nodes,
      agents: this.agents,
      allocations: this.allocations,
      ledger: { ...(spaces === undefined ? {} : { spaces }), pages, readAt: this.version },
      nodeAddresses: this.stated,
      withdrawn,
      isStuck: () => false,
    };
  }

  /** Plans and writes until nothing is left; `inspect` sees the state after every round. */
  settle(inspect: () => void = () => undefined): this {
    const withdrawn = new Set<string>();
    for (let round = 0; ; round++) {
      if (round > 100) throw new Error(`no end: ${JSON.stringify(this.last.writes)}`);
      this.last = plan(this.view(withdrawn), this.renderer);
      if (this.last.writes.length === 0) return this;
      for (const write of this.last.writes) this.apply(write, withdrawn);
      this.history.push(...this.last.writes);
      inspect();
    }
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
        this.ledger.set(spacesName, { metadata: metadata(spacesName), spec: { index: write.index } });
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
      case 'update-allocation':
        this.allocations.set(write.node, { metadata: metadata(write.node), spec: write.spec });
        break;
      case 'delete-allocation':
        this.allocations.delete(write.node);
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

export const dcos = [{ cidr: '9.0.0.0/8', prefix: 24 }];
export const dcos6 = [{ cidr: 'fd01:b::/64', prefix: 80 }];

/** The three agents of the reference document, each allocated before the next. */
export function reference(): Cluster {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  cluster.network('dcos6', dcos6);
  cluster.join('node1', '172.17.0.2', { 'overlaynet.dev/bridges': 'false' });
  cluster.settle();
  cluster.join('node2', '172.17.0.4');
  cluster.settle();
  cluster.join('node3', '172.17.0.3');
  return cluster.settle();
}
