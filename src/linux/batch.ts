import { whyFailed, type Run } from './run.ts';

export interface FailedLine {
  /** From 1. */
  line: number;
  /** What the program printed of it. */
  words: string;
}

export interface BatchOutcome {
  failed: FailedLine[];
  /** What is known of no single line. */
  problems: string[];
}

/** What one process left. */
interface Attempt extends BatchOutcome {
  /** Lines, from 0, that the next process gets, in this order. */
  rest: number[];
}

type Dialect = (run: Run, args: string[], lines: string[]) => Promise<Attempt>;

/** Where line after line ends the program, something else is wrong; the next pass tries again. */
const mostProcesses = 40;

/**
 * Runs the lines of one step. A program that ends at a line that fails is started again for those behind it, so that
 * all lines were tried, or it is said that they were not.
 * @throws CommandError where the program does not run to its end
 */
export async function runBatch(
  run: Run,
  program: 'ip' | 'bridge' | 'ipset',
  args: readonly string[],
  lines: string[],
): Promise<BatchOutcome> {
  const outcome: BatchOutcome = { failed: [], problems: [] };
  let queue = lines.map((_, index) => index);
  for (let processes = 0; queue.length > 0; processes++) {
    if (processes === mostProcesses) {
      outcome.problems.push(
        `${program}: up to ${queue.length} changes were not tried: too many failed before them`,
      );
      break;
    }
    const attempt = await dialects[program](
      run,
      [...args],
      queue.map((index) => lines[index] ?? ''),
    );
    outcome.problems.push(...attempt.problems.map((text) => `${program}: ${text}`));
    const sent = queue;
    const original = (index: number) => sent[index] ?? 0;
    outcome.failed.push(
      ...attempt.failed.map(({ line, words }) => ({ line: original(line - 1) + 1, words })),
    );
    queue = attempt.rest.map(original);
  }
  outcome.failed.sort((a, b) => a.line - b.line);
  return outcome;
}

/** Prints one line and needs nothing: tells how far `ip -batch` came. */
const mark = 'link show dev lo';

/** Lines between two marks, but for those at which `ip` ends when they fail: each has a mark of its own. */
const between = 64;

const mayEnd = (line: string): boolean => line.startsWith('neigh ');

/** `ip` goes on after a line that fails, unless it ends there: at neighbours always, else where it takes no argument. */
async function ip(run: Run, args: string[], lines: string[]): Promise<Attempt> {
  const text = [mark];
  /** For each line of `text` the line of `lines`. */
  const places = [0];
  const marks = [0];
  for (const [index, line] of lines.entries()) {
    text.push(line);
    places.push(index);
    const next = lines[index + 1];
    const alone = mayEnd(line) || next === undefined || mayEnd(next);
    if (!alone && index + 1 - (marks.at(-1) ?? 0) < between) continue;
    text.push(mark);
    places.push(index);
    marks.push(index + 1);
  }
  const { stdout, stderr, code } = await run('ip', ['-br', ...args], { input: `${text.join('\n')}\n` });
  if (code === 0) return { failed: [], problems: [], rest: [] };
  const { failed, left } = parseFailures(stderr);
  const known = failed.map(({ line, words }) => ({ line: (places[line - 1] ?? 0) + 1, words }));
  const reached = stdout.split('\n').filter((line) => line.startsWith('lo ')).length;
  const words = whyFailed({ stderr: left, code });
  // not a batch's way of failing: nothing is known of single lines
  if (reached === 0) return { failed: known, problems: [words], rest: [] };
  if (reached === marks.length) return { failed: known, problems: [], rest: [] };
  const [from = 0, to = lines.length] = marks.slice(reached - 1);
  const rest = lines.flatMap((_, index) => (index < to ? [] : [index]));
  if (to === from + 1) {
    const like = (index: number) => similar(lines[from] ?? '')(lines[index] ?? '');
    return {
      failed: [...known, { line: to, words }],
      problems: [],
      // what will fail like it must not use up the processes of all others
      rest: [...rest.filter((index) => !like(index)), ...rest.filter(like)],
    };
  }
  const problem = `${words} (ended between "${lines[from] ?? ''}" and "${lines[to - 1] ?? ''}")`;
  return { failed: known, problems: [problem], rest };
}

/** Fails as that one did, most likely: a neighbour of the same family. */
const similar =
  (failed: string) =>
  (line: string): boolean =>
    mayEnd(line) && mayEnd(failed) && ofIPv6(line) === ofIPv6(failed);

/** `neigh VERB ADDRESS …` */
const ofIPv6 = (line: string): boolean => line.split(' ', 3)[2]?.includes(':') === true;

async function bridge(run: Run, args: string[], lines: string[]): Promise<Attempt> {
  const { stderr, code } = await run('bridge', args, { input: `${lines.join('\n')}\n` });
  if (code === 0) return { failed: [], problems: [], rest: [] };
  const { failed, left } = parseFailures(stderr);
  const problems = left !== '' || failed.length === 0 ? [whyFailed({ stderr: left, code })] : [];
  return { failed, problems, rest: [] };
}

/** `ipset restore` ends at the first line that fails, and forgets entries that it read before and did not send yet. */
async function ipset(run: Run, args: string[], lines: string[]): Promise<Attempt> {
  const { stderr, code } = await run('ipset', args, { input: `${lines.join('\n')}\n` });
  if (code === 0) return { failed: [], problems: [], rest: [] };
  const [, number, words = ''] = /Error in line (\d+): (.*)/.exec(stderr) ?? [];
  if (number === undefined) {
    return { failed: [], problems: [whyFailed({ stderr, code })], rest: [] };
  }
  const at = Number(number) - 1;
  const ofEntry = (index: number) => /^(add|del) /.test(lines[index] ?? '');
  let from = at;
  while (from > 0 && ofEntry(from - 1)) from--;
  const [verb, name = ''] = (lines[at] ?? '').split(' ', 2);
  // without the set its entries have nowhere to go
  const needless = (line: string) => verb === 'create' && line.split(' ', 2)[1] === name;
  const rest = lines.flatMap((line, index) =>
    index < from || index === at || (index > at && needless(line)) ? [] : [index],
  );
  return { failed: [{ line: at + 1, words }], problems: [], rest };
}

const dialects: Record<'ip' | 'bridge' | 'ipset', Dialect> = { ip, bridge, ipset };

/** What `-force -batch` prints: a line's errors, then `Command failed -:LINE`; `left` came after the last of those. */
export function parseFailures(stderr: string): { failed: FailedLine[]; left: string } {
  const failed: FailedLine[] = [];
  let words: string[] = [];
  for (const text of stderr.split('\n')) {
    const batch = /^Command failed -:(\d+)$/.exec(text);
    if (batch !== null) {
      failed.push({ line: Number(batch[1]), words: words.join('; ') });
      words = [];
    } else if (text.trim() !== '') {
      words.push(text.trim());
    }
  }
  return { failed, left: words.join('; ') };
}
