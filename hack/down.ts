import { messageOf } from '../src/error.ts';
import { Command } from 'commander';
import { ensurePackages } from './parts/packages.ts';
import { say } from './parts/progress.ts';
import { labNamed } from './testbed/lab.ts';
import { takeDown } from './testbed/owner.ts';

const flags = new Command('npm run down --')
  .description('Takes a lab down: ends its processes, removes its namespaces and files.')
  .option(
    '--name <name>',
    'name of the lab; default $NAME, else overlaynet',
    process.env.NAME ?? 'overlaynet',
  )
  .allowExcessArguments(false)
  .parse()
  .opts<{ name: string }>();

try {
  await ensurePackages();
  const lab = labNamed(flags.name);
  say((await takeDown(lab)) ? `lab ${lab.name} is down` : `there is no lab ${lab.name}`);
} catch (error) {
  say(`down: ${messageOf(error)}`);
  process.exitCode = 1;
}
