import { readFile } from 'node:fs/promises';
import type { NoIPv6 } from '../dataplane/ipv4only.ts';

/** Reads a switch of the kernel, as `net/ipv6/conf/all/forwarding`; undefined where there is none. */
export type ReadSwitch = (path: string) => Promise<string | undefined>;

/** Of this process's network namespace. */
export const readSwitch: ReadSwitch = async (path) => {
  try {
    return await readFile(`/proc/sys/${path}`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/** Why links of ours have no IPv6; undefined where they have. A link follows `default` when it is made, `all` changes both. */
export async function ipv6Missing(read: ReadSwitch, tunnel: string): Promise<NoIPv6 | undefined> {
  const path = (link: string) => `net/ipv6/conf/${link}/disable_ipv6`;
  for (const link of [tunnel, 'default']) {
    const value = await read(path(link));
    if (value?.trim() === '1') return { why: `${path(link).replaceAll('/', '.')} is 1`, absent: false };
    if (value !== undefined) return undefined;
  }
  return { why: 'its kernel has none', absent: true };
}
