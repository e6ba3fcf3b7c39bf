import { harmless } from '../api/text.ts';
import { Age, Notice, State } from './marks.tsx';
import { Section, WideTable } from './section.tsx';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

const most = 50;

/** The recent Events of a network or a node, newest first. */
export function Events({ wish }: { wish: { network: string } | { node: string } }) {
  const { found } = useRows('events', wish, { first: most });
  return (
    <Section id="events" title={text.value.events}>
      <Notice
        here={found.here}
        problem={found.problem}
        empty={found.here && found.total === 0 ? text.value.noEvents : undefined}
      />
      {found.items.length === 0 ? null : (
        <WideTable
          labelledBy="events"
          head={[
            text.value.lastSeen,
            text.value.state,
            text.value.conditionReason,
            text.value.message,
            text.value.count,
          ]}
        >
          {found.items.map((row) => (
            <tr key={`${row.object} ${row.reason} ${row.first} ${row.message}`}>
              <td>
                <Age since={row.last} />
              </td>
              <td>
                <State state={row.type} />
              </td>
              <td>{harmless(row.reason)}</td>
              <td class="message">{harmless(row.message)}</td>
              <td>{text.value.number(row.count)}</td>
            </tr>
          ))}
        </WideTable>
      )}
    </Section>
  );
}
