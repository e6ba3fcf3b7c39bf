import { mostUpdates, waits } from '../allocate/allocations.ts';
import type { Write } from '../allocate/view.ts';

/** Writes that are sent before all is planned anew: a node that joins waits for these at most. */
const batchSize = mostUpdates;

/** Whether a node waits for it, or everything else does. */
export function isUrgent(write: Write): boolean {
  switch (write.kind) {
    case 'create-config':
    case 'write-index':
    case 'write-page':
    case 'create-allocation':
      return true;
    case 'update-allocation':
      return waits(write.over.spec);
    case 'delete-page':
    case 'delete-allocation':
    case 'confirm-absent':
    case 'delete-agent':
      return false;
  }
}

/**
 * The writes to send next. The urgent ones go alone: all of a batch is waited for before the next plan, and a node that
 * joins is three plans away from its blocks.
 */
export function nextBatch(writes: readonly Write[]): readonly Write[] {
  const urgent = writes.filter(isUrgent);
  return (urgent.length > 0 ? urgent : writes).slice(0, batchSize);
}
