import { render, steps, type Change, type KernelPlan } from '../dataplane/change.ts';
import { meaningOf } from '../dataplane/meaning.ts';
import type { Failure } from '../dataplane/state.ts';
import { familyOf } from '../net/address.ts';
import { runBatch, type FailedLine } from './batch.ts';
import { CommandError, type Run } from './run.ts';

/**
 * Runs the plan with one process a step, more only after failures. A failure does not stop the rest.
 * @param onUndone called with how many changes of a step were not made; all of them where it is not known which
 */
export async function execute(
  run: Run,
  plan: KernelPlan,
  names: (keyof KernelPlan)[],
  onUndone: (changes: number) => void = () => undefined,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  const unusable = new Set<string>();
  for (const { name, program, args } of steps) {
    const changes = plan[name];
    if (!names.includes(name) || changes.length === 0) continue;
    const command = [program, ...args].join(' ');
    try {
      const { failed, needless, problems } = await runBatch(run, program, args, changes.map(render));
      onUndone(problems.length > 0 ? changes.length : failed.length + needless);
      failures.push(
        ...problems.map((message) => ({
          message,
          command,
          ...(name === 'sets' ? { rules: true as const } : {}),
        })),
        ...(await explain(run, program, changes, failed, unusable)),
      );
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      onUndone(changes.length);
      failures.push({ message: error.message, command });
    }
  }
  return failures;
}

/**
 * Reports one failure for each network and reason, however many lines it hit. Failures that follow from a failed link
 * are left out.
 */
async function explain(
  run: Run,
  program: string,
  changes: Change[],
  failed: FailedLine[],
  unusable: Set<string>,
): Promise<Failure[]> {
  const found = new Map<string, { failure: Failure; more: number }>();
  for (const { line, words } of failed) {
    const change = changes[line - 1];
    if (change === undefined || (change.link !== undefined && unusable.has(change.link))) continue;
    const link = linkMade(change);
    if (link !== undefined && unusable.has(link)) continue;
    if (link !== undefined) unusable.add(link);
    const key = `${change.network ?? ''} ${change.kind} ${words}`;
    const known = found.get(key);
    if (known === undefined) {
      const obstacle = words.includes('File exists') ? await inTheWay(run, change) : '';
      const network = change.network === undefined ? {} : { network: change.network };
      found.set(key, {
        failure: {
          ...network,
          ...meaningOf(change),
          message: `${program}: ${words} (${render(change)})${obstacle}`,
          command: `${program} ${render(change)}`,
        },
        more: 0,
      });
    } else known.more++;
  }
  return [...found.values()].map(({ failure, more }) =>
    more === 0 ? failure : { ...failure, message: `${failure.message} and ${more} more` },
  );
}

/**
 * Finds the route that is in the way, which the kernel does not name: it may belong to a LAN or to another program.
 */
async function inTheWay(run: Run, change: Change): Promise<string> {
  if (change.kind !== 'addRoute') return '';
  const { to, table, metric } = change.route;
  const { stdout } = await run('ip', [
    `-${familyOf(to)}`,
    ...['-N', 'route', 'show', 'exact', to, 'table', String(table)],
  ]);
  // a metric of 0 is not shown
  const of = (line: string) => Number(/ metric (\d+)/.exec(line)?.[1] ?? 0) === metric;
  const line = stdout.split('\n').find((text) => text.trim() !== '' && of(text));
  return line === undefined ? '' : `: the node has a route of its own there, ${typed(line.trim())}`;
}

/** Types of routes that `ip -N` shows as a number (linux/rtnetlink.h). */
const routeTypes: Readonly<Record<string, string>> = {
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
  9: 'throw',
};

const typed = (line: string): string => line.replace(/^\d+(?= )/, (type) => routeTypes[type] ?? type);

function linkMade(change: Change): string | undefined {
  if (change.kind === 'createLink') return change.make.name;
  return change.kind === 'claimLink' || change.kind === 'linkUp' ? change.name : undefined;
}
