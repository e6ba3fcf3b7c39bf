import { familyOf, readable } from '../net/address.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';

/** A range that a cluster uses besides the overlays, and that no node registers: `10.96.0.0/12`, `the Services’ addresses`. */
export interface UsedRange {
  cidr: string;
  owner: string;
}

/** What speaks against ranges that the cluster uses already. */
export function usedWarnings(field: string, cidrs: readonly string[], used: readonly UsedRange[]): string[] {
  return cidrs.flatMap((cidr) => {
    const subnet = readable(() => parseCidr(cidr));
    if (subnet === undefined) return [];
    const hits = used.filter((range) =>
      readable(() => familyOf(range.cidr) === subnet.family && overlaps(subnet, parseCidr(range.cidr))),
    );
    const [first] = hits;
    if (first === undefined) return [];
    const more = hits.length > 1 ? ` (and ${hits.length - 1} more such ranges)` : '';
    return [
      `${field}: ${cidr} overlaps ${first.cidr}, ${first.owner}${more}: nodes and containers would no longer reach what is there`,
    ];
  });
}
