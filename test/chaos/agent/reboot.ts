import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import {
  addContainer,
  commandInContainer,
  containerNamed,
  removeContainer,
  type Container,
} from '../../../hack/testbed/containers.ts';
import { pathInNode } from '../../../hack/testbed/namespaces.ts';
import { until } from '../../../hack/testbed/processes.ts';
import { addNode, allocated, removeNode, startAgent, working } from '../../../hack/testbed/workloads.ts';
import { difference } from '../../support/residue.ts';
import {
  agentReady,
  counted,
  endAgent,
  none,
  shellOn,
  timed,
  tracesOf,
  type Measured,
  type Rig,
} from './rig.ts';

const node = 'node9';

/**
 * Commands that remove what a reboot removes: every kernel object of ours and of containers, and /run. Files in /etc
 * and /var/lib stay.
 */
const forget = [
  'for l in $(ip -o link show | sed -n "s/^[0-9]*: \\(vtep[0-9]*\\|[mc]-[^:@]*\\).*/\\1/p"); do ip link del $l; done',
  'ip nexthop flush',
  'for f in -4 -6; do ip $f route flush table all proto 142; for p in 142 143; do while ip $f rule del pref $p 2>/dev/null; do :; done; done; done',
  'nft flush ruleset',
  'ipset destroy',
  'rm -rf /run/overlaynet',
].join('\n');

/**
 * Simulates a node's reboot. Containers must be refused until its data path is complete again, and the first one that
 * is admitted must reach its peer.
 */
export async function reboot(rig: Rig): Promise<Measured[]> {
  const { lab, parts, client } = rig;
  await addNode(lab, client, node);
  try {
    const { spec } = await allocated(lab, client, node, 1);
    await working(lab, client, node, (spec.networks ?? []).length);
    await agentReady(rig, node);
    const join1 = () => addContainer(lab, parts, { node, network: 'dcos', name: 'first' });
    // the directory of a container's leases stays after the container
    await removeContainer(lab, parts, await join1());
    // the kernel takes a moment to see that the bridge has no port any more, which its routes show too
    await until('the bridge is without a port', async () =>
      (await shellOn(rig, node, 'ip link show m-dcos')).includes('NO-CARRIER') ? true : undefined,
    );
    const running = await tracesOf(rig, node);
    await endAgent(rig, node, 'SIGKILL');
    await shellOn(rig, node, forget);
    const lost = difference(running, await tracesOf(rig, node)).length;
    const early = await join1().then(
      async (container) => {
        await removeContainer(lab, parts, container);
        return 1;
      },
      () => 0,
    );
    const { refused, ms, complete, answered } = await firstContainer(rig, join1);
    const remaining = await restored(() => tracesOf(rig, node), running);
    return [
      {
        ...counted('reboot: lines of kernel state and files that were lost', lost, lost),
        ok: lost > 100,
      },
      counted('reboot: containers let in while no agent ran', early, 0),
      counted('reboot: the data path was complete when the first container was let in', complete, 1),
      counted('reboot: pings of the first container answered, of 3', answered, 3),
      none('reboot: lines that differ from before', remaining),
      timed(`reboot: first container after the agent's start (${refused} were refused before)`, ms, 5_000),
    ];
  } finally {
    rmSync(join(lab.dir, 'containers', node), { recursive: true, force: true });
    await removeNode(lab, client, node);
  }
}

/** Starts the agent and tries to start a container until one is admitted, which then pings its peer. */
async function firstContainer({ lab, parts }: Rig, join1: () => Promise<Container>) {
  const start = performance.now();
  startAgent(lab, node);
  for (let refused = 0; ; refused++) {
    try {
      const container = await join1();
      const ms = performance.now() - start;
      const complete = existsSync(pathInNode(lab, node, '/run/overlaynet/complete')) ? 1 : 0;
      const target = containerNamed(lab, 'node2', 'dcos').addresses[0] ?? '';
      const words = ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '1', target];
      const ping = await commandInContainer(lab, container, words);
      await removeContainer(lab, parts, container);
      return { refused, ms, complete, answered: Number(/(\d+) received/.exec(ping)?.[1]) };
    } catch (error) {
      if (performance.now() - start > 60_000) throw error;
      await sleep(20);
    }
  }
}

/** Returns the differences from before that remain after ten seconds. */
async function restored(
  traces: () => ReturnType<typeof tracesOf>,
  before: Awaited<ReturnType<typeof tracesOf>>,
) {
  for (let tries = 0; ; tries++) {
    const remaining = difference(before, await traces());
    if (remaining.length === 0 || tries === 20) return remaining;
    await sleep(500);
  }
}
