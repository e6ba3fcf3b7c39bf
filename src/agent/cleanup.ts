import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DataPath } from '../linux/datapath.ts';
import { createLog, type Log } from '../log.ts';
import { CNIFiles } from './cni.ts';
import { networksInCheckpoint } from './checkpoint.ts';
import { isErrno, reasonOf } from './file.ts';
import type { Directories } from './flags.ts';
import type { Failure } from './status.ts';

/** What `cleanup` needs of src/linux/datapath.ts. */
interface Kernel {
  cleanup(): Promise<{ changes: number; failures: Failure[] }>;
}

/** `agent cleanup`: says what went, and again is no error. @throws Error with what could not be removed */
export async function cleanup(directories: Directories): Promise<void> {
  const removed: string[] = [];
  const log = createLog({ level: 'warn', component: 'agent' });
  const failures = await removeAll({ directories, kernel: new DataPath({ log }), log, removed });
  for (const what of removed) process.stdout.write(`removed ${what}\n`);
  if (removed.length === 0 && failures.length === 0) process.stdout.write('nothing of overlaynet is here\n');
  if (failures.length > 0) throw new Error(`cleanup: ${failures.map(({ message }) => message).join('; ')}`);
}

/** Conflists, then the kernel's objects, then leases and state: so that nothing new starts on what is going. */
export async function removeAll(options: {
  directories: Directories;
  kernel: Kernel;
  log: Log;
  /** What was removed is added to it. */
  removed: string[];
  leaseDir?: string;
}): Promise<Failure[]> {
  const { directories, kernel, log, removed, leaseDir } = options;
  const cni = new CNIFiles({
    directories,
    log,
    owned: networksInCheckpoint(directories.stateDir),
    onRemoved: (path) => removed.push(path),
    ...(leaseDir === undefined ? {} : { leaseDir }),
  });
  const withdrawn = cni.withdraw([]);
  const { changes, failures } = await kernel
    .cleanup()
    .catch((error: unknown) => ({ changes: 0, failures: [{ message: reasonOf(error) }] }));
  if (changes > 0) removed.push(`${changes} kernel entries (links, routes, rules, sets, chains)`);
  const leases = cni.removeLeases(new Set());
  return [...withdrawn, ...failures, ...leases, ...removeState(directories.stateDir, removed)];
}

/** Our files alone: the directory may be one that the user shares with something else. */
function removeState(dir: string, removed: string[]): Failure[] {
  try {
    for (const file of readdirSync(dir)) {
      if (/^checkpoint\.json(\.corrupt-.*)?$|^\..*\.tmp$/.test(file)) {
        rmSync(join(dir, file), { force: true });
        removed.push(join(dir, file));
      }
    }
    rmdirSync(dir);
    removed.push(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTEMPTY') || isErrno(error, 'EBUSY')) return [];
    return [{ message: reasonOf(error) }];
  }
  return [];
}
