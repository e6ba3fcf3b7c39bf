import { setTimeout as sleep } from 'node:timers/promises';
import {
  addContainer,
  commandInContainer,
  containerNamed,
  removeContainer,
} from '../../../hack/testbed/containers.ts';
import { apiAnswers, startApiserver, startEtcd } from '../../../hack/testbed/controlplane.ts';
import { nodesOf } from '../../../hack/testbed/namespaces.ts';
import { end, until } from '../../../hack/testbed/processes.ts';
import { startOperator } from '../../../hack/testbed/workloads.ts';
import type { OverlayNetwork } from '../../../src/api/types.ts';
import { overlayNetworks } from '../../../src/kube/resources.ts';
import { agentReady, counted, onNode, restartAgent, timed, took, type Measured, type Rig } from './rig.ts';
import { steadyFigures, steady } from './steady.ts';

const returned: OverlayNetwork = {
  apiVersion: 'overlaynet.dev/v1alpha1',
  kind: 'OverlayNetwork',
  metadata: { name: 'returned' },
  spec: { subnets: [{ cidr: '10.90.0.0/16', prefix: 24 }] },
} as OverlayNetwork;

/**
 * Stops API server and etcd for a while. Meanwhile all agents and operators restart, and containers start. Then a new
 * network, made as soon as the API server answers, must reach every node.
 */
export async function outage(rig: Rig, awayMs: number): Promise<Measured[]> {
  const { lab, parts, client } = rig;
  const nodes = nodesOf(lab);
  const bridged = nodes.filter((node) => node !== 'node1');
  const stopTraffic = await steady(rig, [
    containerNamed(lab, 'node2', 'dcos'),
    containerNamed(lab, 'node3', 'dcos'),
  ]);
  const goneAt = performance.now();
  await end(lab, { role: 'api' }, 'SIGKILL');
  await end(lab, { role: 'etcd' }, 'SIGKILL');
  let started = 0;
  try {
    for (const [index, node] of nodes.entries())
      await restartAgent(rig, node, index % 2 === 0 ? 'SIGKILL' : 'SIGTERM').catch(() => undefined);
    for (const number of [1, 2]) {
      await end(lab, { role: `operator-${number}` }, 'SIGKILL');
      startOperator(lab, number);
    }
    for (const node of bridged) {
      const container = await addContainer(lab, parts, { node, network: 'dcos', name: 'meanwhile' });
      const target = containerNamed(lab, node === 'node2' ? 'node3' : 'node2', 'dcos').addresses[0] ?? '';
      await commandInContainer(lab, container, ['ping', '-n', '-c', '1', '-W', '2', target]);
      await removeContainer(lab, parts, container);
      started++;
    }
    await sleep(Math.max(0, goneAt + awayMs - performance.now()));
  } finally {
    startEtcd(lab, parts);
    startApiserver(lab, parts);
    await apiAnswers(lab, client);
  }
  const back = performance.now();
  await until('the network is stored', () => client.create(overlayNetworks, returned).catch(() => undefined));
  const hasIt = async (node: string) =>
    (await onNode(rig, node, 'ls', '/etc/cni/overlaynet.d')).includes('returned.conflist');
  const everywhere = async () => (await Promise.all(bridged.map(hasIt))).every((has) => has);
  const ms = await took('the network that was made after is on every node', back, everywhere, 60);
  const seen = await stopTraffic();
  await client.delete(overlayNetworks, 'returned');
  const nowhere = async () => !(await Promise.all(bridged.map(hasIt))).some((has) => has);
  await took('the network is gone again', performance.now(), nowhere, 60);
  for (const node of nodes) await agentReady(rig, node);
  const what = `API server and etcd away for ${Math.round((back - goneAt) / 1_000)} s`;
  return [
    ...steadyFigures(what, seen),
    counted(`${what}: containers started meanwhile`, started, bridged.length),
    timed(`${what}: a network made at their return is on every node after`, ms, 5_000),
  ];
}
