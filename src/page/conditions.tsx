import { harmless } from '../api/text.ts';
import type { Condition } from '../api/types.ts';
import { Age, State, type Tone } from './marks.tsx';
import { Section, WideTable } from './section.tsx';
import { text } from './texts.ts';

/** Conditions of which True is bad news. */
const badNews = new Set([
  'Reconciling',
  'Stalled',
  'Deleting',
  'Exhausting',
  'TightBlocks',
  'Holding',
  'Restored',
  'Degraded',
  'Quarantined',
]);
/** Neither is good or bad. */
const neutral = new Set(['Isolated']);

function toneIn({ type, status }: Condition): Tone {
  if (status === 'Unknown' || neutral.has(type)) return 'off';
  return (status === 'True') !== badNews.has(type) ? 'good' : 'bad';
}

/** What an object says of itself, in its own words. */
export function Conditions({ rows }: { rows: readonly Condition[] }) {
  if (rows.length === 0) return null;
  return (
    <Section id="conditions" title={text.value.conditions}>
      <WideTable
        labelledBy="conditions"
        head={[
          text.value.condition,
          text.value.state,
          text.value.conditionReason,
          text.value.message,
          text.value.since,
        ]}
      >
        {rows.map((row) => (
          <tr key={row.type}>
            <th scope="row">{harmless(row.type)}</th>
            <td>
              <State state={row.status} tone={toneIn(row)} />
            </td>
            <td>{harmless(row.reason)}</td>
            <td class="message">{harmless(row.message)}</td>
            <td>
              <Age since={row.lastTransitionTime} />
            </td>
          </tr>
        ))}
      </WideTable>
    </Section>
  );
}
