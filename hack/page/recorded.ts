import type {
  AgentAllocation,
  AllocationLedger,
  Isolation,
  LedgerBlock,
  LedgerSpace,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../../src/api/types.ts';
import { pageName, pageSize, vtepSpace } from '../../src/allocate/space.ts';
import { exhausting } from '../../src/allocate/fullness.ts';
import type { NodeFacts } from '../../src/allocate/view.ts';
import { block, formatCidr, halves, parseCidr } from '../../src/net/cidr.ts';
import { vtepAt } from '../../src/net/vtep.ts';
import type { ContainerRow, Unanswered } from '../../src/rows/row.ts';
import type { StoredEvent } from '../../src/rows/events.ts';
import type { World } from '../../src/rows/world.ts';
import { containersOf, countAddresses } from './recordedcontainers.ts';
import { eventsOf } from './recordedevents.ts';
import { ago, condition, conditionsOf, faultOf } from './recordedfaults.ts';

/** A cluster as an operator's caches and its agents report it, generated from a few numbers and always the same. */
export interface Recorded {
  world: World;
  containers: ContainerRow[];
  unanswered: Unanswered[];
  events: StoredEvent[];
}

interface NetworkSpec {
  name: string;
  cidr: string;
  prefix: number;
  isolation?: Isolation;
  /** Percentage of nodes that get a block. */
  share: number;
}

/** Closed for processes of other nodes, but for the API server. */
const closed: Isolation = { mode: 'Isolated', allow: ['db'], hosts: 'Deny', allowAPIServer: true };

const networks: NetworkSpec[] = [
  { name: 'dcos', cidr: '9.0.0.0/8', prefix: 24, share: 100 },
  { name: 'dcos6', cidr: 'fd01:b::/64', prefix: 80, share: 100 },
  { name: 'web', cidr: '10.40.0.0/16', prefix: 26, isolation: closed, share: 60 },
  {
    name: 'db',
    cidr: '10.50.0.0/16',
    prefix: 26,
    isolation: { mode: 'Isolated', allow: ['web'] },
    share: 40,
  },
  { name: 'batch', cidr: '10.60.0.0/21', prefix: 28, isolation: { mode: 'Isolated' }, share: 12 },
];

const config: OverlayConfig['spec'] = {
  vtepSubnets: ['44.128.0.0/16', 'fd01:a::/64'],
  vtepMACOUI: '70:b3:d5:00:00:00',
  vni: 1024,
  port: 64000,
  underlay: 'IPv4',
  defaultNetwork: 'dcos',
  reuseCooldown: '10m',
};

/**
 * Generates a cluster.
 * @param count.containers their number on all nodes together
 */
export function record(count: { nodes: number; containers: number }, now = Date.now()): Recorded {
  const cluster = new Cluster(count.nodes, now);
  const names = Array.from({ length: count.nodes }, (_, at) => `node${at + 1}`);
  names.forEach((name, at) => {
    cluster.join(name, at);
  });
  cluster.rest();
  const containers = containersOf(cluster.allocations, names, count.containers, now);
  countAddresses(cluster.agents, cluster.allocations, containers);
  const world = cluster.world();
  return {
    world,
    containers,
    events: eventsOf(world),
    unanswered: names
      .filter((_, at) => faultOf(at, count.nodes) === 'silent')
      .map((node) => ({
        node,
        reason: `${cluster.agents.get(node)?.spec.addresses[0] ?? ''}: no answer within 2500 ms`,
      })),
  };
}

class Cluster {
  readonly nodes = new Map<string, NodeFacts>();
  readonly agents = new Map<string, OverlayAgent>();
  readonly allocations = new Map<string, AgentAllocation>();
  readonly #count: number;
  readonly #now: number;
  readonly #blocks = new Map<string, LedgerBlock[]>([
    ['vtep', []],
    ...networks.map(({ name }) => [name, []] as [string, LedgerBlock[]]),
  ]);

  constructor(count: number, now: number) {
    this.#count = count;
    this.#now = now;
  }

  join(name: string, at: number): void {
    const since = ago(this.#now, 400_000 - at * 60);
    const fault = faultOf(at, this.#count);
    this.nodes.set(name, { name, uid: `uid-${name}`, labels: {}, creationTimestamp: since });
    if (fault === 'missing') return;
    const held = (space: string) => {
      const blocks = this.#blocks.get(space) ?? [];
      blocks.push({ index: blocks.length, node: name, uid: `uid-${name}`, state: 'Held', since });
      return blocks.length - 1;
    };
    const { ip, ip6, mac } = vtepAt(config.vtepSubnets, config.vtepMACOUI, held('vtep'));
    const joined = networks.filter(({ share }) => (at * 37) % 100 < share);
    const addresses = [`172.17.${Math.floor((at + 2) / 250)}.${((at + 2) % 250) + 1}`];
    const allocated = joined.map(({ name: network, cidr, prefix }) => {
      const own = block(parseCidr(cidr), prefix, held(network));
      const [cni, docker] = halves(own).map(formatCidr);
      return {
        name: network,
        subnets: [{ cidr: formatCidr(own), bridges: { cni: cni ?? '', docker: docker ?? '' } }],
      };
    });
    this.allocations.set(name, {
      metadata: { name },
      spec: {
        revision: 3,
        nodeUID: `uid-${name}`,
        addresses,
        vtep: { mac, ...(ip === undefined ? {} : { ip }), ...(ip6 === undefined ? {} : { ip6 }) },
        networks: allocated,
      },
    });
    this.agents.set(name, {
      metadata: { name, creationTimestamp: since },
      spec: { addresses, uplinkMTU: 1500 },
      status: {
        revision: fault === 'configuring' ? 2 : 3,
        networks: joined.map(({ name: network }) =>
          fault === 'failed' && network === 'dcos'
            ? {
                name: network,
                state: 'Failed',
                message: 'ip link add vtep1024 type vxlan: RTNETLINK answers: Operation not supported',
              }
            : { name: network, state: 'OK' },
        ),
        conditions: conditionsOf(fault, ago(this.#now, 900 + at)),
      },
    });
  }

  /** Lets some blocks rest, as after nodes have left. */
  rest(): void {
    for (const [space, blocks] of this.#blocks) {
      if (space === 'vtep') continue;
      const spread = Math.min(6, Math.ceil(this.#count / 20));
      for (let at = 0; at < spread; at++)
        blocks.push({
          index: blocks.length,
          node: `old${at + 1}`,
          uid: `uid-old${at + 1}`,
          state: at % 4 === 3 ? 'Releasing' : 'Cooling',
          since: ago(this.#now, 120),
        });
    }
  }

  world(): World {
    const space = (name: string, cidr: string, prefix: number, at: number): LedgerSpace => {
      const count = Math.ceil((this.#blocks.get(name === '' ? vtepSpace : name) ?? []).length / pageSize);
      const pages = Array.from({ length: count }, (_, page) => at * 100 + page);
      return { cidr, prefix, network: name, networkUID: name, pages, made: count };
    };
    const spaces = [
      space('', vtepSpace, 0, 0),
      ...networks.map(({ name, cidr, prefix }, at) => space(name, cidr, prefix, at + 1)),
    ];
    const { vtepSubnets, vtepMACOUI, vni, port, underlay } = config;
    return {
      now: this.#now,
      config: {
        metadata: { name: 'default' },
        spec: config,
        status: { conditions: [condition(ago(this.#now, 500_000), 'Accepted', 'True', 'Accepted')] },
      },
      networks: networks.map((spec) => this.#network(spec)),
      reservations: [],
      nodes: this.nodes,
      agents: this.agents,
      allocations: this.allocations,
      ledger: {
        spaces: {
          metadata: { name: 'spaces', resourceVersion: '7' },
          spec: {
            index: { nextPage: 9_999, spaces, config: { vtepSubnets, vtepMACOUI, vni, port, underlay } },
          },
        },
        pages: new Map(spaces.flatMap((space) => this.#pages(space))),
        readAt: 7,
        fresh: new Map(),
      },
    };
  }

  #pages(space: LedgerSpace): [string, AllocationLedger][] {
    const { cidr, prefix, network, pages } = space;
    const blocks = this.#blocks.get(network === '' ? vtepSpace : network) ?? [];
    return pages.map((number, ordinal) => {
      const name = pageName(space, number);
      const first = ordinal * pageSize;
      const page = { space: cidr, prefix, first, blocks: blocks.slice(first, first + pageSize) };
      return [name, { metadata: { name, resourceVersion: '7' }, spec: { page } }];
    });
  }

  #network({ name, cidr, prefix, isolation }: NetworkSpec): OverlayNetwork {
    const since = ago(this.#now, 450_000);
    const blocks = this.#blocks.get(name) ?? [];
    const all = 2 ** Math.min(20, prefix - parseCidr(cidr).length);
    const inState = (state: LedgerBlock['state']) => blocks.filter((one) => one.state === state).length;
    const said = [...this.nodes.values()].map((node) => ({
      node,
      network: this.agents.get(node.name)?.status?.networks?.find((one) => one.name === name),
    }));
    const bad = said.filter(({ network }) => network?.state === 'Failed');
    const failed = bad.length;
    const held = inState('Held');
    const ready =
      failed === 0
        ? condition(since, 'Ready', 'True', 'Ready')
        : condition(
            since,
            'Ready',
            'False',
            'AgentsFailed',
            `${failed} of ${held} agents failed: ${bad[0]?.node.name ?? ''}: ip link add vtep1024 type vxlan: Operation not supported`,
          );
    const capacity = {
      cidr,
      blocks: all,
      held,
      releasing: inState('Releasing'),
      cooling: inState('Cooling'),
      quarantined: 0,
      free: all - blocks.length,
    };
    const network: OverlayNetwork = {
      metadata: { name, creationTimestamp: since },
      spec: {
        subnets: [{ cidr, prefix, state: 'Active' }],
        enabled: true,
        containerizers: ['CNI', 'Docker'],
        ...(isolation === undefined ? {} : { isolation }),
      },
    };
    const { type, status, reason, message } = exhausting(network, [capacity], said);
    return {
      ...network,
      status: {
        capacity: [capacity],
        agents: { allocated: held, ready: held - failed, failed, waiting: 0 },
        conditions: [
          condition(since, 'Accepted', 'True', 'Accepted'),
          ready,
          condition(since, type, status, reason, message),
        ],
      },
    };
  }
}
