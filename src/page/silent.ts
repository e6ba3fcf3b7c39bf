import { useMemo } from 'preact/hooks';
import type { AgentRow, ContainerRow, Unanswered } from '../rows/row.ts';
import { toneOf } from './marks.tsx';
import type { Found, Wish } from './rowset.ts';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

/** A node as the page shows it. `Silent`: its agent does not answer, and what is shown of it is old. */
export type ShownAgent = Omit<AgentRow, 'state'> & { state: AgentRow['state'] | 'Silent' };

/** How often agents are asked whether they answer, which counts their containers too. */
const askMs = 15_000;

/**
 * Asks agents whether they answer: of one node, or all. No object says it: an agent that was killed wrote `Ready` last.
 * Nobody is silent for a token that may not see containers, because the operator asks agents for inspectors only.
 */
export function useAgents(wish: Pick<Wish, 'node'> = {}): {
  containers: Found<ContainerRow>;
  silent: readonly Unanswered[];
} {
  const { found: containers } = useRows('containers', wish, { first: 1, everyMs: askMs });
  const { unanswered } = containers;
  const silent = useMemo(() => unanswered.filter(({ answer }) => answer === undefined), [unanswered]);
  return { containers, silent };
}

/** Returns the rows as the page shows them: a worse state than silence stays. */
export function shownAgents(rows: readonly AgentRow[], silent: readonly Unanswered[]): readonly ShownAgent[] {
  if (silent.length === 0) return rows;
  const reasons = new Map(silent.map(({ node, reason }) => [node, reason]));
  return rows.map((row) => {
    const reason = reasons.get(row.node);
    if (reason === undefined || row.state === 'Gone' || toneOf(row.state) === 'bad') return row;
    return { ...row, state: 'Silent', message: text.value.noAnswer(reason, row.node) };
  });
}
