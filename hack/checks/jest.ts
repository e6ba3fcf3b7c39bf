import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { say } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';
import { tool, type Running } from './tool.ts';

export interface Totals {
  passed: number;
  /** The failed tests, by file and name. */
  failures: string[];
}

/** The last lines of a run: the counts, and each failed test, so that it is found without reading back. */
export const summaryOf = ({ passed, failures }: Totals): string =>
  [`${passed} passed, ${failures.length} failed`, ...failures.map((one) => `  ${one}`)].join('\n');

/** What jest writes of a run, as far as we read it. */
interface Results {
  numPassedTests: number;
  testResults: {
    name: string;
    status: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
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
  if (!existsSync(results)) return { passed: 0, failures: ['jest wrote no results'] };
  const { numPassedTests: passed, testResults } = JSON.parse(readFileSync(results, 'utf8')) as Results;
  const failures = testResults.flatMap(failuresOf);
  if (!success && failures.length === 0) failures.push('jest did not succeed');
  return { passed, failures };
}

function failuresOf({ name, status, assertionResults }: Results['testResults'][number]): string[] {
  const file = relative(root, name);
  const failed = assertionResults.filter((one) => one.status === 'failed');
  if (status === 'failed' && failed.length === 0) return [`${file}: could not be run`];
  return failed.map(({ fullName }) => `${file}: ${fullName}`);
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
