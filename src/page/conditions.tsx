import { harmless } from '../api/text.ts';
import type { Condition } from '../api/types.ts';
import { Age, State, type Tone } from './marks.tsx';
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
    <section aria-labelledby="conditions">
      <h2 id="conditions">{text.value.conditions}</h2>
      <div class="wide" tabIndex={0} role="group" aria-labelledby="conditions">
        <table>
          <thead>
            <tr>
              <th scope="col">{text.value.condition}</th>
              <th scope="col">{text.value.state}</th>
              <th scope="col">{text.value.conditionReason}</th>
              <th scope="col">{text.value.message}</th>
              <th scope="col">{text.value.since}</th>
            </tr>
          </thead>
          <tbody>
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
          </tbody>
        </table>
      </div>
    </section>
  );
}
