import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerNamed } from '../../../hack/testbed/containers.ts';
import { root } from '../../../hack/testbed/lab.ts';
import { difference } from '../../support/residue.ts';
import { monitor, none, quiet, restartAgent, tracesOf, type Measured, type Rig } from './rig.ts';
import { steadyFigures, steady } from './steady.ts';

const ways = ['SIGTERM', 'SIGKILL', 'a replaced bundle'] as const;
const bundle = join(root, 'dist', 'agent.js');

/** Replaces the program file while it runs, as an update does. */
function replaceBundle(text: string): void {
  writeFileSync(`${bundle}.new`, text);
  renameSync(`${bundle}.new`, bundle);
}

/** Restarts node2's agent that many times in each way, under traffic. The kernel must keep every object. */
export async function restarts(rig: Rig, times: number): Promise<Measured[]> {
  const node = 'node2';
  const original = readFileSync(bundle, 'utf8');
  const measured: Measured[] = [];
  await quiet(rig, node);
  const traffic = () =>
    steady(rig, [containerNamed(rig.lab, node, 'dcos'), containerNamed(rig.lab, 'node3', 'dcos')]);
  // measures the packets that the busy machine loses without a restart
  const stopFloor = await traffic();
  await sleep(times * 1_000);
  measured.push(...steadyFigures(`nothing done for ${times} s`, await stopFloor()));
  for (const way of ways) {
    const before = await tracesOf(rig, node, { ids: true });
    const stopTraffic = await traffic();
    const stopMonitor = await monitor(rig, node);
    try {
      for (let time = 1; time <= times; time++) {
        if (way === 'a replaced bundle') replaceBundle(`${original}\n// update ${time}\n`);
        await restartAgent(rig, node, way === 'SIGKILL' ? 'SIGKILL' : 'SIGTERM');
      }
    } finally {
      replaceBundle(original);
    }
    const announced = await stopMonitor();
    const seen = await stopTraffic();
    const changed = [...announced, ...difference(before, await tracesOf(rig, node, { ids: true }))];
    const what = `${times} × ${way}`;
    measured.push(...steadyFigures(what, seen), none(`${what}: kernel objects and files changed`, changed));
  }
  return measured;
}
