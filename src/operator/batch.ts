import { mostUpdates } from '../allocate/allocations.ts';
import { isUrgent } from '../allocate/urgent.ts';
import type { Write } from '../allocate/view.ts';

/** Writes that are sent before all is planned anew: a node that joins waits for these at most. */
const batchSize = mostUpdates;

/**
 * The writes to send next. The urgent ones go alone: all of a batch is waited for before the next plan, and a node that
 * joins is three plans away from its blocks.
 */
export function nextBatch(writes: readonly Write[]): readonly Write[] {
  const urgent = writes.filter(isUrgent);
  return (urgent.length > 0 ? urgent : writes).slice(0, batchSize);
}
