import { withoutIPv6, type NoIPv6 } from '../dataplane/ipv4only.ts';
import type { Desired } from '../dataplane/state.ts';
import { readSysctl, sysctlName } from './sysctl.ts';

/** Reads a kernel switch such as `net/ipv6/conf/all/forwarding`; undefined if it does not exist. */
export type ReadSwitch = (path: string) => Promise<string | undefined>;

/** Reads the switches of this process's network namespace. */
export const readSwitch: ReadSwitch = (path) => Promise.resolve(readSysctl(path, '/proc/sys'));

/** Why our links have no IPv6; undefined if they have it. A new link follows `default`; `all` changes both. */
async function ipv6Missing(read: ReadSwitch, tunnel: string): Promise<NoIPv6 | undefined> {
  const path = (link: string) => `net/ipv6/conf/${link}/disable_ipv6`;
  for (const link of [tunnel, 'default']) {
    const value = await read(path(link));
    if (value?.trim() === '1') return { why: `${sysctlName(path(link))} is 1`, absent: false };
    if (value !== undefined) return undefined;
  }
  return { why: 'its kernel has none', absent: true };
}

/** The state without its IPv6 part where our links have none. */
export async function possible(state: Desired, tunnel: string, read: ReadSwitch): Promise<Desired> {
  const missing = await ipv6Missing(read, tunnel);
  return missing === undefined ? state : withoutIPv6(state, missing);
}
