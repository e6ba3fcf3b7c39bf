import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { dockerAt, type Docker } from '../docker/docker.ts';
import { DataPath } from '../linux/datapath.ts';
import { createLog, silent, type Log } from '../log.ts';
import { CNIFiles } from '../containers/cni.ts';
import { networksInCheckpoint } from './checkpoint.ts';
import { socketIn, type Directories, type HostFlags } from '../host/directories.ts';
import { removeDropIns } from '../host/dropins.ts';
import { removePlugins } from '../host/plugins.ts';
import { Removal } from '../host/removal.ts';
import { answers } from '../containers/socket.ts';
import type { Failure } from '../dataplane/state.ts';
import type { Run } from '../linux/run.ts';
import { listed } from '../api/text.ts';
import { isErrno, messageOf } from '../error.ts';

/** The part of src/linux/datapath.ts that `cleanup` needs. */
type Kernel = Pick<DataPath, 'remains'> & {
  cleanup(): Promise<{ changes: number; failures: Failure[] }>;
};

/** The part of src/docker that `cleanup` needs. */
type Networks = Pick<Docker, 'cleanup'>;

export interface CleanupFlags extends Directories, HostFlags {
  dockerSocket?: string;
  /** Only list overlaynet's objects on the node. It is an error if there are any. */
  check?: boolean;
  /** Only print what would be removed. */
  dryRun?: boolean;
}

/**
 * Runs `agent cleanup` and prints what it removed. It can be repeated.
 * @param run for tests, which run every program in a network namespace
 * @throws Error that names what could not be removed, or says that an agent runs; with `check`, that something is there
 */
export async function cleanup(flags: CleanupFlags, run?: Run): Promise<void> {
  const { dockerSocket, hostRoot, cniBinDir, check = false, dryRun = false, ...directories } = flags;
  const dry = check || dryRun;
  const socket = socketIn(directories.runDir);
  const running = existsSync(socket) && (await answers(socket));
  if (running && !dry) {
    throw new Error(
      `an agent runs on this node and would recreate everything: stop it first (it listens at ${socket})`,
    );
  }
  const removal = new Removal({ dry });
  const log = dry ? silent : createLog({ level: 'warn', component: 'agent' });
  const docker = dockerAt(dockerSocket, log);
  const kernel = new DataPath({ log, ...(run === undefined ? {} : { run }) });
  const failures = await removeAll({ directories, kernel, docker, log, removal });
  failures.push(...removePlugins(join(hostRoot, cniBinDir), removal), ...removeDropIns(hostRoot, removal));
  const { removed } = removal;
  const verb = check ? '' : dryRun ? 'would remove ' : 'removed ';
  for (const what of removed) process.stdout.write(`${verb}${what}\n`);
  if (removed.length === 0 && failures.length === 0) process.stdout.write('nothing of overlaynet is here\n');
  if (dryRun && running)
    process.stdout.write(`an agent runs on this node: stop it first (it listens at ${socket})\n`);
  if (failures.length > 0) throw new Error(`cleanup: ${failures.map(({ message }) => message).join('; ')}`);
  if (check && removed.length > 0)
    throw new Error('cleanup --check: the lines above are of overlaynet; `agent cleanup` removes them');
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
  removal: Removal;
}): Promise<Failure[]> {
  const { directories, kernel, docker, log, removal } = options;
  const { removed, dry } = removal;
  const cni = new CNIFiles({
    directories,
    log,
    owned: networksInCheckpoint(directories.stateDir),
    removal,
    // from here on, containers on this node lose their links
    links: () => new Set(),
  });
  const withdrawn = cni.removeAll();
  const networks = await docker
    ?.cleanup({ dry })
    .catch((error: unknown) => ({ removed: [], failures: [{ message: messageOf(error) }] }));
  for (const name of networks?.removed ?? []) removed.push(`Docker network ${name}`);
  withdrawn.push(...(networks?.failures ?? []));
  const failures = await (dry ? findInKernel(kernel, removed) : removeFromKernel(kernel, removed)).catch(
    (error: unknown) => [{ message: messageOf(error) }],
  );
  const leases = cni.removeLeases(new Set()).failures;
  return [
    ...withdrawn,
    ...failures,
    ...leases,
    ...removeState(directories.stateDir, removal),
    ...removal.removeEmpty(directories.runDir),
    ...removal.removeEmpty(directories.cniConfDir),
    // remove the directory of leases only if it is empty
    ...(removed.length > 0 ? removal.removeEmpty(directories.leaseDir) : []),
  ];
}

async function removeFromKernel(kernel: Kernel, removed: string[]): Promise<Failure[]> {
  const { changes, failures } = await kernel.cleanup();
  if (changes > 0) removed.push(`${changes} kernel entries (links, routes, rules, sets, chains)`);
  return failures;
}

async function findInKernel(kernel: Kernel, removed: string[]): Promise<Failure[]> {
  const { remains, failures } = await kernel.remains();
  for (const [kind, names] of remains) removed.push(`${kind} (${names.length}): ${listed(names, mostNames)}`);
  return failures;
}

/** How many names of a kind are listed: a node has a route for each of up to thousands of peers. */
const mostNames = 20;

/** Removes only our files, because the user may share the directory with something else. */
function removeState(dir: string, removal: Removal): Failure[] {
  try {
    for (const file of readdirSync(dir)) {
      if (/^checkpoint\.json(\.corrupt-.*)?$|^\..*\.tmp$/.test(file)) removal.remove(join(dir, file));
    }
  } catch (error) {
    return isErrno(error, 'ENOENT') ? [] : [{ message: messageOf(error) }];
  }
  return removal.removeEmpty(dir);
}
