import type { AgentAllocationSpec } from '../api/types.ts';
import { keyOf, type View, type Write } from './view.ts';

/** A node without it waits; the others have what they need and get more, or less. */
export const waits = ({ vtep, networks }: AgentAllocationSpec): boolean =>
  vtep === undefined || networks === undefined;

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

/** Whether something urgent can be written, so that the rest need not be planned yet. */
export const hasUrgent = (writes: readonly Write[], { refusal }: View): boolean =>
  writes.some((write) => isUrgent(write) && refusal(keyOf(write)) === undefined);
