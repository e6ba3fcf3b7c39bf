import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from './parts/packages.ts';
import { say, since } from './parts/progress.ts';
import { provideParts } from './parts/provide.ts';
import { labNamed, root } from './testbed/lab.ts';
import { takeDown } from './testbed/owner.ts';

/**
 * `npm test [CHECK …]`: what `.ci/run` runs. Installs and builds what is needed, then runs the checks in this order,
 * or those that are named, and stops at the first that fails.
 */

const checks: Record<string, string[]> = {
  format: ['prettier', '--check', '.'],
  lint: ['eslint', '--max-warnings', '0', '.'],
  types: ['tsc', '--noEmit'],
  dead: ['knip'],
};
const suites = ['unit', 'apiserver', 'netns', 'lab'];
/** Names of labs that tests start. */
const testLabs = ['ovt-lab', 'ovt-other'];

/** Runs one of the project's tools with the Node in use; tells whether it succeeded. */
function tool([name = '', ...args]: string[], env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const file = join(root, 'node_modules', '.bin', name);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { cwd: root, stdio: 'inherit', env });
    child.on('error', reject);
    child.on('exit', (code) => {
      resolve(code === 0);
    });
  });
}

interface Totals {
  passed: number;
  failed: number;
}

/** Runs a suite; a test file that could not be run counts as one failed test, and so does a suite without any. */
async function jest(suite: string): Promise<Totals> {
  const results = join(root, 'dist', `results-${suite}.json`);
  rmSync(results, { force: true });
  mkdirSync(join(root, 'dist'), { recursive: true });
  const options = `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`;
  const args = ['--json', `--outputFile=${results}`, ...(suite === 'unit' ? [] : ['--runInBand'])];
  for (const phase of ['Setup', 'Teardown']) {
    const file = join(root, 'test', 'support', `${suite}-${phase.toLowerCase()}.ts`);
    if (existsSync(file)) args.push(`--global${phase}=${file}`);
  }
  const env = { ...process.env, NODE_OPTIONS: options.trim() };
  const success = await tool(['jest', `${join('test', suite)}/`, ...args], env);
  if (!existsSync(results)) return { passed: 0, failed: 1 };
  const counts = JSON.parse(readFileSync(results, 'utf8')) as Record<string, number>;
  const { numPassedTests: passed = 0, numFailedTests = 0, numRuntimeErrorTestSuites = 0 } = counts;
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return { passed, failed: success || failed > 0 ? failed : 1 };
}

/** Runs what is named until something fails. Returns the tests' totals and whether all went well. */
async function run(names: string[]): Promise<Totals & { success: boolean }> {
  const totals = { passed: 0, failed: 0, success: true };
  for (const name of names) {
    const start = performance.now();
    say(`\n== ${name}`);
    const check = checks[name];
    if (check) totals.success = await tool(check);
    else {
      const { passed, failed } = await jest(name);
      totals.passed += passed;
      totals.failed += failed;
      totals.success = failed === 0;
    }
    say(`== ${name} ${totals.success ? 'passed' : 'failed'} in ${since(start)}`);
    if (!totals.success) break;
  }
  return totals;
}

async function main(): Promise<boolean> {
  const all = [...Object.keys(checks), ...suites];
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`there is no "${unknown}"; there are ${all.join(', ')}`);
  const chosen = names.length === 0 ? all : names;
  process.env.OVERLAYNET_DOWNLOAD = 'never';
  const real = chosen.some((name) => suites.includes(name) && name !== 'unit');
  if (real) {
    await ensurePackages();
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
