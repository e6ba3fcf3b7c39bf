import type { Underlay } from '../../src/api/types.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses, type ClusterOptions } from './cluster.ts';
import { capture, connect, Netns } from './netns.ts';

/** Two nodes, each with a container of each network, and a host that is not a node, all on one wire. */
export class Wire {
  readonly all: Netns[] = [];
  nodes: Netns[] = [];
  outside!: Netns;

  async create(): Promise<Netns> {
    const netns = await Netns.create();
    this.all.push(netns);
    return netns;
  }

  async up(underlay: Underlay, options: ClusterOptions = {}): Promise<void> {
    this.nodes = [await this.create(), await this.create()];
    this.outside = await this.create();
    const addressed = this.nodes.map((netns, index) => {
      const [ip, ip6] = nodeAddresses(index);
      return { netns, addresses: [`${ip!}/16`, `${ip6!}/64`] };
    });
    const outside = { netns: this.outside, addresses: ['172.17.9.9/16', 'fd00:17::99/64'] };
    this.all.push(await connect([...addressed, outside]));
    for (const [index, node] of this.nodes.entries()) {
      await node.sh(
        'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.src_valid_mark=1',
      );
      const { failures } = await new DataPath({ log: silent, run: node.run }).reconcile(
        cluster(2, index, { ...options, underlay }),
      );
      if (failures.length > 0) throw new Error(JSON.stringify(failures));
    }
  }

  /** Makes a container as the CNI `bridge` plugin does. */
  async container(node: Netns, bridge: string, address: string, gateway: string): Promise<Netns> {
    const container = await this.create();
    const port = `c${this.all.length}`;
    await node.sh(`ip link add ${port} type veth peer name eth0 netns ${container.pid}`);
    await node.sh(`ip link set ${port} master ${bridge} up`);
    await container.sh(`ip addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`);
    await container.sh('ip link set eth0 up');
    await container.sh(`ip route add default via ${gateway}`);
    return container;
  }

  async down(): Promise<void> {
    for (const netns of this.all) await netns.delete();
  }
}

export const ping = (from: Netns, to: string) => from.sh(`ping -n -q -c 1 -w 5 ${to}`);

/** Returns the source address of a ping as `at` sees it on `link`. */
export async function sourceSeen(
  from: Netns,
  to: string,
  at: Netns,
  link: string,
): Promise<string | undefined> {
  const seen = await capture(
    at,
    link,
    to.includes(':') ? 'icmp6 and ip6[40] = 128' : 'icmp[icmptype] = icmp-echo',
  );
  await ping(from, to);
  return / IP6? (\S+) > /.exec((await seen.packet()) ?? '')?.[1];
}
