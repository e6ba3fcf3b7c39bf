import type { Underlay } from '../../src/api/types.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { connect, Netns } from '../support/netns.ts';
import { makePod, network, recordOf, type Pod } from './pods.ts';

export type Outer = 4 | 6;

/** An address of each family. */
export type Both = Record<Outer, string>;

/** Further addresses of the second node, beside those that it registered. */
export const secondAddress: Both = { 4: '172.17.1.3', 6: 'fd00:17::1:3' };
/** Its addresses on the other link, to the host there. */
export const otherLink: Both = { 4: '10.66.0.1', 6: 'fd66::1' };
const rogueAddress: Both = { 4: '10.66.0.2', 6: 'fd66::2' };
export const outsider: Both = { 4: '172.17.9.9', 6: 'fd00:17::99' };
/** A Service whose endpoint is the tunnel's port of the second node; it also has a NodePort. */
export const service: Both = { 4: '10.96.0.1', 6: 'fd96::1' };
export const nodePort = 30053;
const strangerGateway: Both = { 4: '10.88.0.1', 6: 'fd88::1' };
const strangerAddress: Both = { 4: '10.88.0.2', 6: 'fd88::2' };

export const port = 64000;
export const vni = 1024;

export function registered(node: number): Both {
  const [ip = '', ip6 = ''] = nodeAddresses(node);
  return { 4: ip, 6: ip6 };
}

interface Node {
  netns: Netns;
  path: DataPath;
  pods: Pod[];
}

/**
 * Two nodes with the agent's data path, and a third that exists only as a name; a host on their wire that is no member,
 * and one on another link of the second node. The kernel's reverse path filter is off, as it always is for IPv6.
 */
export class Wire {
  readonly outer: Outer;
  readonly #underlay: Underlay;
  readonly #all: Netns[] = [];
  readonly #nodes: Node[] = [];
  outside!: Netns;
  rogue!: Netns;
  /** A masqueraded container on another program's bridge, on the first node. */
  stranger!: Netns;

  constructor(underlay: Underlay) {
    this.#underlay = underlay;
    this.outer = underlay === 'IPv4' ? 4 : 6;
  }

  node(index: 0 | 1): Netns {
    return this.#node(index).netns;
  }
  pod(node: 0 | 1, index: number): Pod {
    const pod = this.#node(node).pods[index];
    if (pod === undefined) throw new Error(`node ${node} has no pod ${index}`);
    return pod;
  }
  /** A pod on the second node. */
  get victim(): Pod {
    return this.pod(1, 1);
  }
  /**
   * A pod on the first node behind a port that is not ours, so that it may forge its addresses, as a Docker container
   * may.
   */
  get liar(): Pod {
    return this.pod(0, 1);
  }

  async up(): Promise<void> {
    const [first, second, outside] = [await this.#create(), await this.#create(), await this.#create()];
    this.outside = outside;
    const of = (netns: Netns, addresses: Both) => ({
      netns,
      addresses: [`${addresses[4]}/16`, `${addresses[6]}/64`],
    });
    this.#all.push(
      await connect([of(first, registered(0)), of(second, registered(1)), of(outside, outsider)]),
    );
    await assign(second, 'eth0', secondAddress, 16);
    for (const netns of [first, second]) {
      this.#nodes.push({ netns, path: this.#dataPath(netns, this.#nodes.length), pods: [] });
      await netns.sh('sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
      await translate(netns);
    }
    this.rogue = await this.#beside(second, 'eth1', rogueAddress);
    await assign(second, 'eth1', otherLink, 24);
    await first.sh('ip link add br-other type bridge');
    await first.sh('ip link set br-other up');
    await assign(first, 'br-other', strangerGateway, 24);
    this.stranger = await this.#beside(first, 'veth1', strangerAddress);
    await first.sh('ip link set veth1 master br-other');
    for (const family of [4, 6] as const) await defaultRoute(this.stranger, family, strangerGateway[family]);
    for (const family of [4, 6] as const) await defaultRoute(this.rogue, family, otherLink[family]);
    await this.reconcile();
    for (const [node, index, name] of [
      [0, 0],
      [0, 1, 'veth9'],
      [1, 0],
      [1, 1],
    ] as const) {
      const pod = await makePod(this.node(node), node, index, name);
      this.#all.push(pod.netns);
      this.#node(node).pods.push(pod);
    }
    await this.reconcile();
    for (const netns of [first, second]) await noReversePathFilter(netns);
  }

  /** @param removed the second node's agent believes that the first node is gone */
  async reconcile(removed = false): Promise<void> {
    for (const [index, { path }] of this.#nodes.entries()) {
      if (removed && index === 0) continue;
      const snapshot = cluster(3, index, { networks: [network], underlay: this.#underlay });
      const allocations = snapshot.allocations.filter(({ node }) => !removed || node !== 'node0');
      const { failures } = await path.reconcile({ ...snapshot, allocations });
      if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('; '));
    }
  }

  /** Empties our chains that guard the tunnel, and those against spoofing; a pass restores them. */
  async disarm(): Promise<void> {
    const program = this.outer === 4 ? 'iptables' : 'ip6tables';
    for (const { netns } of this.#nodes) {
      for (const chain of ['INPUT', 'FORWARD', 'POSTROUTING']) {
        await netns.sh(`${program}-nft -t mangle -F OVERLAYNET-${chain}`);
      }
      for (const chain of ['PREROUTING', 'OUTPUT'])
        await netns.sh(`${program}-nft -t raw -F OVERLAYNET-${chain}`);
      await netns.sh('nft delete table bridge overlaynet');
    }
  }

  async down(): Promise<void> {
    for (const netns of this.#all) await netns.delete();
  }

  #node(index: number): Node {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  #dataPath(netns: Netns, index: number): DataPath {
    const attachments = () => ({
      attachments: this.#node(index)
        .pods.filter((pod) => pod.port.startsWith('c-'))
        .map(recordOf),
      problems: [],
    });
    return new DataPath({ log: silent, run: netns.run, attachments });
  }

  async #create(): Promise<Netns> {
    const netns = await Netns.create();
    this.#all.push(netns);
    return netns;
  }

  /** Adds a host at the other end of a link. */
  async #beside(netns: Netns, link: string, addresses: Both): Promise<Netns> {
    const host = await this.#create();
    await netns.sh(`ip link add ${link} type veth peer name eth0 netns ${host.pid}`);
    await netns.sh(`ip link set ${link} up`);
    await assign(host, 'eth0', addresses, 24);
    await host.sh('ip link set eth0 up');
    return host;
  }
}

async function assign(netns: Netns, link: string, addresses: Both, length: number): Promise<void> {
  await netns.sh(`ip addr add ${addresses[4]}/${length} dev ${link}`);
  await netns.sh(`ip addr add ${addresses[6]}/64 dev ${link} nodad`);
}

const defaultRoute = (netns: Netns, family: Outer, via: string): Promise<string> =>
  netns.sh(`ip -${family} route add default via ${via}`);

/**
 * Translates as kube-proxy does: a Service and its NodePort lead to the second node's tunnel port, and the node's own
 * clients are masqueraded.
 */
async function translate(netns: Netns): Promise<void> {
  for (const family of [4, 6] as const) {
    const of = (both: Both) => both[family];
    const to = family === 4 ? `${of(registered(1))}:${port}` : `[${of(registered(1))}]:${port}`;
    const length = family === 4 ? 32 : 128;
    const toService = `-d ${of(service)}/${length} -p udp --dport 53`;
    const toNodePort = `-p udp --dport ${nodePort} -m addrtype --dst-type LOCAL`;
    const rules = ['PREROUTING', 'OUTPUT'].flatMap((chain) =>
      [toService, toNodePort].flatMap((match) => [
        `-A ${chain} ${match} -j MARK --set-xmark 0x4000/0x4000`,
        `-A ${chain} ${match} -j DNAT --to-destination ${to}`,
      ]),
    );
    const strangers = `-A POSTROUTING -s ${of(strangerAddress)}/${length} ! -o br-other -j MASQUERADE`;
    const text = [
      '*nat',
      ...rules,
      '-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE',
      strangers,
      'COMMIT',
      '',
    ];
    await netns.sh(`${family === 4 ? 'iptables' : 'ip6tables'}-nft-restore --noflush`, text.join('\n'));
    await netns.sh(`ip -${family} route add ${of(service)}/${length} dev eth0`);
  }
}

async function noReversePathFilter(netns: Netns): Promise<void> {
  const names = (await netns.sh('sysctl -aN -r ^net.ipv4.conf.*.rp_filter$')).trim().split('\n');
  await netns.sh(`sysctl -qw ${names.map((name) => `${name}=0`).join(' ')}`);
}
