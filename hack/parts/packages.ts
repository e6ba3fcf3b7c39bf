import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { command } from './command.ts';
import { say, timed } from './progress.ts';
import { withoutServices } from './services.ts';

/** Programs, and the Debian and Ubuntu packages that contain them. */
const packages: Record<string, string> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  iptables: 'iptables',
  ipset: 'ipset',
  nft: 'nftables',
  tcpdump: 'tcpdump',
  ping: 'iputils-ping',
  conntrack: 'conntrack',
  sysctl: 'procps',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  flock: 'util-linux',
  chrt: 'util-linux',
  setpriv: 'util-linux',
  modprobe: 'kmod',
};

/** Returns the directories to search for programs. A user's PATH often lacks the sbin directories. */
export function searchPath(): string[] {
  const given = (process.env.PATH ?? '').split(':').filter((dir) => dir !== '');
  return [...new Set([...given, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'])];
}

export function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function which(program: string): string | undefined {
  return searchPath()
    .map((dir) => join(dir, program))
    .find(executable);
}

/**
 * Installs missing Debian packages: those that everything needs, and those of `more` (program: package).
 * Throws without root or apt-get, and names what to install.
 */
export async function ensurePackages(more: Record<string, string> = {}): Promise<void> {
  process.env.PATH = searchPath().join(':');
  const missing = [
    ...new Set(
      Object.entries({ ...packages, ...more })
        .filter(([program]) => which(program) === undefined)
        .map(([, name]) => name),
    ),
  ];
  const hint = missing.length === 0 ? '' : `; it also needs these packages: ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) throw new Error(`network namespaces need root: run it as root (sudo)${hint}`);
  if (missing.length === 0) return;
  if (which('apt-get') === undefined) {
    throw new Error(`install these packages (Debian's names) and run it again: ${missing.join(' ')}`);
  }
  say(`missing on this system: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => command('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env });
  // a fresh machine has no package lists, so that only a failed install needs an update
  const installed = () => install().catch(() => command('apt-get', ['update'], { env }).then(install));
  await timed(`apt-get install ${missing.join(' ')}`, () =>
    ['docker.io', 'prometheus'].some((name) => missing.includes(name))
      ? withoutServices(installed)
      : installed(),
  );
}
