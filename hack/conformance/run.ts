import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Engine } from '../testbed/engine.ts';
import { interrupted } from '../kind/session.ts';
import { command } from '../parts/command.ts';
import type { ConformanceParts } from '../parts/conformance.ts';
import { findParts } from '../parts.ts';
import { root, type Lab } from '../testbed/lab.ts';
import { marks } from '../testbed/processes.ts';
import { bound } from './bound.ts';
import { listed, resultsOf, type Result } from './report.ts';
import { exactly, type Group } from './specs.ts';

/** Directory of logs and reports, which is kept after the run. */
export const output = join(root, 'dist', 'conformance');

const fileName = (name: string) => name.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');

/** Returns the texts of all `[sig-network]` specs in the suite. Needs no cluster. */
export async function listSpecs({ ginkgo, suite }: ConformanceParts): Promise<string[]> {
  mkdirSync(output, { recursive: true });
  const report = ['--json-report=list.json', `--output-dir=${output}`];
  await command(ginkgo, [
    '--dry-run',
    String.raw`--focus=\[sig-network\]`,
    ...report,
    suite,
    '--',
    '--provider=skeleton',
  ]);
  return listed(await readFile(join(output, 'list.json'), 'utf8'));
}

/** The tools and settings for running specs in a cluster. */
interface Bed {
  lab: Lab;
  engine: Engine;
  parts: ConformanceParts;
  /** How many parallel-safe specs run side by side. */
  procs: number;
  /** Is called with the number of specs of the group that have ended. */
  progress: (ended: number) => void;
}

/** Runs a group of specs and returns their results: an empty list if ginkgo wrote no report. */
export async function runGroup(
  { lab, engine, parts, procs, progress }: Bed,
  group: Group,
): Promise<Result[]> {
  const name = fileName(group.name);
  const report = join(output, `${name}.json`);
  await rm(report, { force: true });
  const { kubectl } = await findParts();
  const [program = '', ...args] = bound(
    engine.inside,
    ...[parts.ginkgo, `--procs=${procs}`, '--no-color', '-v', '--timeout=3h'],
    ...['--keep-going', '--silence-skips'],
    ...[`--focus=${exactly(group.specs)}`, `--json-report=${name}.json`, `--output-dir=${output}`],
    ...[parts.suite, '--', '--provider=skeleton', `--kubeconfig=${join(lab.dir, 'kubeconfig')}`],
    // without this number, specs that need several nodes skip themselves
    ...[`--kubectl-path=${kubectl}`, '--disable-log-dump', '--num-nodes=3'],
  );
  const child = spawn(program, args, {
    cwd: lab.dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...marks(lab, 'conformance') },
  });
  void interrupted.then(() => child.kill('SIGKILL'));
  const log = createWriteStream(join(output, `${name}.log`));
  child.stderr.pipe(log, { end: false });
  let ended = 0;
  createInterface(child.stdout).on('line', (line) => {
    log.write(`${line}\n`);
    // ginkgo prints this mark when a spec ends: • for passed or failed, S for skipped
    if (/^(•|S) \[/.test(line)) progress(++ended);
  });
  await new Promise((resolve) => child.on('close', resolve));
  log.end();
  return resultsOf(await readFile(report, 'utf8').catch(() => '[]'));
}
