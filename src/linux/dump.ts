import type { Run, RunResult } from './run.ts';

/** What iproute2 prints, with exit status 0, when a list changed while the kernel printed it. */
const interrupted = 'Dump was interrupted';

/** Attempts before a list counts as unread. */
const attempts = 3;

/**
 * Runs a program that lists something, and repeats it when the list changed meanwhile.
 * @throws CommandError
 */
export async function dump(run: Run, program: string, args: string[], input = ''): Promise<RunResult> {
  let result = await run(program, args, { input });
  for (let more = attempts; more > 1 && !isWhole(result); more--)
    result = await run(program, args, { input });
  return result;
}

/** Whether the list is complete. */
export const isWhole = ({ stderr }: RunResult): boolean => !stderr.includes(interrupted);
