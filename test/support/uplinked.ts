import { nodeAddresses } from './cluster.ts';
import { Netns } from './netns.ts';

/** The namespace of a node whose uplink `eth0` has the first node's addresses, and nobody at its other end. */
export async function withUplink(): Promise<Netns> {
  const netns = await Netns.create();
  await netns.sh('ip link add eth0 type veth peer name wire');
  const [ip, ip6] = nodeAddresses(0);
  await netns.sh(`ip addr add ${ip!}/16 dev eth0`);
  await netns.sh(`ip addr add ${ip6!}/64 dev eth0 nodad`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
  return netns;
}
