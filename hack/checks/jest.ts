import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../testbed/lab.ts';
import { tool, type Running } from './tool.ts';

export interface Totals {
  passed: number;
  failed: number;
}

/**
 * Runs jest, and keeps its results in a file. A test file that could not be run counts as a failed test, and so does a run
 * without any test.
 */
export async function jest(args: string[], results: string, running: Running = {}): Promise<Totals> {
  rmSync(results, { force: true });
  mkdirSync(dirname(results), { recursive: true });
  const { env = process.env } = running;
  const options = `${env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`;
  const success = await tool('jest', [...args, '--json', `--outputFile=${results}`, '--forceExit'], {
    ...running,
    env: { ...env, NODE_OPTIONS: options.trim() },
  });
  if (!existsSync(results)) return { passed: 0, failed: 1 };
  const counts = JSON.parse(readFileSync(results, 'utf8')) as Record<string, number>;
  const { numPassedTests: passed = 0, numFailedTests = 0, numRuntimeErrorTestSuites = 0 } = counts;
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return { passed, failed: success || failed > 0 ? failed : 1 };
}

/** Runs the tests of test/SUITE; its setup and teardown are in test/support. */
export function jestSuite(suite: string, running: Running): Promise<Totals> {
  const args = [`${join('test', suite)}/`, ...(suite === 'unit' ? [] : ['--runInBand'])];
  for (const phase of ['Setup', 'Teardown']) {
    const file = join(root, 'test', 'support', `${suite}-${phase.toLowerCase()}.ts`);
    if (existsSync(file)) args.push(`--global${phase}=${file}`);
  }
  return jest(args, join(root, 'dist', `results-${suite}.json`), running);
}
