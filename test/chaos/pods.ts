import type { Attachment } from '../../src/dataplane/attachment.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';
import type { Parties, Party } from './speaker.ts';

/** A container as the CNI plugin would have made it. */
export interface Pod extends Party {
  netns: Netns;
  /** The node's end. */
  port: string;
}

export const network = {
  name: 'dual',
  subnets: [
    { cidr: '9.0.0.0/8', prefix: 24 },
    { cidr: 'fd01:b::/64', prefix: 80 },
  ],
};
export const bridge = 'm-dual';

/** A node with the agent's data path, and pods of one network. */
export class PodBed {
  readonly pods: Pod[] = [];
  readonly node: Netns;
  readonly #path: DataPath;

  private constructor(node: Netns) {
    this.node = node;
    const records = () => this.pods.map(recordOf);
    this.#path = new DataPath({
      log: silent,
      run: node.run,
      attachments: () => ({ attachments: records(), problems: [] }),
    });
  }

  static async up(pods: number): Promise<PodBed> {
    const bed = new PodBed(await Netns.create());
    await bed.node.sh('ip link add eth0 type veth peer name wire');
    for (const address of nodeAddresses(0)) {
      await bed.node.sh(
        `ip addr add ${address}/${address.includes(':') ? '64 dev eth0 nodad' : '16 dev eth0'}`,
      );
    }
    await bed.node.sh('ip link set wire up');
    await bed.node.sh('ip link set eth0 up');
    await bed.node.sh('sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
    await bed.reconcile();
    for (let index = 0; index < pods; index++) await bed.attach(index);
    await bed.reconcile();
    return bed;
  }

  async reconcile(networks = [network]): Promise<number> {
    const { changes, failures } = await this.#path.reconcile(cluster(2, 0, { networks }));
    if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('; '));
    return changes;
  }

  /** Returns the first pod as the sender, and the second, the third and the bridge as the others. */
  async parties(): Promise<Parties> {
    const [self, victim, other] = this.pods;
    if (self === undefined || victim === undefined || other === undefined)
      throw new Error('it takes three pods');
    const [link] = JSON.parse(await this.node.sh(`ip -j address show ${bridge}`)) as [
      { address: string; addr_info: { local: string; scope: string; family: string }[] },
    ];
    const at = (family: string, scope: string) =>
      link.addr_info.find((one) => one.family === family && one.scope === scope)?.local ?? '';
    const gateway = {
      mac: link.address,
      ip: at('inet', 'global'),
      ip6: at('inet6', 'global'),
      local: at('inet6', 'link'),
    };
    return { self, victim, other, gateway };
  }

  async down(): Promise<void> {
    for (const { netns } of this.pods) await netns.delete();
    await this.node.delete();
  }

  async attach(index: number): Promise<void> {
    this.pods.push(await makePod(this.node, 0, index));
  }
}

/**
 * Makes a pod's interface with the CNI plugin's steps. The caller, or a pass, adds its elements.
 * @param block number of the node whose block the addresses come from
 * @param port name of the node's end; with a name, the port is not ours
 */
export async function makePod(node: Netns, block: number, index: number, port?: string): Promise<Pod> {
  const netns = await Netns.create();
  const host = (index + 2).toString(16);
  const own6 = block === 0 ? 'fd01:b::' : `fd01:b::${block}:0:0:`;
  const pod: Pod = {
    netns,
    port: port ?? `c-${host.padStart(12, '0')}`,
    mac: `0a:58:09:00:0${block}:${host.padStart(2, '0')}`,
    ip: `9.0.${block}.${index + 2}`,
    ip6: `${own6}${host}`,
    local: `fe80::858:9ff:fe00:${block === 0 ? '' : block}${block === 0 ? host : host.padStart(2, '0')}`,
  };
  await node.sh(`ip link add ${pod.port} type veth peer name eth0 netns ${netns.pid} address ${pod.mac}`);
  if (port === undefined) await node.sh(`ip link set ${pod.port} alias overlaynet`);
  await node.sh(`ip link set ${pod.port} master ${bridge}`);
  await node.sh(`bridge link set dev ${pod.port} hairpin on`);
  await netns.sh('ip link set eth0 addrgenmode none');
  for (const address of [
    `${pod.ip}/25 dev eth0`,
    `${pod.ip6}/81 dev eth0 nodad`,
    `${pod.local}/64 dev eth0 nodad`,
  ]) {
    await netns.sh(`ip addr add ${address}`);
  }
  await netns.sh('ip link set eth0 up');
  await node.sh(`ip link set ${pod.port} up`);
  await netns.sh(`ip route add default via 9.0.${block}.1`);
  await netns.sh(`ip -6 route add default via ${own6}1`);
  return pod;
}

export const recordOf = ({ port, mac, ip, ip6, local }: Pod): Attachment => ({
  version: 1,
  conflist: network.name,
  containerID: port,
  ifname: 'eth0',
  netns: '/var/run/netns/none',
  interfaces: [{ network: network.name, name: 'eth0', host: port, mac, bridge, addresses: [ip, ip6, local] }],
});
