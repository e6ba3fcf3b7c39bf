import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { say } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';
import { tool, type Running } from './tool.ts';

/** A test that failed, or a check that is not a suite of tests. */
export interface Failure {
  /** Its file, relative to the checkout. Absent: no second run can be limited to it. */
  file?: string;
  name: string;
  /** The first lines of the error, without its stack. */
  reason: string[];
}

export interface Totals {
  passed: number;
  failures: Failure[];
  /** Tests that failed, and passed in a second run of their file. */
  recovered: Failure[];
}

export const nothing = (): Totals => ({ passed: 0, failures: [], recovered: [] });

/** Adds the counts of a further check. */
export function add(totals: Totals, { passed, failures, recovered }: Totals): void {
  totals.passed += passed;
  totals.failures.push(...failures);
  totals.recovered.push(...recovered);
}

const described = ({ file, name, reason }: Failure): string[] => [
  `  ${file === undefined ? '' : `${file}: `}${name}`,
  ...reason.map((line) => `      ${line}`),
];

/** The last lines of a run: the counts, and each failed test with its error, so that nobody has to read back. */
export const summaryOf = ({ passed, failures, recovered }: Totals): string =>
  [
    ...(recovered.length === 0
      ? []
      : ['failed once and passed in a second run; a fault of the test or of us:']),
    ...recovered.flatMap(described),
    `${passed} passed, ${failures.length} failed`,
    ...failures.flatMap(described),
  ].join('\n');

/** What jest writes of a run, as far as we read it. */
interface Results {
  numPassedTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

/** Lines of an error in the summary; CI shows only the end of its output. */
const reasonLines = 12;
const lineLength = 300;

/** Returns the first lines of an error that a tool reports, without colours and stack. */
export const reasonOf = (message: string): string[] =>
  stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s+at /.test(line))
    .slice(0, reasonLines)
    .map((line) => line.slice(0, lineLength));

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
  if (!existsSync(results))
    return { ...nothing(), failures: [{ name: 'jest wrote no results', reason: [] }] };
  const { numPassedTests: passed, testResults } = JSON.parse(readFileSync(results, 'utf8')) as Results;
  const failures = testResults.flatMap(failuresOf);
  if (!success && failures.length === 0) failures.push({ name: 'jest did not succeed', reason: [] });
  return { passed, failures, recovered: [] };
}

function failuresOf({ name, status, message, assertionResults }: Results['testResults'][number]): Failure[] {
  const file = relative(root, name);
  const failed = assertionResults.filter((one) => one.status === 'failed');
  if (status === 'failed' && failed.length === 0)
    return [{ file, name: 'could not be run', reason: reasonOf(message) }];
  return failed.map(({ fullName, failureMessages }) => ({
    file,
    name: fullName,
    reason: reasonOf(failureMessages.join('\n')),
  }));
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

/** Files of a suite that may get a second run. If more failed, it is no accident. */
const filesAgain = 4;

interface SuiteOptions extends Running {
  /** Runs the files of failed tests once more. */
  again?: boolean;
}

/** Runs the tests of test/SUITE; its setup and teardown are in test/support. */
export async function jestSuite(suite: string, { again = false, ...running }: SuiteOptions): Promise<Totals> {
  const count = workers[suite];
  const options = [count === undefined ? '--runInBand' : `--maxWorkers=${count}`];
  for (const phase of ['Setup', 'Teardown']) {
    const file = join(root, 'test', 'support', `${suite}-${phase.toLowerCase()}.ts`);
    if (existsSync(file)) options.push(`--global${phase}=${file}`);
  }
  const results = (name: string) => join(root, 'dist', `results-${name}.json`);
  const first = await jest([`${join('test', suite)}/`, ...options], results(suite), running);
  const files = filesToRepeat(first);
  if (!again || files.length === 0) return first;
  say(`\n== ${suite}: a second run of ${files.join(' ')}`);
  const second = await jest(['--runTestsByPath', ...files, ...options], results(`${suite}-again`), running);
  return repeated(first, second);
}

/** Returns the files of failed tests; none if a second run of them would say little. */
export function filesToRepeat({ failures }: Totals): string[] {
  const files = [...new Set(failures.map(({ file }) => file))];
  const named = files.filter((file) => file !== undefined);
  return named.length === files.length && files.length <= filesAgain ? named : [];
}

/** Returns the counts of a suite whose failed files ran a second time: what passed there has recovered. */
export function repeated(first: Totals, second: Totals): Totals {
  const unknown = second.failures.filter(({ file }) => file === undefined);
  if (unknown.length > 0) return { ...first, failures: [...first.failures, ...unknown] };
  const same = (one: Failure) => (two: Failure) => one.file === two.file && one.name === two.name;
  const recovered = first.failures.filter((one) => !second.failures.some(same(one)));
  return { passed: first.passed + recovered.length, failures: second.failures, recovered };
}
