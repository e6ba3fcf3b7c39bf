import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { dockerAt, type Docker } from '../docker/docker.ts';
import { DataPath } from '../linux/datapath.ts';
import { createLog, type Log } from '../log.ts';
import { CNIFiles } from '../containers/cni.ts';
import { networksInCheckpoint } from './checkpoint.ts';
import { socketIn, type Directories, type HostFlags } from '../host/directories.ts';
import { removeDropIns } from '../host/dropins.ts';
import { removePlugins } from '../host/plugins.ts';
import { answers } from '../containers/socket.ts';
import type { Failure } from '../dataplane/state.ts';
import { isErrno, messageOf } from '../error.ts';

/** The part of src/linux/datapath.ts that `cleanup` needs. */
interface Kernel {
  cleanup(): Promise<{ changes: number; failures: Failure[] }>;
}

/** The part of src/docker that it needs. */
type Networks = Pick<Docker, 'cleanup'>;

/**
 * Runs `agent cleanup` and prints what was removed. It can be repeated.
 * @throws Error with what could not be removed, or because an agent runs
 */
export async function cleanup(flags: Directories & HostFlags & { dockerSocket?: string }): Promise<void> {
  const { dockerSocket, hostRoot, cniBinDir, ...directories } = flags;
  const socket = socketIn(directories.runDir);
  if (existsSync(socket) && (await answers(socket))) {
    throw new Error(
      `an agent runs on this node and would recreate everything: stop it first (it listens at ${socket})`,
    );
  }
  const removed: string[] = [];
  const log = createLog({ level: 'warn', component: 'agent' });
  const docker = dockerAt(dockerSocket, log);
  const failures = await removeAll({ directories, kernel: new DataPath({ log }), docker, log, removed });
  failures.push(...removePlugins(join(hostRoot, cniBinDir), removed), ...removeDropIns(hostRoot, removed));
  for (const what of removed) process.stdout.write(`removed ${what}\n`);
  if (removed.length === 0 && failures.length === 0) process.stdout.write('nothing of overlaynet is here\n');
  if (failures.length > 0) throw new Error(`cleanup: ${failures.map(({ message }) => message).join('; ')}`);
}

/**
 * Removes conflists and Docker's networks first, then kernel objects, then leases and state, so that nothing new
 * starts on what is being removed.
 */
export async function removeAll(options: {
  directories: Directories;
  kernel: Kernel;
  docker?: Networks | undefined;
  log: Log;
  /** Names of removed things are added to it. */
  removed: string[];
}): Promise<Failure[]> {
  const { directories, kernel, docker, log, removed } = options;
  const cni = new CNIFiles({
    directories,
    log,
    owned: networksInCheckpoint(directories.stateDir),
    onRemoved: (path) => removed.push(path),
    // after this, containers lose their links here, too
    links: () => new Set(),
  });
  const withdrawn = cni.removeAll();
  const networks = await docker
    ?.cleanup()
    .catch((error: unknown) => ({ removed: [], failures: [{ message: messageOf(error) }] }));
  for (const name of networks?.removed ?? []) removed.push(`Docker network ${name}`);
  withdrawn.push(...(networks?.failures ?? []));
  const { changes, failures } = await kernel
    .cleanup()
    .catch((error: unknown) => ({ changes: 0, failures: [{ message: messageOf(error) }] }));
  if (changes > 0) removed.push(`${changes} kernel entries (links, routes, rules, sets, chains)`);
  const leases = cni.removeLeases(new Set()).failures;
  return [
    ...withdrawn,
    ...failures,
    ...leases,
    ...removeState(directories.stateDir, removed),
    ...removeEmpty(directories.runDir, removed),
    ...removeEmpty(directories.cniConfDir, removed),
    ...removeEmpty(directories.leaseDir, removed),
  ];
}

/** Removes only our files, because the user may share the directory with something else. */
function removeState(dir: string, removed: string[]): Failure[] {
  try {
    for (const file of readdirSync(dir)) {
      if (/^checkpoint\.json(\.corrupt-.*)?$|^\..*\.tmp$/.test(file)) {
        rmSync(join(dir, file), { force: true });
        removed.push(join(dir, file));
      }
    }
  } catch (error) {
    return isErrno(error, 'ENOENT') ? [] : [{ message: messageOf(error) }];
  }
  return removeEmpty(dir, removed);
}

/** Removes a directory. One that is a mount, or that holds other files, stays. */
function removeEmpty(dir: string, removed: string[]): Failure[] {
  try {
    rmdirSync(dir);
    removed.push(dir);
  } catch (error) {
    if (['ENOENT', 'ENOTEMPTY', 'EBUSY'].some((code) => isErrno(error, code))) return [];
    return [{ message: messageOf(error) }];
  }
  return [];
}
