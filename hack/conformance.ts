import { messageOf } from '../src/error.ts';
import { relative } from 'node:path';
import { Command } from 'commander';
import { provideTestImages } from './conformance/images.ts';
import { install } from './conformance/install.ts';
import { summary } from './conformance/report.ts';
import { listSpecs, output, runGroup } from './conformance/run.ts';
import { choose, table, type Choice } from './conformance/specs.ts';
import { kind } from './kind/cluster.ts';
import type { Engine } from './testbed/engine.ts';
import { lab } from './kind/raise.ts';
import { done, session } from './kind/session.ts';
import { findConformanceParts, type ConformanceParts } from './parts/conformance.ts';
import { say } from './parts/progress.ts';
import { UserError } from './testbed/lab.ts';

/** `npm run conformance` runs Kubernetes' own `[sig-network]` specs in a kind cluster whose only CNI is overlaynet. */
const flags = new Command('npm run conformance --')
  .description(
    "Makes a dual-stack kind cluster with overlaynet and runs Kubernetes' [sig-network] specs in it.",
  )
  .argument('[words...]', 'regular expressions: only specs whose text has one of them; default: all')
  .option('--list', 'only say what would run and what is left out')
  .option('--procs <n>', 'how many specs run side by side', '3')
  .option('--keep', 'leave the cluster up; --down removes it')
  .option('--down', 'remove a cluster that was kept, or left by a killed run')
  .allowExcessArguments(false)
  .parse();
const {
  list = false,
  procs,
  keep = false,
  down = false,
} = flags.opts<{ list?: boolean; procs: string; keep?: boolean; down?: boolean }>();

const lines: string[] = [];

async function chosen(parts: ConformanceParts): Promise<Choice> {
  const choice = choose(await listSpecs(parts), flags.args);
  if (choice.groups.length === 0)
    throw new UserError(`no [sig-network] spec that is run has ${flags.args.join(' or ')} in its text`);
  return choice;
}

/** Installs overlaynet in a cluster and runs the groups. Returns whether every spec ran and none failed. */
async function work(up: () => Promise<Engine>): Promise<boolean> {
  // before the cluster is made: building takes long
  const parts = await findConformanceParts();
  const choice = await chosen(parts);
  const engine = await up();
  await provideTestImages(lab, parts, (archive) => kind(lab, ['load', 'image-archive', archive]));
  done("upstream's images loaded");
  await install(lab);
  done('overlaynet installed: nodes and DNS are ready');
  let good = true;
  for (const group of choice.groups) {
    const of = group.specs.length;
    const progress = (ended: number) => {
      if (ended % 5 === 0) done(`${group.name}: ${ended} of ${of} ended`);
    };
    const results = await runGroup({ lab, engine, parts, procs: Number(procs), progress }, group);
    const text = summary(group.name, of, results);
    lines.push(text);
    done(text.replace(/\n.*/s, ''));
    good &&= results.length === of && results.every(({ state }) => state !== 'failed');
  }
  if (choice.leftOut.size > 0) lines.push(`left out, since they need\n${table(choice.leftOut)}`);
  lines.push(`logs and reports: ${relative(process.cwd(), output)}`);
  return good;
}

function show({ groups, leftOut }: Choice): void {
  for (const { name, specs } of groups) console.log(`${name}: ${specs.length}\n  ${specs.join('\n  ')}`);
  for (const [why, specs] of leftOut)
    console.log(`left out, for it needs ${why}: ${specs.length}\n  ${specs.join('\n  ')}`);
}

if (!/^[1-9]\d?$/.test(procs)) {
  say(`conformance: --procs ${procs}: must be a number from 1 to 99`);
  process.exitCode = 2;
} else if (list) {
  try {
    show(await chosen(await findConformanceParts()));
  } catch (error) {
    say(`conformance: ${messageOf(error)}`);
    process.exitCode = 1;
  }
} else {
  await session({ name: 'conformance', keep, down, work, summary: () => lines.join('\n') });
}
