import { Command, InvalidArgumentError } from 'commander';

export interface Options {
  rounds: number;
  seed: number;
  operators: number;
  nodes: number;
  mutation?: string;
  mutations?: boolean;
  story?: string | true;
  without?: string;
  logs?: string;
}

const whole = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new InvalidArgumentError(`"${text}" is no whole number from ${least} to ${most}.`);
  return value;
};

/** Parses flags. Prints help, or one line about a wrong flag, and ends the process, as commander does. */
export const parseOptions = (argv: readonly string[]): Options =>
  new Command('npm run chaos -- allocation')
    .description('Disturbs real operators at random, then reads every revision in etcd and judges it.')
    .option('--rounds <n>', 'rounds of the run', whole(1, 1_000_000), 1_000)
    .option('--seed <n>', 'does the same once more', whole(0, 2 ** 31), Math.floor(Math.random() * 1_000_000))
    .option('--operators <n>', 'how many compete', whole(2, 3), 3)
    .option('--nodes <n>', 'about how many there are', whole(10, 2_000), 90)
    .option(
      '--mutation <name>',
      'an operator broken on purpose (its name, or a part of it): success is that it is caught',
    )
    .option('--mutations', 'each of them, one after the other')
    .option(
      '--story [word]',
      'no rounds: what happens step by step, or what of that has the word in its name',
    )
    .option('--without <word>', 'leaves out what has the word in its name, such as "by hand"')
    .option('--logs <directory>', 'where the operators write, kept')
    .allowExcessArguments(false)
    .parse(argv, { from: 'user' })
    .opts<Options>();
