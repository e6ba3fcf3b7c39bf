import { messageOf } from '../src/error.ts';
import { join } from 'node:path';
import { buildBundles } from './build.ts';
import { add, jestSuite, nothing, summaryOf, type Totals } from './checks/jest.ts';
import { lint } from './checks/lint.ts';
import { cacheFile, tool } from './checks/tool.ts';
import { goTests } from './gotest.ts';
import { ensurePackages } from './parts/packages.ts';
import { say, since } from './parts/progress.ts';
import { provideParts } from './parts/provide.ts';
import { cacheDirectory, go } from './parts/part.ts';
import { labNamed } from './testbed/lab.ts';
import { takeDown } from './testbed/owner.ts';

/**
 * `npm test [-- --again] [CHECK …]` installs and builds what is needed, then runs all checks, or those that are named.
 * Two run at a time, since with three on two processors, an agent needed longer for an answer than operators wait; and
 * beside them, at a lower priority, one that needs no real servers. After a failure no further check starts. With `--again`, as in `.ci/run`, the files of failed tests get a second run. What
 * passes there does not fail the run, but is printed with its error.
 */

/** tsc checks only changed files, and those that depend on them. */
const typed = (name: string, ...args: string[]) => [
  'tsc',
  '--noEmit',
  ...args,
  '--incremental',
  '--tsBuildInfoFile',
  cacheFile(`${name}.tsbuildinfo`),
];
const checks: Record<string, string[]> = {
  format: [
    ...['prettier', '--check', '.'],
    ...['--cache', '--cache-strategy', 'content', '--cache-location', cacheFile('prettier')],
  ],
  types: typed('types'),
  // the page and its tests: their types include a browser's document
  page: typed('page', '-p', 'test/unit/page'),
  dead: ['knip'],
};
/** Checks that need neither root nor real servers, in the order in which they start. */
const plain = ['unit', 'lint', ...Object.keys(checks)];
/** The others: the longest first, and beside the lab, which mostly waits, those that do not. */
const real = ['lab', 'apiserver', 'netns', 'live', 'cni'];
const order = [...real, ...plain];
const realAtOnce = 2;
/** Packages that the netns suite needs for its own Docker engines and their containers. */
const forDocker = { docker: 'docker.io', dockerd: 'docker.io', busybox: 'busybox-static' };
/** Packages that the suites lab and live need to test alerts and dashboards. */
const forMonitoring = { prometheus: 'prometheus', promtool: 'prometheus' };
/** The browser in which the live suite tests the page. */
const forBrowser = { chromium: 'chromium' };
/** Names of labs that tests start. */
const testLabs = ['ovt-lab', 'ovt-other'];

/** Runs the chosen checks until one fails. A check that is not a suite of tests counts as one failed test. */
async function run(chosen: string[], again: boolean): Promise<Totals> {
  const totals = nothing();
  const labelled = chosen.length > 1;
  const isChosen = (name: string) => chosen.includes(name);
  const runOne = async (name: string) => {
    const background = plain.includes(name);
    const start = performance.now();
    say(`\n== ${name}`);
    const label = labelled ? `${name.padEnd(9)} | ` : undefined;
    const [program, ...args] = checks[name] ?? [];
    const of = (success: boolean): Totals => ({
      ...nothing(),
      failures: success ? [] : [{ name, reason: [] }],
    });
    let result: Totals;
    if (program !== undefined) result = of(await tool(program, args, { label, background }));
    else if (name === 'lint') result = of(await lint({ label, background }));
    else if (name === 'cni') result = await goTests(await go());
    else result = await jestSuite(name, { label, background, again });
    add(totals, result);
    say(`== ${name} ${result.failures.length === 0 ? 'passed' : 'failed'} in ${since(start)}`);
  };
  const runLane = async (waiting: string[]) => {
    for (let name; totals.failures.length === 0 && (name = waiting.shift()) !== undefined;)
      await runOne(name);
  };
  // waits for all lanes, even if one throws: the cleanup that follows must not disturb a running test
  const [servers, rest] = [real.filter(isChosen), plain.filter(isChosen)];
  const lanes = [...Array.from({ length: realAtOnce }, () => runLane(servers)), runLane(rest)];
  for (const end of await Promise.allSettled(lanes)) if (end.status === 'rejected') throw end.reason;
  return totals;
}

async function main(): Promise<boolean> {
  const args = process.argv.slice(2);
  const names = args.filter((arg) => arg !== '--again');
  const unknown = names.find((name) => !order.includes(name));
  if (unknown !== undefined) throw new Error(`there is no "${unknown}"; there are ${order.join(', ')}`);
  const chosen = names.length === 0 ? order : names;
  process.env.OVERLAYNET_DOWNLOAD = 'never';
  // tests start hundreds of programs, from source or bundled: each compiles its text once, not each time
  process.env.NODE_COMPILE_CACHE ??= join(cacheDirectory(), 'compiled');
  const needsParts = chosen.some((name) => real.includes(name));
  if (needsParts) {
    await ensurePackages({
      ...(chosen.includes('netns') ? forDocker : {}),
      ...(chosen.includes('live') || chosen.includes('lab') ? forMonitoring : {}),
      // runs Argo CD's health checks
      ...(chosen.includes('apiserver') ? { 'lua5.1': 'lua5.1' } : {}),
      ...(chosen.includes('live') ? forBrowser : {}),
    });
    await provideParts();
  }
  // once, before suites that run side by side would each do it
  if (needsParts || chosen.includes('unit')) await buildBundles();
  // Ctrl-C ends the running tools; the cleanup below removes what they leave
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  try {
    const totals = await run(chosen, names.length < args.length);
    console.log(summaryOf(totals));
    return totals.failures.length === 0;
  } finally {
    if (chosen.includes('lab')) for (const name of testLabs) await takeDown(labNamed(name));
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  say(`test: ${messageOf(error)}`);
  process.exitCode = 1;
}
