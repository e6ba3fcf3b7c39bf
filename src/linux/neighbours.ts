import { readSysctl, setSysctl, sysctlName } from './sysctl.ts';
import type { Log } from '../log.ts';

/**
 * The neighbour tables, one of each family for the whole machine. Whoever may send to a network has its node look for
 * addresses that nobody has, and each takes an entry for seconds. The kernel's own limit is 1,024; where it is reached,
 * no new neighbour is found, whichever link it is on. An entry takes half a kilobyte.
 */
const wanted = { gc_thresh1: 4_096, gc_thresh2: 8_192, gc_thresh3: 16_384 };

const families = ['ipv4', 'ipv6'] as const;
const path = (family: string, name: string): string => `net/${family}/neigh/default/${name}`;

/** Raises the limits; what is higher stays. Absent they are in a network namespace that is not the machine's. Returns what failed. */
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

/** What of them is lower than `install` sets it, in words. */
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
