import { say, since } from '../parts/progress.ts';
import { provideParts } from '../parts/provide.ts';
import { ensurePackages } from '../parts/packages.ts';
import { mutantBundle, operatorBundle } from './allocation/bundle.ts';
import { figures, renderCounted, renderViolations } from './allocation/figures.ts';
import { mutations, type Mutation } from '../../test/support/simulation/mutations.ts';
import { parseOptions, type Options } from './allocation/options.ts';
import { run } from './allocation/run.ts';
import { table } from '../testbed/table.ts';
import { sleeperStory } from './allocation/story.ts';

/**
 * `npm run chaos -- allocation`: real operators, a real API server and etcd, faults and hands at random; then the whole
 * history is judged. Tells whether all is as it should be.
 */
export async function allocation(argv: readonly string[]): Promise<boolean> {
  const options = parseOptions(argv);
  await ensurePackages();
  await provideParts();
  if (options.mutations === true) return all(options);
  if (options.mutation === undefined) return options.story === true ? story(options) : sound(options);
  const wanted = options.mutation;
  const mutation = mutations.find(({ name }) => name.includes(wanted));
  if (mutation === undefined)
    throw new Error(`no mutation "${wanted}"; there are:\n${mutations.map(({ name }) => name).join('\n')}`);
  return caught(options, mutation);
}

async function sound(options: Options): Promise<boolean> {
  const start = performance.now();
  say(`seed ${options.seed}: ${options.operators} operators, ${options.rounds} rounds`);
  const outcome = await run({ ...options, bundle: await operatorBundle(), onRound: progress });
  const counted = figures(outcome, options.rounds);
  process.stdout.write(
    `\nallocation under ${options.operators} operators, seed ${options.seed} (${since(start)})\n\n${renderCounted(counted)}\n`,
  );
  if (outcome.violations.length > 0) process.stdout.write(`\n${renderViolations(outcome)}\n`);
  return counted.every(({ ok }) => ok);
}

/** With fewer the sleeper has done all before its caches follow. */
const storyNodes = ({ nodes }: Options) => Math.max(nodes, 200);

async function story(options: Options): Promise<boolean> {
  const start = performance.now();
  const nodes = storyNodes(options);
  const { taken, violations } = await sleeperStory({ ...options, nodes, bundle: await operatorBundle() });
  const shared = violations.filter(({ rule }) => rule === 'overlap').length;
  const rows = [
    ['nodes', String(nodes), 'ok'],
    [
      'blocks taken back and given to new nodes while the leader slept',
      String(taken),
      taken > 0 ? 'ok' : 'FAILED',
    ],
    ['of these shown by two nodes when it woke up', String(shared), shared === 0 ? 'ok' : 'FAILED'],
    [
      'other rules broken',
      String(violations.length - shared),
      violations.length === shared ? 'ok' : 'FAILED',
    ],
  ];
  process.stdout.write(
    `\na leader that sleeps in the middle of a roll-out (${since(start)})\n\n${table(rows)}\n`,
  );
  for (const { what } of violations.slice(0, 3)) process.stdout.write(`  ${what}\n`);
  return violations.length === 0;
}

/** Whether the broken operator breaks a rule: within the rounds, or else in the story. */
async function caught(options: Options, mutation: Mutation): Promise<boolean> {
  const start = performance.now();
  const bundle = await mutantBundle(mutation);
  const rounds = options.story === true ? 0 : options.rounds;
  const outcome = rounds === 0 ? undefined : await run({ ...options, bundle });
  const [first] = outcome?.violations ?? [];
  const [told] =
    first === undefined
      ? (await sleeperStory({ ...options, nodes: storyNodes(options), bundle })).violations
      : [];
  const what =
    first !== undefined
      ? `caught in round ${outcome?.rounds ?? 0}: ${first.rule}: ${first.what}`
      : told !== undefined
        ? `caught in the story: ${told.rule}: ${told.what}`
        : `not caught in ${rounds} rounds nor in the story`;
  process.stdout.write(`${mutation.name}, seed ${options.seed}: ${what} (${since(start)})\n`);
  return (first ?? told) !== undefined;
}

async function all(options: Options): Promise<boolean> {
  let ok = true;
  for (const mutation of mutations) ok = (await caught(options, mutation)) && ok;
  return ok;
}

function progress(round: number): void {
  if (round % 50 === 0) say(`round ${round}`);
}
