import { messageOf } from '../../src/error.ts';
import { relative } from 'node:path';
import { ensurePackages } from '../parts/packages.ts';
import { say } from '../parts/progress.ts';
import { claim, own, takeDown } from '../testbed/owner.ts';
import { binDirectory } from './cluster.ts';
import type { Engine } from '../testbed/engine.ts';
import { engineOf, lab, raise, remove } from './raise.ts';

/** Resolves with the first signal that asks this process to end. */
export const interrupted = new Promise<NodeJS.Signals>((settle) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, settle);
});

const begin = performance.now();
/** Prints a finished step, with the time since the command's start. */
export function done(what: string): void {
  say(`${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}

/** A command that works with a kind cluster. */
interface Session {
  /** The NAME in `npm run NAME`. */
  name: string;
  /** Leaves the cluster up afterwards. */
  keep: boolean;
  /** Only removes a cluster that was kept, or that a killed run left. */
  down: boolean;
  /** Gets a function that starts the cluster. Resolves to false if something failed. */
  work: (up: () => Promise<Engine>) => Promise<boolean>;
  /** Text that is printed last, unless the session was interrupted. */
  summary: () => string;
}

function howToReach(name: string): void {
  const bin = relative(process.cwd(), binDirectory(lab));
  say(`\nthe cluster stays up: export PATH=$PWD/${bin}:$PATH
  kubectl get nodes,pods -A -o wide          kubectl, docker and kind reach it
  inside curl -k https://…                   any other program, in the network namespace of its engine
  npm run ${name} -- --down                      removes it`);
}

async function takeAway(): Promise<number> {
  const engine = engineOf(lab);
  const was = await takeDown(lab);
  await remove(engine);
  say(was ? 'the e2e cluster is gone' : 'there is no e2e cluster');
  return 0;
}

async function hold({ name, keep, down, work, summary }: Session): Promise<number> {
  await ensurePackages({ docker: 'docker.io', mmdebstrap: 'mmdebstrap' });
  if (down) return takeAway();
  const engine = engineOf(lab);
  await claim(lab, `npm run ${name} -- --down`);
  if (engine) await remove(engine).then(() => claim(lab));

  let status = 0;
  const working = (async () => {
    status = (await work(() => raise(keep, done))) ? 0 : 1;
  })().catch((error: unknown) => {
    if (status === 130) return; // the start was interrupted: its failure is expected
    say(`${name}: ${messageOf(error)}`);
    status = 1;
  });
  if (await Promise.race([working, interrupted])) status = 130;
  if (keep && status !== 130) {
    own(lab, true);
    howToReach(name);
  } else {
    await remove(engineOf(lab));
    await working;
    await remove(undefined);
    done('all removed');
  }
  if (status !== 130) console.log(summary());
  return status;
}

/** Starts the cluster, works with it, and removes it even if the work failed. Ends this process. */
export async function session(of: Session): Promise<never> {
  try {
    process.exit(await hold(of));
  } catch (error) {
    say(`${of.name}: ${messageOf(error)}`);
    process.exit(1);
  }
}
