import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerNamed } from '../../../hack/testbed/containers.ts';
import { root } from '../../../hack/testbed/lab.ts';
import { difference } from '../../support/residue.ts';
import { monitor, none, quiet, restartAgent, tracesOf, type Measured, type Rig } from './rig.ts';
import { judged, steady } from './steady.ts';

const ways = ['SIGTERM', 'SIGKILL', 'a replaced bundle'] as const;
const bundle = join(root, 'dist', 'agent.js');

/** Another program in the place of the one that runs, as an update brings it. */
function replaceBundle(text: string): void {
  writeFileSync(`${bundle}.new`, text);
  renameSync(`${bundle}.new`, bundle);
}

/** Restarts node2's agent so many times in each way, under traffic. The kernel keeps every object. */
export async function restarts(rig: Rig, times: number): Promise<Measured[]> {
  const node = 'node2';
  const original = readFileSync(bundle, 'utf8');
  const measured: Measured[] = [];
  await quiet(rig, node);
  for (const way of ways) {
    const before = await tracesOf(rig, node, true);
    const stopTraffic = await steady(rig, [
      containerNamed(rig.lab, node, 'dcos'),
      containerNamed(rig.lab, 'node3', 'dcos'),
    ]);
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
    const changed = [...announced, ...difference(before, await tracesOf(rig, node, true))];
    const what = `${times} × ${way}`;
    measured.push(...judged(what, seen), none(`${what}: kernel objects and files changed`, changed));
  }
  return measured;
}
