import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { connect, Netns } from '../support/netns.ts';
import { bridge, makePod, network, recordOf, type Pod } from '../chaos/pods.ts';

/** A way to connect the nodes of a site; test/bench/peers.ts has the ways that ours is compared with. */
export interface Way {
  name: string;
  /** Makes the bridge and what else the containers need. On the second call, the node's pod exists. */
  prepare: (nodes: readonly Node[], pods: readonly Pod[]) => Promise<void>;
}

export interface Node {
  netns: Netns;
  /** Underlay addresses, one of each family. */
  ip: string;
  ip6: string;
  /** Number of the node in its site, and of its containers' block. */
  index: number;
}

/** Two nodes with a container each. Sites differ only in the way that connects the nodes. */
export interface Site {
  name: string;
  nodes: readonly Node[];
  client: Pod;
  server: Pod;
}

/** MTU of containers and tunnels at all sites: the underlay's 1500 less the tunnel's overhead. */
export const mtu = 1450;

/** Sysctls of a Kubernetes node under systemd. */
const sysctls =
  'net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.all.src_valid_mark=1';

/** Sites side by side on one underlay. Their namespaces end with this process, even if it is killed. */
export class Sites {
  readonly all: Site[] = [];
  readonly #made: Netns[] = [];

  static async up(ways: readonly Way[]): Promise<Sites> {
    const sites = new Sites();
    try {
      await sites.#make(ways);
      return sites;
    } catch (error) {
      await sites.down();
      throw error;
    }
  }

  async down(): Promise<void> {
    for (const netns of this.#made) await netns.delete();
  }

  async #make(ways: readonly Way[]): Promise<void> {
    const built: { way: Way; nodes: Node[] }[] = [];
    for (const [at, way] of ways.entries()) {
      const nodes: Node[] = [];
      for (const index of [0, 1]) {
        const netns = await Netns.create();
        this.#made.push(netns);
        await netns.sh(`sysctl -qw ${sysctls}`);
        const [ip = '', ip6 = ''] = nodeAddresses(2 * at + index);
        nodes.push({ netns, index, ip, ip6 });
      }
      built.push({ way, nodes });
    }
    const nodes = built.flatMap((one) => one.nodes);
    this.#made.push(
      await connect(nodes.map(({ netns, ip, ip6 }) => ({ netns, addresses: [`${ip}/16`, `${ip6}/64`] }))),
    );
    for (const { way, nodes } of built) {
      await way.prepare(nodes, []);
      const pods: Pod[] = [];
      for (const { netns, index } of nodes) {
        const pod = await makePod(netns, index, 0);
        this.#made.push(pod.netns);
        await netns.sh(`ip link set ${pod.port} mtu ${mtu}`);
        await pod.netns.sh(`ip link set eth0 mtu ${mtu}`);
        pods.push(pod);
      }
      await way.prepare(nodes, pods);
      const [client, server] = pods as [Pod, Pod];
      for (const to of [server.ip, server.ip6]) await client.netns.sh(`ping -n -q -c 1 -w 5 ${to}`);
      this.all.push({ name: way.name, nodes, client, server });
    }
  }
}

const networks = [
  { ...network, isolation: { mode: 'Isolated' as const, hosts: 'Deny' as const } },
  { name: 'open', subnets: [{ cidr: '11.0.0.0/8', prefix: 24 }] },
];

/**
 * The agent's own data path. The network is isolated from hosts and other networks, an open one is beside it, and the
 * guards of spoofing and of the tunnel are on.
 * @param first number of the site's first node on the underlay
 */
export const overlaynet = (first: number): Way => ({
  name: 'overlaynet',
  prepare: async (nodes, pods) => {
    const whole = cluster(first + nodes.length, 0, { networks, mtu });
    for (const { netns, index } of nodes) {
      const snapshot = {
        ...whole,
        node: `node${index}`,
        allocations: whole.allocations.slice(0, nodes.length).map((allocation, at) => ({
          ...allocation,
          spec: { ...allocation.spec, addresses: nodeAddresses(first + at) },
        })),
      };
      const pod = pods[index];
      const attachments = () => ({ attachments: pod === undefined ? [] : [recordOf(pod)], problems: [] });
      const path = new DataPath({ log: silent, run: netns.run, sysctl: netns.readSwitch, attachments });
      const { failures } = await path.reconcile(snapshot);
      if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('; '));
    }
  },
});

/** Address `host` in a node's block of the network's second subnet; 0 is the block itself. */
export const address6 = (index: number, host: number): string => `fd01:b:0:0:${index}::${host}/80`;

/** Makes the containers' bridge as the CNI plugin `bridge` does. */
export async function plainBridge({ netns, index }: Node): Promise<void> {
  await netns.sh(`ip link add ${bridge} type bridge`);
  await netns.sh(`ip link set ${bridge} mtu ${mtu} up`);
  await netns.sh(`ip addr add 9.0.${index}.1/24 dev ${bridge}`);
  await netns.sh(`ip addr add ${address6(index, 1)} dev ${bridge} nodad`);
}
