import { jestSuite, type Totals } from './checks/jest.ts';
import { tool } from './checks/tool.ts';
import { goTests } from './gotest.ts';
import { ensurePackages } from './parts/packages.ts';
import { say, since } from './parts/progress.ts';
import { provideParts } from './parts/provide.ts';
import { go } from './parts/part.ts';
import { labNamed } from './testbed/lab.ts';
import { takeDown } from './testbed/owner.ts';

/**
 * `npm test [CHECK …]`: what `.ci/run` runs. Installs and builds what is needed, then runs the checks, or those that
 * are named, in three lanes beside each other: most of their time they wait. After the first that fails no more begin.
 */

const checks: Record<string, string[]> = {
  format: ['prettier', '--check', '.'],
  lint: ['eslint', '--max-warnings', '0', '.'],
  types: ['tsc', '--noEmit'],
  dead: ['knip'],
};
/** Of about the same length. */
const lanes = [['apiserver'], ['netns', 'lab'], [...Object.keys(checks), 'unit', 'cni', 'live']];
/** What the netns suite needs for engines of its own, and for their containers. */
const forDocker = { docker: 'docker.io', dockerd: 'docker.io', busybox: 'busybox-static' };
/** Names of labs that tests start. */
const testLabs = ['ovt-lab', 'ovt-other'];

/** Runs what is chosen until something fails. Returns the tests' totals and whether all went well. */
async function run(chosen: string[]): Promise<Totals & { success: boolean }> {
  const totals = { passed: 0, failed: 0, success: true };
  const used = lanes
    .map((lane) => lane.filter((name) => chosen.includes(name)))
    .filter((lane) => lane.length > 0);
  const runLane = async (lane: string[]) => {
    for (const name of lane) {
      if (!totals.success) break;
      const start = performance.now();
      say(`\n== ${name}`);
      const label = used.length > 1 ? `${name.padEnd(9)} | ` : undefined;
      const [program, ...args] = checks[name] ?? [];
      let success;
      if (program !== undefined) success = await tool(program, args, { label });
      else {
        const { passed, failed } = await (name === 'cni' ? goTests(await go()) : jestSuite(name, { label }));
        totals.passed += passed;
        totals.failed += failed;
        success = failed === 0;
      }
      say(`== ${name} ${success ? 'passed' : 'failed'} in ${since(start)}`);
      if (!success) totals.success = false;
    }
  };
  // each to its end, also beside one that could not be run at all: what comes after removes what the tests made
  for (const end of await Promise.allSettled(used.map(runLane)))
    if (end.status === 'rejected') throw end.reason;
  return totals;
}

async function main(): Promise<boolean> {
  const all = lanes.flat();
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`there is no "${unknown}"; there are ${all.join(', ')}`);
  const chosen = names.length === 0 ? all : names;
  process.env.OVERLAYNET_DOWNLOAD = 'never';
  const real = chosen.some((name) => !(name in checks) && name !== 'unit');
  if (real) {
    await ensurePackages(chosen.includes('netns') ? forDocker : {});
    await provideParts();
  }
  // Ctrl-C ends the tool that runs; what that leaves is cleared below
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  try {
    const { passed, failed, success } = await run(chosen);
    console.log(`${passed} passed, ${failed} failed`);
    return success;
  } finally {
    if (chosen.includes('lab')) for (const name of testLabs) await takeDown(labNamed(name));
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  say(`test: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
