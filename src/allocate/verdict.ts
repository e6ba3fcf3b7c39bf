import type { Finding } from '../api/conditions.ts';
import type { Refusal } from './view.ts';

/** A condition for which True is good. A refusal makes it False, with the refusal's reason and message. */
export const verdict = (
  type: string,
  refusal: Refusal | undefined,
  reason: string,
  message: string,
): Finding =>
  refusal === undefined ? { type, status: 'True', reason, message } : { type, status: 'False', ...refusal };

/** A condition for which True is bad. A reason to raise it makes it True, with that reason and message. */
export const alarm = (
  type: string,
  raisedBy: Refusal | undefined,
  reason: string,
  message: string,
): Finding =>
  raisedBy === undefined
    ? { type, status: 'False', reason, message }
    : { type, status: 'True', reason: raisedBy.reason, message: raisedBy.message };

/** The waiting nodes in words: `2 nodes wait: node3, node4`. Of many it names the first few. */
export function waits(nodes: readonly string[]): string {
  const shown = nodes.slice(0, 5).join(', ') + (nodes.length > 5 ? ', …' : '');
  return nodes.length === 1 ? `1 node waits: ${shown}` : `${nodes.length} nodes wait: ${shown}`;
}
