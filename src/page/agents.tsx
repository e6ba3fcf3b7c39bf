import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { harmless } from '../api/text.ts';
import { withoutLength } from '../net/address.ts';
import type { PeerRow } from '../rows/probe.ts';
import type { AgentRow, Unanswered } from '../rows/row.ts';
import { Heading } from './heading.tsx';
import { Age, Name, Notice, shapeOf, State, To, toneOf } from './marks.tsx';
import { Past } from './past.tsx';
import { href, replaceRoute } from './route.ts';
import type { Found } from './rowset.ts';
import { Filters } from './searchfield.tsx';
import { Silent } from './section.tsx';
import { shownAgents, useAgents, type ShownAgent } from './silent.ts';
import { Table, type Column } from './table.tsx';
import { stateText, text } from './texts.ts';
import { useRows } from './userows.ts';

/** With more nodes than this, the grid shows a mark without a name for each. */
const mostNamed = 60;
/** Sorts node2 before node10. */
const natural = new Intl.Collator(undefined, { numeric: true });

export function Agents({ search = '' }: { search?: string | undefined }) {
  const { containers, silent } = useAgents();
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
      <Silent unanswered={containers.unanswered} />
      <AgentRows wish={search === '' ? {} : { search }} silent={silent} />
    </>
  );
}

/** Nodes as a grid and as a list. */
export function AgentRows({
  wish,
  silent,
}: {
  wish: { search?: string; network?: string };
  silent: readonly Unanswered[];
}) {
  // the operator does not know of this state
  const isOfSilent = ['silent', stateText('Silent')].includes(wish.search?.toLowerCase() ?? '');
  const { found } = useRows('agents', isOfSilent ? { ...wish, search: undefined } : wish);
  const rows = useMemo(
    () =>
      shownAgents(found.items, silent)
        .filter(({ state }) => !isOfSilent || state === 'Silent')
        .toSorted((a, b) => natural.compare(a.node, b.node)),
    [found.items, silent, isOfSilent, text.value],
  );
  return (
    <AgentTable
      found={found}
      rows={rows}
      none={wish.search === undefined ? text.value.noAgents : text.value.noMatch(harmless(wish.search))}
      label={text.value.list}
      columns={columns()}
    >
      <Grid rows={rows} />
    </AgentTable>
  );
}

/** The peers of a node: the other nodes that have a VTEP. */
export function PeerRows({ node }: { node: string }) {
  const { found } = useRows('agents', {});
  const { silent } = useAgents();
  // agents probe each minute, and the operator does not notice it
  const { found: reached } = useRows('peers', { node }, { everyMs: 30_000 });
  const probed = new Map(reached.items.filter(({ is }) => is !== 'Unprobed').map((one) => [one.peer, one]));
  const rows = useMemo(
    () =>
      shownAgents(found.items, silent)
        .filter((row) => row.node !== node && row.vtep !== undefined)
        .toSorted((a, b) => natural.compare(a.node, b.node)),
    [found.items, silent, node, text.value],
  );
  return (
    <AgentTable
      found={found}
      rows={rows}
      none={text.value.noPeers}
      label={text.value.peers}
      columns={peerColumns(probed)}
    />
  );
}

/** A table of the rows, below their numbers by state. */
function AgentTable({
  found,
  rows,
  none,
  children,
  ...table
}: {
  found: Found<AgentRow>;
  rows: readonly ShownAgent[];
  /** The text in place of no rows. */
  none: string;
  label: string;
  columns: Column<ShownAgent>[];
  children?: ComponentChildren;
}) {
  if (!found.here || rows.length === 0)
    return <Notice here={found.here} problem={found.problem} empty={none} />;
  return (
    <>
      <Notice here problem={found.problem} />
      <Summary rows={rows} />
      {children}
      <Table {...table} rows={rows} sortedBy="state" keyOf={({ node }) => node} />
    </>
  );
}

/** The worst first. */
const probeOrder: (PeerRow['is'] | undefined)[] = ['Wrong', 'Unknown', undefined, 'OK'];
const probeTones = { OK: 'good', Wrong: 'bad', Unknown: 'odd', Unprobed: 'off' } as const;

/** @param probed by peer; empty where agents do not probe, or the token may not see it: then there are no columns of that */
const probeColumns = (probed: ReadonlyMap<string, PeerRow>): Column<ShownAgent>[] =>
  probed.size === 0
    ? []
    : [
        {
          id: 'probe',
          label: text.value.probe,
          width: 'minmax(9rem, 2fr)',
          by: ({ node }) => probeOrder.indexOf(probed.get(node)?.is),
          cell: ({ node }) => <Probed row={probed.get(node)} />,
        },
        {
          id: 'rtt',
          label: text.value.roundTrip,
          width: '7rem',
          by: ({ node }) => probed.get(node)?.overlayMs ?? Infinity,
          cell: ({ node }) => {
            const ms = probed.get(node)?.overlayMs;
            return ms === undefined ? null : <>{text.value.milliseconds(ms)}</>;
          },
        },
      ];

function Probed({ row }: { row: PeerRow | undefined }) {
  if (row === undefined) return null;
  const { is, verdict, evidence, remedy } = row;
  const words = harmless([evidence, remedy].filter((one) => one !== '').join('; '));
  return (
    <span title={words}>
      <State state={verdict ?? is} tone={probeTones[is]} /> {words}
    </span>
  );
}

const peerColumns = (probed: ReadonlyMap<string, PeerRow>): Column<ShownAgent>[] => [
  ...columns().filter(({ id }) => id === 'node' || id === 'state' || id === 'address' || id === 'vtep'),
  {
    id: 'mac',
    label: text.value.mac,
    width: '10rem',
    by: ({ vtep }) => vtep?.mac ?? '',
    cell: ({ vtep }) => <code>{vtep?.mac ?? ''}</code>,
  },
  ...probeColumns(probed),
];

const order: ShownAgent['state'][] = [
  'Failed',
  'Refused',
  'Missing',
  'Silent',
  'Degraded',
  'Gone',
  'Waiting',
  'Configuring',
  'Ready',
];

function Summary({ rows }: { rows: readonly ShownAgent[] }) {
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

function Grid({ rows }: { rows: readonly ShownAgent[] }) {
  const named = rows.length <= mostNamed;
  return (
    <Past label={text.value.grid}>
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
    </Past>
  );
}

const columns = (): Column<ShownAgent>[] => [
  {
    id: 'node',
    label: text.value.node,
    width: 'minmax(9rem, 1fr)',
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
    width: 'minmax(10rem, 5fr)',
    cell: ({ message }) => <span title={harmless(message)}>{harmless(message)}</span>,
  },
  {
    id: 'address',
    label: text.value.addresses,
    width: 'minmax(9rem, 1fr)',
    by: ({ addresses }) => addresses[0] ?? '',
    cell: ({ addresses }) => <code title={addresses.join(' ')}>{addresses.join(' ')}</code>,
  },
  {
    id: 'vtep',
    label: text.value.vtep,
    width: 'minmax(11rem, 1fr)',
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
