import type { LedgerIndex, LedgerSpace, SubnetCapacity } from '../api/types.ts';
import { capacity, listedPages } from './space.ts';
import type { Ledger } from './view.ts';

/** The number of a subnet's blocks in each state. */
export function spaceCapacity(ledger: Ledger, space: LedgerSpace, index: LedgerIndex): SubnetCapacity {
  const blocks = capacity(space, index.config);
  const counts = { Held: 0, Releasing: 0, Cooling: 0, Quarantined: 0, Reserved: 0 };
  for (const { page } of listedPages(ledger, space)) for (const { state } of page.blocks) counts[state]++;
  const used = counts.Held + counts.Releasing + counts.Cooling + counts.Quarantined + counts.Reserved;
  return {
    cidr: space.cidr,
    blocks,
    held: counts.Held,
    releasing: counts.Releasing,
    cooling: counts.Cooling,
    quarantined: counts.Quarantined,
    ...(counts.Reserved === 0 ? {} : { reserved: counts.Reserved }),
    free: blocks - used,
  };
}
