import { readFileSync, writeFileSync } from 'node:fs';
import type { Log } from '../log.ts';

/** `net/ipv4/ip_forward` as `sysctl` names it. */
export const sysctlName = (path: string): string => path.replaceAll('/', '.');

/** @param path below `root`. undefined where there is none. */
export function readSysctl(path: string, root: string): string | undefined {
  try {
    return readFileSync(`${root}/${path}`, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Returns what could not be done. */
export function setSysctl(path: string, value: string, log: Log, root: string): string[] {
  try {
    writeFileSync(`${root}/${path}`, `${value}\n`);
    log.info('sysctl set', { name: sysctlName(path), value: Number(value) });
    return [];
  } catch (error) {
    return [`${sysctlName(path)} cannot be set to ${value}: ${(error as Error).message}`];
  }
}
