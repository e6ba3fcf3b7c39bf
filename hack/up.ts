import { messageOf } from '../src/error.ts';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { buildBundles } from './build.ts';
import { ensurePackages } from './parts/packages.ts';
import { say } from './parts/progress.ts';
import { pluginDirectory } from './parts/plugins.ts';
import { go } from './parts/part.ts';
import { findParts } from './parts.ts';
import { labNamed, root, UserError } from './testbed/lab.ts';
import { claim, clear, own } from './testbed/owner.ts';
import { networksIn, raise } from './testbed/raise.ts';
import { compareState } from './testbed/reference.ts';

const sample = resolve(root, 'deploy/samples/overlay.yaml');

function count(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > 250) {
    throw new InvalidArgumentError('It must be a number from 1 to 250.');
  }
  return Number(text);
}

const flags = new Command('npm run up --')
  .description(
    'Brings up a lab: etcd, kube-apiserver, operators, nodes with agents; applies an overlay and pings.',
  )
  .option('--nodes <number>', 'how many nodes', count, 3)
  .option('--overlay <file>', 'manifest to apply', sample)
  .option(
    '--name <name>',
    'name of the lab; default $NAME, else overlaynet',
    process.env.NAME ?? 'overlaynet',
  )
  .option('--detach', 'return when all is ready; npm run down removes it')
  .option('--check', 'bring up, check, take down')
  .allowExcessArguments(false)
  .parse()
  .opts<{ nodes: number; overlay: string; name: string; detach?: boolean; check?: boolean }>();

/** Resolves with the first signal that asks this process to end. */
const interrupted = new Promise<NodeJS.Signals>((settle) => {
  setInterval(() => undefined, 3_600_000); // waiting for a signal does not keep a process alive, a timer does
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, settle);
});

async function up(): Promise<number> {
  if (flags.detach && flags.check) throw new UserError('--detach and --check exclude each other');
  const lab = labNamed(flags.name);
  const overlay = resolve(process.env.INIT_CWD ?? '.', flags.overlay);
  networksIn(overlay);
  await ensurePackages();
  const built = buildBundles();
  built.catch(() => undefined); // the error is reported where `built` is awaited
  const found = await findParts();
  const parts = { ...found, cni: await pluginDirectory(found.cni, go) };
  await claim(lab);

  let status = 0;
  const work = (async () => {
    const raised = await raise({ lab, parts, nodes: flags.nodes, overlay, built });
    if (flags.check) await compareState(raised.stateURL, overlay === sample && flags.nodes === 3);
  })().catch((error: unknown) => {
    if (status === 130) return; // the start was interrupted: its failure is expected
    say(`up: ${messageOf(error)}`);
    status = 1;
  });
  const signal = await Promise.race([work, interrupted]);
  if (signal) status = 130;
  else if (status === 0 && !flags.check) {
    if (flags.detach) {
      own(lab, true);
      say(
        `lab ${lab.name} is up; npm run down${lab.name === 'overlaynet' ? '' : ` -- --name ${lab.name}`} removes it`,
      );
      return 0;
    }
    say('Ctrl-C takes it down.');
    await interrupted;
  }
  say(`taking lab ${lab.name} down`);
  await clear(lab);
  // the rest of the start has failed by now, or will fail
  await work;
  await clear(lab);
  return status;
}

try {
  process.exit(await up());
} catch (error) {
  say(`up: ${messageOf(error)}`);
  process.exit(1);
}
