import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { say } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';
import { tool, type Running } from './tool.ts';

export interface Totals {
  passed: number;
  failed: number;
}

/** Time that jest may take to exit after it has written its results, on a busy machine too. */
const endMs = 30_000;

/**
 * Runs jest and keeps its results in a file. Three things count as a failed test: a test file that could not be run, a
 * run without any test, and a run that does not end because a test left something open.
 */
export async function jest(args: string[], results: string, running: Running = {}): Promise<Totals> {
  rmSync(results, { force: true });
  mkdirSync(dirname(results), { recursive: true });
  const { env = process.env, cancelled } = running;
  const options = `${env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`;
  const hangs = leftOpen(results);
  const success = await tool('jest', [...args, '--json', `--outputFile=${results}`], {
    ...running,
    env: { ...env, NODE_OPTIONS: options.trim() },
    cancelled: Promise.race([hangs.found, ...(cancelled === undefined ? [] : [cancelled])]),
  }).finally(hangs.stop);
  if (!existsSync(results)) return { passed: 0, failed: 1 };
  const counts = JSON.parse(readFileSync(results, 'utf8')) as Record<string, number>;
  const { numPassedTests: passed = 0, numFailedTests = 0, numRuntimeErrorTestSuites = 0 } = counts;
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return { passed, failed: success || failed > 0 ? failed : 1 };
}

/**
 * `found` resolves if jest is still running long after it wrote its results: a test left a timer, socket or process
 * open.
 */
function leftOpen(results: string): { found: Promise<void>; stop: () => void } {
  const { promise: found, resolve } = Promise.withResolvers<undefined>();
  let written: number | undefined;
  const timer = setInterval(() => {
    if (existsSync(results)) written ??= performance.now();
    if (written === undefined || performance.now() - written < endMs) return;
    say('jest does not end: a test left something open; jest --detectOpenHandles --runInBand FILE names it');
    resolve(undefined);
  }, 500);
  return {
    found,
    stop: () => {
      clearInterval(timer);
    },
  };
}

/**
 * How many files of a suite run at once; 1 by default. Tests with an API server mostly wait, and each worker has its
 * own server. Tests in network namespaces and in the lab measure times, so they run alone.
 */
const workers: Record<string, string> = { unit: '50%', apiserver: '2' };

/** Runs the tests of test/SUITE; its setup and teardown are in test/support. */
export function jestSuite(suite: string, running: Running): Promise<Totals> {
  const count = workers[suite];
  const args = [`${join('test', suite)}/`, count === undefined ? '--runInBand' : `--maxWorkers=${count}`];
  for (const phase of ['Setup', 'Teardown']) {
    const file = join(root, 'test', 'support', `${suite}-${phase.toLowerCase()}.ts`);
    if (existsSync(file)) args.push(`--global${phase}=${file}`);
  }
  return jest(args, join(root, 'dist', `results-${suite}.json`), running);
}
