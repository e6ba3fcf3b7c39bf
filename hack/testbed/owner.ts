import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError, type Lab } from './lab.ts';
import { removeNamespaces } from './namespaces.ts';
import { end, namesakes, processesOf, until } from './processes.ts';

/** The owner of a lab: a running `up`, or none once the lab is detached. */
interface Owner {
  pid: number;
  /** When that process started, in the kernel's ticks since boot: another process may have the same pid now. */
  started: string;
  detached: boolean;
}

const file = (lab: Lab) => join(lab.dir, 'owner.json');

function startOf(pid: number): string {
  try {
    return (
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? ''
    );
  } catch {
    return '';
  }
}

function ownerOf(lab: Lab): Owner | undefined {
  try {
    return JSON.parse(readFileSync(file(lab), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

const lives = ({ detached, pid, started }: Owner) =>
  !detached && pid !== process.pid && startOf(pid) === started;

export function own(lab: Lab, detached: boolean): void {
  const owner: Owner = { pid: process.pid, started: startOf(process.pid), detached };
  writeFileSync(file(lab), JSON.stringify(owner));
}

/**
 * Takes the lab's name for this process and removes what a killed `up` left. Throws UserError with `hint` if the lab is
 * running, here or in another checkout.
 */
export async function claim(lab: Lab, hint = 'npm run down, or take another name (--name)'): Promise<void> {
  const others = namesakes(lab);
  if (others.length > 0) throw new UserError(`${others.join(', ')} is running: ${hint}`);
  const owner = ownerOf(lab);
  if (owner && (lives(owner) || (owner.detached && processesOf(lab).length > 0))) {
    const how = owner.detached ? 'detached' : `held by process ${owner.pid}`;
    throw new UserError(`lab "${lab.name}" is up already (${how}): ${hint}`);
  }
  await clear(lab);
  mkdirSync(dirname(lab.dir), { recursive: true });
  try {
    mkdirSync(lab.dir, { mode: 0o700 });
  } catch (error) {
    throw new UserError(`lab "${lab.name}" is being started by another command`, { cause: error });
  }
  own(lab, false);
}

/** Ends all processes of a lab and removes its namespaces and its directory. Returns whether any of them existed. */
export async function clear(lab: Lab): Promise<boolean> {
  const processes = processesOf(lab).length;
  await end(lab, {}, 'SIGKILL');
  const namespaces = namesakes(lab).length > 0 ? [] : await removeNamespaces(lab);
  const files = existsSync(lab.dir);
  rmSync(lab.dir, { recursive: true, force: true, maxRetries: 3 });
  return processes > 0 || namespaces.length > 0 || files;
}

/** Takes a lab down: first by its `up`, if that is running, then removes what remains. */
export async function takeDown(lab: Lab): Promise<boolean> {
  const owner = ownerOf(lab);
  const asked = owner !== undefined && lives(owner);
  if (asked) {
    process.kill(owner.pid, 'SIGTERM');
    await until(`process ${owner.pid} ended`, () => (lives(owner) ? undefined : true), { seconds: 20 }).catch(
      () => {
        process.kill(owner.pid, 'SIGKILL');
      },
    );
  }
  return (await clear(lab)) || asked;
}
