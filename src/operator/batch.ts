import { mostUpdates } from '../allocate/allocations.ts';
import { isUrgent } from '../allocate/urgent.ts';
import type { Write } from '../allocate/view.ts';

/** The most writes that are sent before everything is planned again. A joining node waits for at most these. */
const batchSize = mostUpdates;

/**
 * Chooses the writes to send next. Urgent ones go alone, because the next plan waits for the whole batch, and a
 * joining node needs three plans to get its blocks.
 */
export function nextBatch(writes: readonly Write[]): readonly Write[] {
  const urgent = writes.filter(isUrgent);
  return (urgent.length > 0 ? urgent : writes).slice(0, batchSize);
}
