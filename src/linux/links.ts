import { readFileSync } from 'node:fs';

/** Lists the links in this process's network namespace. Unlike sysfs, this file never shows another namespace. */
export const linkNames = (): Set<string> => parseLinkNames(readFileSync('/proc/self/net/dev', 'utf8'));

/** Parses `/proc/net/dev` (proc_net(5)): two lines of titles, then `NAME: counters`. */
export const parseLinkNames = (text: string): Set<string> =>
  new Set(
    text
      .split('\n')
      .slice(2)
      .map((line) => line.slice(0, Math.max(0, line.indexOf(':'))).trim())
      .filter((name) => name !== ''),
  );
