import { addContainer, removeContainer, type Container } from '../../../hack/testbed/containers.ts';
import { addNamespace, inNode } from '../../../hack/testbed/namespaces.ts';
import { until } from '../../../hack/testbed/processes.ts';
import {
  allocated,
  installNode,
  registerNode,
  removeNode,
  startAgent,
  working,
} from '../../../hack/testbed/workloads.ts';
import { commandLine } from '../../../hack/parts/command.ts';
import { difference, type Traces } from '../../support/residue.ts';
import { handsFor, type Hand } from './hands.ts';
import { none, shellOn, timed, tracesOf, type Measured, type Rig } from './rig.ts';

const node = 'node8';

/** Others' objects in the tables that ours are in, as near to ours as can be. */
const foreign = [
  'ip link add m-mine type bridge',
  'ip link set m-mine up',
  'ip addr add 10.50.0.1/24 dev m-mine',
  'ip link add flannel.1 type vxlan id 1 dstport 8472 local 172.17.0.9 nolearning',
  'ip link set flannel.1 up',
  'ip addr add 10.60.0.1/24 dev flannel.1',
  'ip neigh add 10.60.0.2 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent',
  'bridge fdb add 02:00:00:00:00:02 dev flannel.1 dst 172.17.0.3 self permanent',
  'ip nexthop add id 7 via 10.60.0.2 dev flannel.1 protocol static',
  'ip route add 10.61.0.0/24 nhid 7 proto static',
  'ip route add 172.17.0.99 via 172.17.9.9 table 42 proto static',
  'ip rule add from 10.0.0.0/8 lookup 42 pref 142',
  'ip -6 rule add from fd77:b::/64 lookup 43 pref 142',
  'ipset create others hash:net family inet',
  'ipset add others 10.0.0.0/8',
  'iptables-nft -t mangle -A INPUT -s 10.7.0.0/16 -j ACCEPT',
  'iptables-nft -t filter -A FORWARD -s 10.8.0.0/16 -j ACCEPT',
  'nft add table bridge others',
  'nft add chain bridge others forward',
];

/** Adds a node and a container on it; `before` is what it shows without an agent. */
async function prepare(rig: Rig): Promise<{ before: Traces; container: Container }> {
  const { lab, parts, client } = rig;
  await addNamespace(lab, node);
  await shellOn(rig, node, foreign.join(' && '));
  const before = await tracesOf(rig, node);
  await registerNode(lab, client, node);
  await installNode(lab, node);
  startAgent(lab, node);
  const { spec } = await allocated(lab, client, node, 1);
  await working(lab, client, node, (spec.networks ?? []).length);
  return { before, container: await addContainer(lab, parts, { node, network: 'dcos', name: 'there' }) };
}

/** Lets the hand work, and returns after how many milliseconds everything is as it was. */
async function repaired(rig: Rig, { what, commands }: Hand, running: Traces): Promise<number> {
  const script = commands
    .map((command) => `${command} || echo "refused: ${command.replaceAll('"', '')}"`)
    .join('\n');
  const said = await commandLine([...inNode(rig.lab, node), 'sh', '-c', script]);
  const refused = said.split('\n').filter((line) => line.startsWith('refused: '));
  if (refused.length === commands.length)
    throw new Error(`${what}: nothing could be done: ${refused.join('; ')}`);
  const start = performance.now();
  let left: string[] = [];
  await until(
    `${what} is repaired`,
    async () => ((left = difference(running, await tracesOf(rig, node))).length === 0 ? true : undefined),
    { seconds: 100 },
  ).catch((error: unknown) => {
    throw new Error(`${what}: after 100 s this differs: ${left.slice(0, 6).join('; ')}`, { cause: error });
  });
  return performance.now() - start;
}

/**
 * Deletes, and then alters, everything that an agent made on a node, kind by kind, beside objects of others that look alike.
 * @param most how many of the hands, one after another from the list; all of them by default
 */
export async function drift(rig: Rig, most = Infinity): Promise<Measured[]> {
  const measured: Measured[] = [];
  const { before, container } = await prepare(rig);
  try {
    // containers' ports have their elements once the agent has looked again
    const settled = async () => {
      const first = await tracesOf(rig, node);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return difference(first, await tracesOf(rig, node)).length === 0 ? first : undefined;
    };
    const running = await until('the node is settled', settled, { seconds: 60 });
    const changes = difference(before, running);
    const lost = changes.filter((line) => line.startsWith('- ') && !line.startsWith('- sysctls'));
    const owned = changes.filter((line) => line.startsWith('+ ')).map((line) => line.slice(2));
    const hands = handsFor(owned);
    for (const hand of hands.slice(0, most)) {
      const ms = await repaired(rig, hand, running);
      measured.push(timed(`${hand.objects} × ${hand.what}: all is as before after`, ms, 10_000));
    }
    measured.push(none("others' links, routes, rules, sets and tables that changed", lost));
    return measured;
  } finally {
    await removeContainer(rig.lab, rig.parts, container);
    await removeNode(rig.lab, rig.client, node);
  }
}
