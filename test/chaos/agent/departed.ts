import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { kubectl } from '../../../hack/testbed/install.ts';
import { kubeconfig, logFile, type Lab } from '../../../hack/testbed/lab.ts';
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

/** Returns the number of peers in a node's kernel: each has one FDB entry. */
const peersIn = async (rig: Rig, node: string): Promise<number> =>
  Number(await shellOn(rig, node, 'bridge fdb show dev vtep1024 | grep -c "dst 172\\.18\\." || true'));

/** Returns the agent's log lines since then, each with its time in ms since then, to show where the time went. */
function logged(lab: Lab, node: string, startedAt: number): string[] {
  const lines = readFileSync(logFile(lab, `agent-${node}`), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [stamp = '', ...words] = line.split(' ');
    const at = Date.parse(stamp);
    return at >= startedAt ? [`${at - startedAt} ms ${words.join(' ').slice(0, 160)}`] : [];
  });
}

/** Works on ten at a time: one after another takes minutes on a busy machine. */
async function inTens(indexes: readonly number[], work: (index: number) => Promise<unknown>): Promise<void> {
  const queue = [...indexes];
  const worker = async () => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) await work(index);
  };
  await Promise.all(Array.from({ length: 10 }, worker));
}

/** Resolves to true once a request was answered; a busy API server may take longer than the time-out. */
const answered = (request: Promise<unknown>): Promise<true | undefined> =>
  request.then(
    () => true,
    () => undefined,
  );

/** In the end all peers leave at once, which the operator does not believe until a person confirms it. */
async function confirmed({ lab, parts, client }: Rig): Promise<void> {
  const departures = (await client.get(overlayConfigs, 'default'))?.status?.departures;
  if (departures === undefined || departures.confirmedAt !== undefined) return;
  const annotation = `overlaynet.dev/confirm-departures=${departures.id}`;
  await kubectl(lab, parts, ['annotate', '--overwrite', 'overlayconfig', 'default', annotation]);
}

/**
 * Adds peers without a machine, which look real to the operator and node2's agent. Then deletes a quarter of them while
 * that agent is down.
 */
export async function departed(rig: Rig, peers: number): Promise<Measured[]> {
  const { lab, client } = rig;
  const node = 'node2';
  const all = Array.from({ length: peers }, (_, index) => index);
  const leaving = all.slice(0, Math.ceil(peers / 4));
  const players = new Players(kubeconfig(lab));
  const forget = async (indexes: number[]) => {
    for (const index of indexes) players.remove(peerName(index));
    for (const resource of [nodes, overlayAgents])
      await inTens(indexes, (index) =>
        until('it is deleted', () => answered(client.delete(resource, peerName(index)))),
      );
    const names = new Set(indexes.map(peerName));
    const areAllGone = async () => {
      await confirmed(rig);
      const { items } = await client.list(agentAllocations);
      return items.some(({ metadata }) => names.has(metadata.name)) ? undefined : true;
    };
    await until('their AgentAllocations are gone', areAllGone, { seconds: 300 });
  };
  const join = async (index: number) => {
    const status = { addresses: [{ type: 'InternalIP', address: peerAddress(index + 1) }] };
    const object: Node = await client.create(nodes, { metadata: { name: peerName(index) }, status });
    await client.updateStatus<Node>(nodes, { ...object, status });
    players.add(peerName(index), peerAddress(index + 1));
  };
  try {
    await inTens(all, join);
    await until(
      'all peers are in the kernel',
      async () => (await peersIn(rig, node)) === peers || undefined,
      {
        seconds: 900,
      },
    );
    await endAgent(rig, node, 'SIGTERM');
    await forget(leaving);
    // the operator writes the counts of networks with many agents only every five seconds
    await sleep(6_000);
    const kept = await peersIn(rig, node);
    const startedAt = Date.now();
    const start = performance.now();
    startAgent(lab, node);
    const haveAllLeft = async () => (await peersIn(rig, node)) === peers - leaving.length;
    const ms = await took('the peers that left are gone', start, haveAllLeft, 90);
    await agentReady(rig, node);
    const what = `${leaving.length} of ${peers} peers deleted while the agent was down`;
    return [
      counted(`${what}: in the kernel before its start`, kept, peers),
      counted(`${what}: in the kernel after it`, await peersIn(rig, node), peers - leaving.length),
      { ...timed(`${what}: gone after its start within`, ms, 2_000), details: logged(lab, node, startedAt) },
    ];
  } finally {
    await forget(all).finally(() => players.stop());
  }
}
