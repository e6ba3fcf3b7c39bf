import { readSysctl, setSysctl, sysctlName } from './sysctl.ts';
import type { Log } from '../log.ts';

/**
 * Wanted sizes of the neighbour tables, one for each family on the whole machine. A client that scans a network makes
 * its node look for unused addresses, and each occupies an entry for seconds. The kernel's default limit is 1,024; at
 * the limit no new neighbour is found on any link. An entry takes half a kilobyte.
 */
const wanted = { gc_thresh1: 4_096, gc_thresh2: 8_192, gc_thresh3: 16_384 };

const families = ['ipv4', 'ipv6'] as const;
const path = (family: string, name: string): string => `net/${family}/neigh/default/${name}`;

/**
 * Raises the limits and leaves higher ones. They are absent in any network namespace but the machine's. Returns what
 * failed.
 */
export function raiseNeighbourLimits(log: Log, root: string): string[] {
  return families.flatMap((family) =>
    // the highest first, so that the three are in order at any time
    Object.entries(wanted)
      .reverse()
      .flatMap(([name, limit]) => {
        const value = readSysctl(path(family, name), root);
        return value !== undefined && Number(value) < limit
          ? setSysctl(path(family, name), String(limit), log, root)
          : [];
      }),
  );
}

/** Describes each limit that is lower than `install` sets it. */
export function lowNeighbourLimits(root: string): string[] {
  return families.flatMap((family) => {
    const name = path(family, 'gc_thresh3');
    const value = readSysctl(name, root);
    if (value === undefined || Number(value) >= wanted.gc_thresh3) return [];
    return [
      `${sysctlName(name)} is ${value}: scans of unused addresses fill the neighbour table, and then nothing ` +
        `new is reached on any link; set it to ${wanted.gc_thresh3} or more`,
    ];
  });
}
