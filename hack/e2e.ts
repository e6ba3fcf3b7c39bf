import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { add, jest, nothing, summaryOf, type Totals } from './checks/jest.ts';
import { binDirectory } from './kind/cluster.ts';
import { lab } from './kind/raise.ts';
import { done, interrupted, session } from './kind/session.ts';
import { root, UserError } from './testbed/lab.ts';

/** `npm run e2e` makes a kind cluster whose only CNI is overlaynet and runs the tests in test/e2e, sorted by name. */
const flags = new Command('npm run e2e --')
  .description('Makes a kind cluster, installs overlaynet as its only CNI, runs test/e2e, takes it down.')
  .argument('[tests...]', 'parts of names of test files; default: all')
  .option('--keep', 'leave the cluster up, with overlaynet in it; --down removes it')
  .option('--down', 'remove a cluster that was kept, or left by a killed run')
  .allowExcessArguments(false)
  .parse();
const { keep = false, down = false } = flags.opts<{ keep?: boolean; down?: boolean }>();
const tests = flags.args;

const suite = join(root, 'test', 'e2e');
/** The last test file: it uninstalls overlaynet. */
const uninstall = 'uninstall';

/**
 * Runs the files of test/e2e, sorted by name, until one fails. Each continues with the cluster that the previous one
 * left.
 */
async function test(): Promise<Totals> {
  const files = readdirSync(suite)
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => !(keep && file.includes(uninstall)))
    .filter((file) => tests.length === 0 || tests.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) throw new UserError(`no test in test/e2e has a name with ${tests.join(' or ')}`);
  const totals = nothing();
  for (const file of files) {
    const args = ['--verbose', '--runTestsByPath', join(suite, file)];
    const result = await jest(args, join(lab.dir, 'results.json'), {
      quiet: true,
      cancelled: interrupted,
      env: { ...process.env, OVERLAYNET_E2E: binDirectory(lab) },
    });
    add(totals, result);
    const { passed, failures } = result;
    done(`${file}: ${passed} passed${failures.length > 0 ? `, ${failures.length} failed` : ''}`);
    if (failures.length > 0) break;
  }
  return totals;
}

let totals: Totals | undefined;
await session({
  name: 'e2e',
  keep,
  down,
  work: async (up) => {
    await up();
    totals = await test();
    return totals.failures.length === 0;
  },
  summary: () => (totals === undefined ? 'no test was run' : summaryOf(totals)),
});
