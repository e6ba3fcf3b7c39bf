import { say, since } from '../../hack/parts/progress.ts';
import { provideParts } from '../../hack/parts/provide.ts';
import { ensurePackages } from '../../hack/parts/packages.ts';
import { bundled } from '../../hack/build.ts';
import { mutantBundle } from './allocation/bundle.ts';
import { figures, renderCounted, renderViolations } from './allocation/figures.ts';
import { mutations as everyMutation, type Mutation } from '../support/simulation/mutations.ts';
import { parseOptions, type Options } from './allocation/options.ts';
import { run } from './allocation/run.ts';
import { table } from '../../hack/testbed/table.ts';
import { stories, playStory } from './allocation/stories.ts';
import type { Story } from './allocation/scene.ts';

/** There are no reservations here: the simulation has them. */
const mutations = everyMutation.filter(({ needs }) => needs !== 'reservations');

/**
 * `npm run chaos -- allocation`: real operators, a real API server and etcd, with random faults and manual changes.
 * Then checks the whole history. Returns whether all is as expected.
 */
export async function allocation(argv: readonly string[]): Promise<boolean> {
  const options = parseOptions(argv);
  await ensurePackages();
  await provideParts();
  if (options.mutations === true) return all(options);
  if (options.mutation === undefined)
    return options.story === undefined ? sound(options) : allStories(options, options.story);
  return caught(options, mutationNamed(options.mutation));
}

async function sound(options: Options): Promise<boolean> {
  const start = performance.now();
  say(`seed ${options.seed}: ${options.operators} operators, ${options.rounds} rounds`);
  const outcome = await run({ ...options, bundle: await bundled('operator'), onRound: progress });
  const counted = figures(outcome, options.rounds);
  process.stdout.write(
    `\nallocation under ${options.operators} operators, seed ${options.seed} (${since(start)})\n\n${renderCounted(counted)}\n`,
  );
  if (outcome.violations.length > 0) process.stdout.write(`\n${renderViolations(outcome)}\n`);
  return counted.every(({ ok }) => ok);
}

/** Plays each story with the real operator, and with the broken ones that must break a rule in it. */
async function allStories({ logs }: Options, wanted: string | true): Promise<boolean> {
  const options = logs === undefined ? {} : { logs };
  const bundle = await bundled('operator');
  const rows: string[][] = [];
  const tell = async (story: Story, name: string, operator: string, isBroken: boolean) => {
    const start = performance.now();
    say(`${story.name}: ${name}`);
    const [first] = await playStory(story, { ...options, bundle: operator });
    const ok = (first !== undefined) === isBroken;
    const what = first === undefined ? 'breaks no rule' : `${first.rule}: ${first.what}`;
    rows.push([isBroken ? `  ${name}` : story.name, what, since(start), ok ? 'ok' : 'FAILED']);
    return ok;
  };
  const chosen = stories.filter(({ name }) => wanted === true || name.includes(wanted));
  if (chosen.length === 0) throw new Error(`no story "${String(wanted)}"; there are:\n${namesOf(stories)}`);
  let ok = true;
  for (const story of chosen) {
    ok = (await tell(story, 'the operator as it is', bundle, false)) && ok;
    for (const name of story.catches)
      ok = (await tell(story, name, await mutantBundle(mutationNamed(name)), true)) && ok;
  }
  process.stdout.write(`\n${table(rows)}\n`);
  const uncaught = mutations.filter(({ name }) => !stories.some(({ catches }) => catches.includes(name)));
  if (uncaught.length > 0) throw new Error(`no story catches:\n${namesOf(uncaught)}`);
  return ok;
}

const namesOf = (all: readonly { name: string }[]) => all.map(({ name }) => name).join('\n');

function mutationNamed(name: string): Mutation {
  const found = mutations.find((mutation) => mutation.name.includes(name));
  if (found === undefined) throw new Error(`no mutation "${name}"; there are:\n${namesOf(mutations)}`);
  return found;
}

/** Returns whether the broken operator breaks a rule within the rounds. */
async function caught(options: Options, mutation: Mutation): Promise<boolean> {
  const start = performance.now();
  const { violations, rounds } = await run({ ...options, bundle: await mutantBundle(mutation) });
  const [first] = violations;
  const what =
    first === undefined
      ? `not caught in ${rounds} rounds`
      : `caught in round ${rounds}: ${first.rule}: ${first.what}`;
  process.stdout.write(`${mutation.name}, seed ${options.seed}: ${what} (${since(start)})\n`);
  return first !== undefined;
}

async function all(options: Options): Promise<boolean> {
  let ok = true;
  for (const mutation of mutations) ok = (await caught(options, mutation)) && ok;
  return ok;
}

function progress(round: number): void {
  if (round % 50 === 0) say(`round ${round}`);
}
