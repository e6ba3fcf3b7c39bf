import type { AgentAllocationSpec } from '../api/types.ts';
import { keyOf, type View, type Write } from './view.ts';

/** Whether a node waits for its first VTEP or network. The other nodes work, and get more or less. */
export const waits = ({ vtep, networks }: AgentAllocationSpec): boolean =>
  vtep === undefined || networks === undefined;

/** Whether a node, or all further work, waits for the write. */
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

/** Whether an urgent write is possible now, so that the other writes are planned later. */
export const hasUrgent = (writes: readonly Write[], { refusal }: View): boolean =>
  writes.some((write) => isUrgent(write) && refusal(keyOf(write)) === undefined);
