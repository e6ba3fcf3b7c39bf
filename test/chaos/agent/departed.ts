import { setTimeout as sleep } from 'node:timers/promises';
import { kubectl } from '../../../hack/testbed/install.ts';
import { kubeconfig } from '../../../hack/testbed/lab.ts';
import { until } from '../../../hack/testbed/processes.ts';
import { startAgent } from '../../../hack/testbed/workloads.ts';
import {
  agentAllocations,
  nodes,
  overlayAgents,
  overlayConfigs,
  type Node,
} from '../../../src/kube/resources.ts';
import { Players } from '../../support/players.ts';
import { agentReady, counted, endAgent, shellOn, timed, took, type Measured, type Rig } from './rig.ts';

const peerName = (index: number) => `peer${index}`;
const peerAddress = (index: number) => `172.18.${index >> 8}.${index & 255}`;

/** How many of the peers a node's kernel has: each has one FDB entry. */
const peersIn = async (rig: Rig, node: string): Promise<number> =>
  Number(await shellOn(rig, node, 'bridge fdb show dev vtep1024 | grep -c "dst 172\\.18\\." || true'));

/** All peers leave at once in the end, which the operator does not believe before a person confirms it. */
async function confirmed({ lab, parts, client }: Rig): Promise<void> {
  const departures = (await client.get(overlayConfigs, 'default'))?.status?.departures;
  if (departures === undefined || departures.confirmedAt !== undefined) return;
  const annotation = `overlaynet.dev/confirm-departures=${departures.id}`;
  await kubectl(lab, parts, ['annotate', '--overwrite', 'overlayconfig', 'default', annotation]);
}

/**
 * Peers without a machine join: the operator and node2's agent know no difference. Then a quarter of them is deleted while that
 * agent is down.
 */
export async function departed(rig: Rig, peers: number): Promise<Measured[]> {
  const { lab, client } = rig;
  const node = 'node2';
  const all = Array.from({ length: peers }, (_, index) => index);
  const leaving = all.slice(0, Math.ceil(peers / 4));
  const players = new Players(kubeconfig(lab));
  const forget = async (indexes: number[]) => {
    for (const index of indexes) {
      players.remove(peerName(index));
      await client.delete(nodes, peerName(index));
      await client.delete(overlayAgents, peerName(index));
    }
    const names = new Set(indexes.map(peerName));
    const gone = async () => {
      await confirmed(rig);
      const { items } = await client.list(agentAllocations);
      return items.some(({ metadata }) => names.has(metadata.name)) ? undefined : true;
    };
    await until('their AgentAllocations are gone', gone, { seconds: 120 });
  };
  try {
    for (const index of all) {
      const status = { addresses: [{ type: 'InternalIP', address: peerAddress(index + 1) }] };
      const object: Node = await client.create(nodes, { metadata: { name: peerName(index) }, status });
      await client.updateStatus<Node>(nodes, { ...object, status });
      players.add(peerName(index), peerAddress(index + 1));
    }
    await until(
      'all peers are in the kernel',
      async () => (await peersIn(rig, node)) === peers || undefined,
      {
        seconds: 300,
      },
    );
    await endAgent(rig, node, 'SIGTERM');
    await forget(leaving);
    // the operator tells the numbers of networks of many agents every five seconds
    await sleep(6_000);
    const kept = await peersIn(rig, node);
    const start = performance.now();
    startAgent(lab, node);
    const left = async () => (await peersIn(rig, node)) === peers - leaving.length;
    const ms = await took('the peers that left are gone', start, left, 90);
    await agentReady(rig, node);
    const what = `${leaving.length} of ${peers} peers deleted while the agent was down`;
    return [
      counted(`${what}: in the kernel before its start`, kept, peers),
      counted(`${what}: in the kernel after it`, await peersIn(rig, node), peers - leaving.length),
      timed(`${what}: gone after its start within`, ms, 2_000),
    ];
  } finally {
    await forget(all);
    await players.stop();
  }
}
