import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The output of a command that ran in a lab. */
export interface Typed {
  /** As a shell takes it: `kubectl overlay networks -o wide`. */
  line: string;
  /** Files that it reads, by name. */
  files?: Record<string, string>;
  exit: number;
  /** Both streams, as a terminal shows them; without what changes from one time to the next. */
  output: string;
}

export const transcriptFile = join(import.meta.dirname, 'transcript.json');

export const readTranscript = (): Typed[] =>
  existsSync(transcriptFile) ? (JSON.parse(readFileSync(transcriptFile, 'utf8')) as Typed[]) : [];

/** The command that a line begins with: `networks`. */
export const commandOf = ({ line }: Pick<Typed, 'line'>): string =>
  /^kubectl overlay (\S+)/.exec(line)?.[1] ?? '';

/** The lines of one command, for its section. */
export function transcriptOf(command: string, typed: readonly Typed[]): string {
  const own = typed.filter((one) => commandOf(one) === command);
  if (own.length === 0) return '';
  const blocks = own.map(({ line, files = {}, exit, output }) =>
    [
      ...Object.entries(files).flatMap(([name, text]) => [`$ cat ${name}`, text.trimEnd()]),
      `$ ${line}`,
      ...(output === '' ? [] : [output]),
      ...(exit === 0 ? [] : [`$ echo $?`, String(exit)]),
    ].join('\n'),
  );
  return `\n\nIn a lab:\n\n\`\`\`console\n${blocks.join('\n\n')}\n\`\`\``;
}
