import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import {
  addContainer,
  commandInContainer,
  containerNamed,
  removeContainer,
} from '../../../hack/testbed/containers.ts';
import { pathInNode } from '../../../hack/testbed/namespaces.ts';
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

/** What a reboot takes: every kernel object of ours and of containers, and /run. Files in /etc and /var/lib stay. */
const forget = [
  'for l in $(ip -o link show | sed -n "s/^[0-9]*: \\(vtep[0-9]*\\|[mc]-[^:@]*\\).*/\\1/p"); do ip link del $l; done',
  'ip nexthop flush',
  'for f in -4 -6; do ip $f route flush table all proto 142; for p in 142 143; do while ip $f rule del pref $p 2>/dev/null; do :; done; done; done',
  'nft flush ruleset',
  'ipset destroy',
  'rm -rf /run/overlaynet',
].join('\n');

/**
 * A node loses what a reboot takes. Containers are refused until its data path is complete again, and the first that is let in reaches
 * its peer.
 */
export async function reboot(rig: Rig): Promise<Measured[]> {
  const { lab, parts, client } = rig;
  await addNode(lab, client, node);
  try {
    const { spec } = await allocated(lab, client, node, 1);
    await working(lab, client, node, (spec.networks ?? []).length);
    await agentReady(rig, node);
    const join1 = () => addContainer(lab, parts, { node, network: 'dcos', name: 'first' });
    // what a container leaves of itself stays: the directory of its leases
    await removeContainer(lab, parts, await join1());
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
    const start = performance.now();
    startAgent(lab, node);
    let refused = 0;
    for (;;) {
      try {
        const container = await join1();
        const ms = performance.now() - start;
        const mark = existsSync(pathInNode(lab, node, '/run/overlaynet/complete')) ? 1 : 0;
        const target = containerNamed(lab, 'node2', 'dcos').addresses[0] ?? '';
        const ping = await commandInContainer(lab, container, [
          'ping',
          '-n',
          '-c',
          '3',
          '-i',
          '0.2',
          '-W',
          '1',
          target,
        ]);
        await removeContainer(lab, parts, container);
        const after = async () => difference(running, await tracesOf(rig, node));
        let left = await after();
        for (let tries = 0; left.length > 0 && tries < 20; tries++) {
          await sleep(500);
          left = await after();
        }
        const what = 'reboot';
        return [
          {
            ...counted(`${what}: lines of kernel state and files that were lost`, lost, lost),
            ok: lost > 100,
          },
          counted(`${what}: containers let in while no agent ran`, early, 0),
          counted(`${what}: the data path was complete when the first container was let in`, mark, 1),
          counted(
            `${what}: pings of the first container answered, of 3`,
            Number(/(\d+) received/.exec(ping)?.[1]),
            3,
          ),
          none(`${what}: lines that differ from before`, left),
          timed(
            `${what}: first container after the agent's start (${refused} were refused before)`,
            ms,
            5_000,
          ),
        ];
      } catch (error) {
        if (performance.now() - start > 60_000) throw error;
        refused++;
        await sleep(20);
      }
    }
  } finally {
    rmSync(join(lab.dir, 'containers', node), { recursive: true, force: true });
    await removeNode(lab, client, node);
  }
}
