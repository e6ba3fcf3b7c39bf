import { readFileSync } from 'node:fs';

/** Lists the links in this process's network namespace. Unlike sysfs, this file never shows another namespace. */
export const linkNames = (): Set<string> => parseLinkNames(readFileSync('/proc/self/net/dev', 'utf8'));

/** Packets of a link since it was made. */
export interface LinkCounters {
  bytes: number;
  packets: number;
  errors: number;
  drops: number;
}

/** What a link of this process's network namespace has received and sent; undefined if it is not there. */
export const linkCounters = (name: string): { receive: LinkCounters; transmit: LinkCounters } | undefined =>
  parseLinkCounters(readFileSync('/proc/self/net/dev', 'utf8'), name);

/** Parses a line of `/proc/net/dev`: eight counters of what was received, and eight of what was sent. */
export function parseLinkCounters(
  text: string,
  name: string,
): { receive: LinkCounters; transmit: LinkCounters } | undefined {
  const line = text.split('\n').find((one) => one.trimStart().startsWith(`${name}:`));
  if (line === undefined) return undefined;
  const numbers = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  const from = (first: number): LinkCounters => {
    const [bytes = 0, packets = 0, errors = 0, drops = 0] = numbers.slice(first, first + 4);
    return { bytes, packets, errors, drops };
  };
  return { receive: from(0), transmit: from(8) };
}

/** Parses `/proc/net/dev` (proc_net(5)): two lines of titles, then `NAME: counters`. */
export const parseLinkNames = (text: string): Set<string> =>
  new Set(
    text
      .split('\n')
      .slice(2)
      .map((line) => line.slice(0, Math.max(0, line.indexOf(':'))).trim())
      .filter((name) => name !== ''),
  );
