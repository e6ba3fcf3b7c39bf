import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { DataPath, type DataPathOutcome } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { formatAddress } from '../../src/net/address.ts';
import { addressAt, parseCidr } from '../../src/net/cidr.ts';
import { cluster, type NetworkOptions } from './cluster.ts';
import { Deliveries } from './deliveries.ts';
import type { Netns } from './netns.ts';
import { Prober } from './prober.ts';
import { Wire } from './wire.ts';

/** A container with a process that answers. */
export interface Pod {
  netns: Netns;
  prober: Prober;
  delivered: Deliveries;
  /** Addresses by family. */
  ip: Partial<Record<4 | 6, string>>;
}

type Changes = Partial<Pick<Snapshot, 'apiServers'>>;

/** Two nodes with containers that send requests and answer them. */
export class Bed {
  readonly wire = new Wire();
  /** Packets that are delivered to each node itself. */
  readonly delivered: Deliveries[] = [];
  /** Further addresses of each node, from the next `apply` on. */
  further: string[][] = [];
  readonly #probers: Prober[] = [];
  #networks: NetworkOptions[] = [];

  /** A network with prefix 24 of its own /16 and 80 of its own /64: 9.`index`.0.0/16, fd01:`index`::/64. */
  static network(index: number, name: string, rest: Partial<NetworkOptions> = {}): NetworkOptions {
    const subnets = [
      { cidr: `9.${index}.0.0/16`, prefix: 24 },
      { cidr: `fd01:${index}::/64`, prefix: 80 },
    ];
    return { name, subnets, ...rest };
  }

  async up(networks: NetworkOptions[], changes: Changes = {}): Promise<void> {
    await this.wire.up('IPv4', { networks: networks.map(({ name, subnets }) => ({ name, subnets })) });
    await this.apply(networks, changes);
    for (const node of this.wire.nodes) this.delivered.push(await Deliveries.count(node));
  }

  /** Applies the networks on each node, as an agent does that has just started. `changes` replace parts of the snapshot. */
  async apply(networks: NetworkOptions[], changes: Changes = {}): Promise<DataPathOutcome[]> {
    this.#networks = networks;
    const outcomes = [];
    for (const [index, node] of this.wire.nodes.entries()) {
      const snapshot = { ...cluster(2, index, { networks, further: this.further }), ...changes };
      const outcome = await new DataPath({ log: silent, run: node.run }).reconcile(snapshot);
      if (outcome.failures.length > 0) throw new Error(JSON.stringify(outcome.failures));
      outcomes.push(outcome);
    }
    return outcomes;
  }

  node(index: number): Netns {
    const node = this.wire.nodes[index];
    if (node === undefined) throw new Error(`there is no node${index}`);
    return node;
  }

  /** Starts an answering process on the node itself. */
  process(node: number, ports?: number[]): Promise<Prober> {
    return this.#prober(this.node(node), ports);
  }

  /** Starts one on a host that is not a node: 172.17.9.9, fd00:17::99. */
  outside(): Promise<Prober> {
    return this.#prober(this.wire.outside);
  }

  async #prober(netns: Netns, ports?: number[]): Promise<Prober> {
    const prober = await Prober.start(netns, ports);
    this.#probers.push(prober);
    return prober;
  }

  /** Adds a container in the first half of the node's block, or in the second, whose bridge Docker would make. */
  async pod(network: string, node: number, options: { half?: 'cni' | 'docker'; ports?: number[] } = {}) {
    const { half = 'cni', ports } = options;
    const index = this.#networks.findIndex(({ name }) => name === network);
    const allocated = cluster(2, node, { networks: this.#networks }).allocations[node]?.spec.networks?.[
      index
    ];
    const bridge = `${half === 'cni' ? 'm' : 'd'}-${network}`;
    const netns = await this.wire.create();
    const number = this.wire.all.length;
    const host = this.node(node);
    // neighbour discovery uses link-local addresses, which would otherwise be tested for duplicates first
    for (const place of [netns, host]) await place.sh('sysctl -qw net.ipv6.conf.default.accept_dad=0');
    if (half === 'docker') await host.sh(`ip link add ${bridge} type bridge`);
    if (half === 'docker') await host.sh(`ip link set ${bridge} up`);
    await host.sh(`ip link add p${number} type veth peer name eth0 netns ${netns.pid}`);
    await host.sh(`ip link set p${number} master ${bridge} up`);
    await host.sh(`bridge link set dev p${number} hairpin on`);
    await netns.sh('ip link set eth0 up');
    const ip: Pod['ip'] = {};
    for (const { bridges } of allocated?.subnets ?? []) {
      const cidr = parseCidr(bridges?.[half] ?? '');
      const [gateway, address] = [1, number].map((offset) => formatAddress(addressAt(cidr, offset)));
      const nodad = cidr.family === 6 ? ' nodad' : '';
      if (half === 'docker') await host.sh(`ip addr add ${gateway!}/${cidr.length} dev ${bridge}${nodad}`);
      await netns.sh(`ip addr add ${address!}/${cidr.length} dev eth0${nodad}`);
      await netns.sh(`ip -${cidr.family} route add default via ${gateway!}`);
      ip[cidr.family] = address!;
    }
    const delivered = await Deliveries.count(netns);
    return { netns, prober: await this.#prober(netns, ports), delivered, ip } satisfies Pod;
  }

  async down(): Promise<void> {
    await Promise.all(this.#probers.map((prober) => prober.stop()));
    await this.wire.down();
  }
}
