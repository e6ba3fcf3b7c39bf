import { readFileSync, writeFileSync } from 'node:fs';
import type { Log } from '../log.ts';
import { isErrno, messageOf } from '../error.ts';

/** The name that `sysctl` gives a path: `net.ipv4.ip_forward` for `net/ipv4/ip_forward`. */
export const sysctlName = (path: string): string => path.replaceAll('/', '.');

/**
 * Reads a switch; undefined if it does not exist.
 * @param path below `root`
 */
export function readSysctl(path: string, root: string): string | undefined {
  try {
    return readFileSync(`${root}/${path}`, 'utf8').trim();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Sets a switch unless it has that value. Returns what failed. */
export function setSysctl(path: string, value: string, log: Log, root: string): string[] {
  try {
    writeFileSync(`${root}/${path}`, `${value}\n`);
    log.info('sysctl set', { name: sysctlName(path), value: Number(value) });
    return [];
  } catch (error) {
    return [`${sysctlName(path)} cannot be set to ${value}: ${messageOf(error)}`];
  }
}
