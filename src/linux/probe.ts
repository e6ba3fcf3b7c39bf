import { jumpTo } from '../dataplane/chains.ts';
import type { Chain } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { programOf, type Backend } from './iptablesread.ts';
import { CommandError, type Run } from './run.ts';

/** Checks that one built-in chain contains the jump to our chain. */
interface Look {
  program: string;
  args: string[];
  jump: string;
}

/**
 * A cheap check that finds flushed rules soon: a chain a family, in the table that
 * isolates. One such look takes 4 ms of a processor, and a read of all tables 15 times that.
 */
export function looksAt(backend: Backend, chains: Record<Family, Chain[]>): Look[] {
  const families: Family[] = [4, 6];
  return families.flatMap((family) => {
    const mangle = chains[family].filter(({ table }) => table === 'mangle');
    const chain = mangle.find(({ hook }) => hook === 'FORWARD') ?? mangle[0];
    if (chain === undefined) return [];
    const program = programOf(backend, family);
    return [{ program, args: ['-t', 'mangle', '-S', chain.hook], jump: `-A ${chain.hook} ${jumpTo(chain)}` }];
  });
}

/** A rule that is gone. */
export type Loss = {
  /** The rule, as iptables writes it. */
  object: string;
  /** What was run to look for it. */
  command: string;
  /** What is there in its place. */
  output: string;
};

/** The first jump that is gone; undefined if all are there, as far as can be seen: a check that fails to run shows nothing. */
export async function lossOf(run: Run, looks: Look[]): Promise<Loss | undefined> {
  for (const { program, args, jump } of looks) {
    try {
      const { stdout, code } = await run(program, args);
      if (code === 0 && !stdout.split('\n').includes(jump))
        return { object: jump, command: [program, ...args].join(' '), output: stdout.trim() };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
  }
  return undefined;
}
