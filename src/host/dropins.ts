import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Log } from '../log.ts';
import { readIfPresent, temporaryOf, writeAtomically } from './file.ts';
import type { Failure } from '../dataplane/state.ts';
import type { Removal } from './removal.ts';
import { messageOf } from '../error.ts';

/** Our file that tells a program of the host which objects are not its own. Paths are below the host's root. */
interface DropIn {
  program: string;
  path: string;
  body: string;
  /** Directory without which the host does not have the program. */
  present: string;
  /** The consequence of a missing file. */
  otherwise: string;
  effect: string;
  /** The directory comes with the program; otherwise it is removed with the file, if it is empty. */
  directoryStays?: true;
  /** A path that exists while the program runs. Absent if the program's state is not visible from here. */
  running?: string;
  /** When the program reads the file, and how to make it do so. */
  heed: { words: string; command: string };
}

const written = (why: string): string =>
  `# Written by overlaynet (agent install), removed by \`agent cleanup\`. ${why}\n`;

const dropIns: DropIn[] = [
  {
    program: 'systemd-networkd',
    path: 'etc/systemd/networkd.conf.d/50-overlaynet.conf',
    present: 'etc/systemd',
    // versions before 256 report that they do not know the last line, and leave nexthops with a link alone anyway
    // (tried: 252)
    body: `${written(`Without it systemd-networkd may remove the
# routes to other nodes' overlay subnets when it starts again or a link is reconfigured.`)}[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
ManageForeignNextHops=no
`,
    otherwise: 'leave our routes alone: when it starts it may remove them',
    effect: 'leave routes, rules and nexthops of others alone',
    // the program writes this file while it runs
    running: 'run/systemd/netif/state',
    heed: {
      words:
        'reads that file only when it starts (networkctl reload does not): restart it, or the next time that it ' +
        'starts it heeds it by itself',
      command: 'systemctl restart systemd-networkd',
    },
  },
  {
    program: 'NetworkManager',
    path: 'etc/NetworkManager/conf.d/50-overlaynet.conf',
    present: 'etc/NetworkManager',
    // += keeps the values of other files
    body: `${written(`Without it NetworkManager may take
# links of overlaynet for its own: it takes addresses from them, and runs DHCP there.`)}[keyfile]
unmanaged-devices+=interface-name:m-*;interface-name:d-*;interface-name:c-*;interface-name:vtep*
`,
    otherwise: 'leave our links alone: it may take them for its own',
    effect: 'leave our links alone',
    directoryStays: true,
    heed: {
      words: 'reads that file when it starts and when it is reloaded',
      command: 'systemctl reload NetworkManager',
    },
  },
];

/**
 * Writes the files. This is never an error, because without them the agent restores what is removed within seconds.
 */
export function installDropIns(hostRoot: string, log: Log): void {
  for (const dropIn of dropIns) installDropIn(dropIn, hostRoot, log);
}

function installDropIn(dropIn: DropIn, hostRoot: string, log: Log): void {
  const { program, body, present, otherwise, effect, running, heed } = dropIn;
  const path = join(hostRoot, dropIn.path);
  const file = `/${dropIn.path}`;
  if (!existsSync(join(hostRoot, present))) {
    log.info(`no /${present} on this host: ${program} is not installed, so it needs no drop-in`);
    return;
  }
  try {
    if (readIfPresent(path) === body) return;
    writeAtomically(path, body, 0o644);
  } catch (error) {
    log.warn(`${program} could not be told to ${otherwise}`, {
      object: file,
      command: `write ${file}`,
      output: error,
    });
    return;
  }
  log.info(`${program} is told to ${effect}`, { file });
  const { words, command } = heed;
  if (running === undefined) log.info(`if ${program} runs: it ${words}`, { command });
  else if (existsSync(join(hostRoot, running)))
    log.warn(`${program} runs, and ${words}`, { object: file, command, output: 'not yet run' });
}

/** Removes the files, and the directories that came with them. */
export const removeDropIns = (hostRoot: string, removal: Removal): Failure[] =>
  dropIns.flatMap(({ path, directoryStays }) =>
    removeDropIn(join(hostRoot, path), removal, directoryStays === true),
  );

function removeDropIn(path: string, removal: Removal, directoryStays: boolean): Failure[] {
  const before = removal.removed.length;
  try {
    removal.remove(temporaryOf(path));
    removal.remove(path);
  } catch (error) {
    return [{ message: messageOf(error) }];
  }
  // an empty directory without our file is the host's own
  const wasOurs = removal.removed.length > before;
  return directoryStays || !wasOurs ? [] : removal.removeEmpty(dirname(path));
}
