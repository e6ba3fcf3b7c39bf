import { whyFailed, type Run } from './run.ts';
import { familyOf } from '../net/address.ts';

export interface FailedLine {
  /** Number of the line, from 1. */
  line: number;
  /** What the program printed about it. */
  words: string;
}

export interface BatchOutcome {
  failed: FailedLine[];
  /** How many lines were not tried, because they need one that failed. */
  needless: number;
  /** Problems that belong to no single line. */
  problems: string[];
}

/** The result of one process. */
interface Attempt extends Omit<BatchOutcome, 'needless'> {
  needless?: number;
  /** Lines, from 0, for the next process, in this order. */
  rest: number[];
}

type Dialect = (run: Run, args: string[], lines: string[]) => Promise<Attempt>;

/** If line after line ends the program, something else is wrong, and the next pass tries again. */
const mostProcesses = 40;

/**
 * Runs the lines of one step. A program that ends at a failing line is started again for the lines behind it, so
 * every line is tried, or the outcome names it as not tried.
 * @throws CommandError if the program does not run to its end
 */
export async function runBatch(
  run: Run,
  program: 'ip' | 'bridge' | 'ipset',
  args: readonly string[],
  lines: string[],
): Promise<BatchOutcome> {
  const outcome: BatchOutcome = { failed: [], needless: 0, problems: [] };
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
    outcome.needless += attempt.needless ?? 0;
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

/** A command without requirements that prints one line. It shows how far `ip -batch` came. */
const mark = 'link show dev lo';

/** Lines between two marks. Lines that end `ip` when they fail have a mark each. */
const between = 64;

const mayEnd = (line: string): boolean => line.startsWith('neigh ');

/**
 * Runs `ip -batch`. It continues after most failing lines, but ends at neighbours and, for other objects, where it
 * takes no argument.
 */
async function ip(run: Run, args: string[], lines: string[]): Promise<Attempt> {
  const text = [mark];
  /** Maps each line of `text` to its line in `lines`. */
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
  const { failed, output } = parseFailures(stderr);
  const known = failed.map(({ line, words }) => ({ line: (places[line - 1] ?? 0) + 1, words }));
  const reached = stdout.split('\n').filter((line) => line.startsWith('lo ')).length;
  const words = whyFailed({ stderr: output, code });
  // this is not how a batch fails, so nothing is known of single lines
  if (reached === 0) return { failed: known, problems: [words], rest: [] };
  if (reached === marks.length) return { failed: known, problems: [], rest: [] };
  const [from = 0, to = lines.length] = marks.slice(reached - 1);
  const rest = lines.flatMap((_, index) => (index < to ? [] : [index]));
  if (to === from + 1) {
    const like = (index: number) => similar(lines[from] ?? '')(lines[index] ?? '');
    return {
      failed: [...known, { line: to, words }],
      problems: [],
      // lines that will probably fail in the same way come last, so that they do not use up all the processes
      rest: [...rest.filter((index) => !like(index)), ...rest.filter(like)],
    };
  }
  const problem = `${words} (ended between "${lines[from] ?? ''}" and "${lines[to - 1] ?? ''}")`;
  return { failed: known, problems: [problem], rest };
}

/** Whether a line will most likely fail as that one did: a neighbour of the same family. */
const similar =
  (failed: string) =>
  (line: string): boolean =>
    mayEnd(line) && mayEnd(failed) && ofIPv6(line) === ofIPv6(failed);

/** Whether the address in `neigh VERB ADDRESS …` is IPv6. */
const ofIPv6 = (line: string): boolean => familyOf(line.split(' ', 3)[2] ?? '') === 6;

async function bridge(run: Run, args: string[], lines: string[]): Promise<Attempt> {
  const { stderr, code } = await run('bridge', args, { input: `${lines.join('\n')}\n` });
  if (code === 0) return { failed: [], problems: [], rest: [] };
  const { failed, output } = parseFailures(stderr);
  const problems = output !== '' || failed.length === 0 ? [whyFailed({ stderr: output, code })] : [];
  return { failed, problems, rest: [] };
}

/** Runs `ipset restore`. It ends at the first failing line, and drops entries that it has read and not yet sent. */
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
  // entries of a set that was not made cannot be added
  const isNeedless = (line: string) => verb === 'create' && line.split(' ', 2)[1] === name;
  const left = lines.flatMap((_, index) => (index < from || index === at ? [] : [index]));
  const rest = left.filter((index) => index < at || !isNeedless(lines[index] ?? ''));
  return { failed: [{ line: at + 1, words }], needless: left.length - rest.length, problems: [], rest };
}

const dialects: Record<'ip' | 'bridge' | 'ipset', Dialect> = { ip, bridge, ipset };

/**
 * Parses what `-force -batch` prints: a line's errors, then `Command failed -:LINE`. `output` is the text after the
 * last of these.
 */
export function parseFailures(stderr: string): { failed: FailedLine[]; output: string } {
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
  return { failed, output: words.join('; ') };
}
