import type { Finding } from '../api/conditions.ts';
import type { Refusal } from './view.ts';

/** A condition that is False with the refusal's reason and message, or else True with these. */
export const verdict = (
  type: string,
  refusal: Refusal | undefined,
  reason: string,
  message: string,
): Finding =>
  refusal === undefined ? { type, status: 'True', reason, message } : { type, status: 'False', ...refusal };

/** `2 nodes wait: node3, node4`; of many the first few. */
export function waits(nodes: readonly string[]): string {
  const shown = nodes.slice(0, 5).join(', ') + (nodes.length > 5 ? ', …' : '');
  return nodes.length === 1 ? `1 node waits: ${shown}` : `${nodes.length} nodes wait: ${shown}`;
}
