import { readFileSync, writeFileSync } from 'node:fs';
import type { Log } from '../log.ts';
import { run as runProgram, type Run } from './run.ts';

/** Without forwarding a node's containers reach nobody beyond it. */
const sysctls = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'];

/** What the data path uses; each may as well be built in. */
const modules = [
  'vxlan',
  'bridge',
  'br_netfilter',
  'ip_set',
  'ip_set_hash_net',
  'xt_set',
  'xt_MASQUERADE',
  'xt_addrtype',
  'xt_comment',
  'xt_mark',
  'xt_owner',
];

const name = (sysctl: string): string => sysctl.replaceAll('/', '.');

/** Where the kernel's switches are; absent ones (IPv6 switched off at boot) need no setting. */
function read(sysctl: string, root: string): string | undefined {
  try {
    return readFileSync(`${root}/${sysctl}`, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What of forwarding is switched off, in plain words; empty where all is well. Changes nothing. */
export function forwarding(root = '/proc/sys'): string[] {
  return sysctls
    .filter((sysctl) => read(sysctl, root) === '0')
    .map((sysctl) => `${name(sysctl)} is 0: packets of containers are not forwarded; set it to 1`);
}

/**
 * What a node needs before its agent starts: kernel modules, as far as they can be loaded, and forwarding.
 * Needs root, and a writable /proc/sys.
 * @throws Error with what could not be done and matters
 */
export async function installSystem(log: Log, run: Run = runProgram, root = '/proc/sys'): Promise<void> {
  for (const module of modules) {
    try {
      const { code, stderr } = await run('modprobe', [module]);
      if (code !== 0) log.info('module not loaded; it may be built in', { module, words: stderr.trim() });
    } catch (error) {
      log.info('modules cannot be loaded from here; they may be built in', { error });
      break;
    }
  }
  const problems: string[] = [];
  for (const sysctl of sysctls) {
    if (read(sysctl, root) !== '0') continue;
    try {
      writeFileSync(`${root}/${sysctl}`, '1\n');
      log.info('sysctl set', { name: name(sysctl), value: 1 });
    } catch (error) {
      problems.push(`${name(sysctl)} cannot be set to 1: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
}
