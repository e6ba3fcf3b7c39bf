import { harmless } from '../api/text.ts';
import type { Condition } from '../api/types.ts';
import { Age, State, type Tone } from './marks.tsx';
import { Section, WideTable } from './section.tsx';
import { text } from './texts.ts';

/** Conditions that are bad when True. */
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
/** Conditions that are neither good nor bad. */
const neutral = new Set(['Isolated']);

function toneIn({ type, status }: Condition): Tone {
  if (status === 'Unknown' || neutral.has(type)) return 'off';
  return (status === 'True') !== badNews.has(type) ? 'good' : 'bad';
}

/** A table of an object's conditions, in their own words. */
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
