import { useMemo } from 'preact/hooks';
import { harmless } from '../api/text.ts';
import { withoutLength } from '../net/address.ts';
import type { AgentRow } from '../rows/row.ts';
import { Heading } from './heading.tsx';
import { Age, Name, Notice, shapeOf, State, To, toneOf } from './marks.tsx';
import { href, replaceRoute } from './route.ts';
import { Filters } from './searchfield.tsx';
import { Table, type Column } from './table.tsx';
import { stateText, text } from './texts.ts';
import { useRows } from './userows.ts';

/** With more nodes than this, the grid has a mark for each, and no name. */
const mostNamed = 60;
/** node2 before node10. */
const natural = new Intl.Collator(undefined, { numeric: true });

export function Agents({ search = '' }: { search?: string | undefined }) {
  return (
    <>
      <Heading title={text.value.agents} />
      <Filters
        label={text.value.agentsSearch}
        value={search}
        onSearch={(next) => {
          replaceRoute({ view: 'agents', search: next });
        }}
      />
      <AgentRows wish={search === '' ? {} : { search }} />
    </>
  );
}

/** Nodes as a grid and as a list. */
export function AgentRows({ wish }: { wish: { search?: string; network?: string } }) {
  const { found } = useRows('agents', wish);
  const rows = useMemo(() => found.items.toSorted((a, b) => natural.compare(a.node, b.node)), [found.items]);
  if (!found.here || found.total === 0)
    return <Notice here={found.here} problem={found.problem} empty={text.value.noRows} />;
  return (
    <>
      <Notice here problem={found.problem} />
      <Summary rows={rows} />
      <Grid rows={rows} />
      <Table
        label={text.value.list}
        columns={columns()}
        rows={rows}
        sortedBy="state"
        total={found.total}
        keyOf={({ node }) => node}
      />
    </>
  );
}

const order: AgentRow['state'][] = [
  'Failed',
  'Refused',
  'Missing',
  'Degraded',
  'Gone',
  'Waiting',
  'Configuring',
  'Ready',
];

function Summary({ rows }: { rows: readonly AgentRow[] }) {
  const counts = order.map((state) => [state, rows.filter((row) => row.state === state).length] as const);
  return (
    <p class="summary" role="status">
      {counts
        .filter(([, count]) => count > 0)
        .map(([state, count]) => (
          <span key={state} class={`state ${toneOf(state)}`}>
            <span aria-hidden="true">{shapeOf(state)}</span> {text.value.summary(count, stateText(state))}
          </span>
        ))}
    </p>
  );
}

function Grid({ rows }: { rows: readonly AgentRow[] }) {
  const named = rows.length <= mostNamed;
  return (
    <ul class={named ? 'grid named' : 'grid'} aria-label={text.value.grid}>
      {rows.map(({ node, state, message }) => (
        <li key={node}>
          <a
            class={toneOf(state)}
            href={href({ view: 'agent', name: node })}
            aria-label={named ? undefined : `${harmless(node)} ${stateText(state)}`}
            title={`${harmless(node)}: ${stateText(state)}${message === '' ? '' : `\n${harmless(message)}`}`}
          >
            <span aria-hidden="true">{shapeOf(state)}</span>
            {named ? (
              <>
                <strong>
                  <Name of={node} />
                </strong>
                <span class="quiet">{stateText(state)}</span>
              </>
            ) : null}
          </a>
        </li>
      ))}
    </ul>
  );
}

const columns = (): Column<AgentRow>[] => [
  {
    id: 'node',
    label: text.value.node,
    width: 'minmax(9rem, 1.2fr)',
    by: ({ node }) => node,
    cell: ({ node }) => (
      <To to={{ view: 'agent', name: node }}>
        <Name of={node} />
      </To>
    ),
  },
  {
    id: 'state',
    label: text.value.state,
    width: '8rem',
    by: ({ state }) => order.indexOf(state),
    cell: ({ state }) => <State state={state} />,
  },
  {
    id: 'message',
    label: text.value.message,
    width: 'minmax(10rem, 2fr)',
    cell: ({ message }) => <span title={harmless(message)}>{harmless(message)}</span>,
  },
  {
    id: 'address',
    label: text.value.addresses,
    width: 'minmax(9rem, 1fr)',
    by: ({ addresses }) => addresses[0] ?? '',
    cell: ({ addresses }) => <code>{addresses.join(' ')}</code>,
  },
  {
    id: 'vtep',
    label: text.value.vtep,
    width: 'minmax(9rem, 1fr)',
    by: ({ vtep }) => vtep?.ip ?? vtep?.ip6 ?? '',
    cell: ({ vtep }) => <code>{withoutLength(vtep?.ip ?? vtep?.ip6 ?? '')}</code>,
  },
  {
    id: 'age',
    label: text.value.age,
    width: '5rem',
    by: ({ created }) => created,
    cell: ({ created }) => <Age since={created} />,
  },
];
