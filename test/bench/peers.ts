import { address6, mtu, plainBridge, type Node, type Way } from './sites.ts';

/** No tunnel and no rules: each node has a route to the other node's containers. */
export const bare: Way = {
  name: 'bare',
  prepare: async (nodes, pods) => {
    if (pods.length > 0) return;
    for (const node of nodes) {
      await plainBridge(node);
      const { ip, ip6, index } = other(node, nodes);
      await node.netns.sh(`ip route add 9.0.${index}.0/24 via ${ip}`);
      await node.netns.sh(`ip -6 route add ${address6(index, 0)} via ${ip6}`);
    }
  },
};

/** A tunnel as flannel makes it: with its own address, and an entry of each kind for the other node. */
export const vxlan: Way = {
  name: 'VXLAN',
  prepare: async (nodes, pods) => {
    if (pods.length > 0) return;
    for (const node of nodes) await tunnel(node, other(node, nodes));
  },
};

/** The same tunnel with flannel's rules, which name the node's block and all blocks. */
export const flannel: Way = {
  name: 'flannel-like',
  prepare: async (nodes, pods) => {
    if (pods.length > 0) return;
    for (const node of nodes) {
      await tunnel(node, other(node, nodes));
      await node.netns.sh(
        'iptables-restore --noflush',
        rules(`9.0.${node.index}.0/24`, '9.0.0.0/16', '224.0.0.0/4'),
      );
      await node.netns.sh(
        'ip6tables-restore --noflush',
        rules(address6(node.index, 0), 'fd01:b::/64', 'ff00::/8'),
      );
    }
  },
};

const macOf = (index: number): string => `02:00:09:00:00:0${index}`;

async function tunnel(node: Node, peer: Node): Promise<void> {
  const { netns, ip, index } = node;
  await plainBridge(node);
  const link = 'flannel.1';
  const subnet = `9.0.${peer.index}.0`;
  const gateway6 = `fd01:a::${peer.index + 1}`;
  for (const command of [
    `ip link add ${link} address ${macOf(index)} mtu ${mtu} type vxlan id 1 local ${ip} dev eth0 dstport 8472 nolearning`,
    `ip addr add 9.0.${index}.0/32 dev ${link}`,
    `ip link set ${link} up`,
    `ip neigh add ${subnet} lladdr ${macOf(peer.index)} dev ${link} nud permanent`,
    `bridge fdb add ${macOf(peer.index)} dev ${link} dst ${peer.ip} self permanent`,
    `ip route add ${subnet}/24 via ${subnet} dev ${link} onlink`,
    // flannel would make a second tunnel for IPv6; with one tunnel, rows differ only in the family
    `ip addr add fd01:a::${index + 1}/128 dev ${link} nodad`,
    `ip -6 neigh add ${gateway6} lladdr ${macOf(peer.index)} dev ${link} nud permanent`,
    `ip -6 route add ${address6(peer.index, 0)} via ${gateway6} dev ${link} onlink`,
  ]) {
    await netns.sh(command);
  }
}

const rules = (own: string, all: string, multicast: string): string => `*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -j RETURN
-A FLANNEL-POSTRTG -s ${own} -d ${all} -j RETURN
-A FLANNEL-POSTRTG -s ${all} -d ${own} -j RETURN
-A FLANNEL-POSTRTG ! -s ${all} -d ${own} -j RETURN
-A FLANNEL-POSTRTG -s ${all} ! -d ${multicast} -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s ${all} -d ${all} -j MASQUERADE --random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s ${all} -j ACCEPT
-A FLANNEL-FWD -d ${all} -j ACCEPT
COMMIT
`;

const other = (node: Node, nodes: readonly Node[]): Node => {
  const found = nodes.find(({ index }) => index !== node.index);
  if (found === undefined) throw new Error('it takes two nodes');
  return found;
};
