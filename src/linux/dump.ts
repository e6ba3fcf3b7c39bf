import type { Run, RunResult } from './run.ts';

/** What iproute2 says, and ends with status 0, of a list that changed while the kernel printed it. */
const interrupted = 'Dump was interrupted';

/** Before it counts as unread. */
const attempts = 3;

/** Runs a program that lists something, anew where the list changed meanwhile. @throws CommandError */
export async function dump(run: Run, program: string, args: string[], input = ''): Promise<RunResult> {
  let result = await run(program, args, { input });
  for (let more = attempts; more > 1 && !isWhole(result); more--)
    result = await run(program, args, { input });
  return result;
}

/** Whether nothing is missing in the list. */
export const isWhole = ({ stderr }: RunResult): boolean => !stderr.includes(interrupted);
