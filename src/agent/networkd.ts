import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Log } from '../log.ts';
import { isErrno, readIfPresent, reasonOf, temporaryOf, writeAtomically } from './file.ts';
import type { Failure } from '../dataplane/state.ts';

/** systemd-networkd may take routes, rules and nexthops that are in none of its files for stale, and remove them. */
const dropIn = 'etc/systemd/networkd.conf.d/50-overlaynet.conf';

/** Versions before 256 say that they do not know the last line, and leave nexthops that have a link alone anyway (tried: 252). */
const body = `# Written by overlaynet (agent install), removed by \`agent cleanup\`. Without it systemd-networkd may remove the
# routes to other nodes' overlay subnets when it starts again or a link is reconfigured.
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
ManageForeignNextHops=no
`;

/** Never an error: without the file the agent puts back what is removed, within seconds. */
export function installDropIn(hostRoot: string, log: Log): void {
  const path = join(hostRoot, dropIn);
  const file = `/${dropIn}`;
  if (!existsSync(join(hostRoot, 'etc/systemd'))) {
    log.info('no systemd on this host: there is no systemd-networkd to be told what is ours');
    return;
  }
  try {
    if (readIfPresent(path) === body) return;
    writeAtomically(path, body, 0o644);
  } catch (error) {
    log.warn(
      'systemd-networkd could not be told to leave our routes alone: when it starts it may remove them',
      {
        file,
        error,
      },
    );
    return;
  }
  log.info('systemd-networkd is told to leave routes, rules and nexthops of others alone', { file });
  // it writes this file while it runs
  if (existsSync(join(hostRoot, 'run/systemd/netif/state'))) {
    log.warn(
      'systemd-networkd runs, and reads that file only when it starts (networkctl reload does not): restart it, or ' +
        'the next time that it starts it heeds it by itself',
      { command: 'systemctl restart systemd-networkd' },
    );
  }
}

/** What went is added to `removed`. */
export function removeDropIn(hostRoot: string, removed: string[]): Failure[] {
  const path = join(hostRoot, dropIn);
  try {
    rmSync(temporaryOf(path), { force: true });
    if (existsSync(path)) {
      rmSync(path);
      removed.push(path);
    }
    rmdirSync(dirname(path));
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTEMPTY')) return [{ message: reasonOf(error) }];
  }
  return [];
}
