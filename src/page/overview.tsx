import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { harmless } from '../api/text.ts';
import type { ContainerRow, FindingRow, NetworkRow, SpaceRow, Unanswered } from '../rows/row.ts';
import { Heading } from './heading.tsx';
import { AddressBars, Age, Bar, Name, Notice, shapes, State, To } from './marks.tsx';
import type { Route } from './route.ts';
import type { Found } from './rowset.ts';
import { Section, WideTable } from './section.tsx';
import { shownAgents, useAgents } from './silent.ts';
import { stateText, text } from './texts.ts';
import { useRows } from './userows.ts';

/**
 * Number of findings that are shown at first: more would hide the networks. One of each kind is shown, so that a fault of
 * many nodes hides no other.
 */
const firstFindings = 5;
/** `kubectl overlay status` lists further findings. */
const mostFindings = 500;

/** The first view: whether everything works, the findings, and the networks. */
export function Overview() {
  const { containers, silent } = useAgents();
  return (
    <>
      <Heading title={text.value.overview} />
      <Health silent={silent} />
      <Networks containers={containers} />
    </>
  );
}

/** An agent that does not answer is a finding of the page: the operator hears of it only when it asks agents. */
const silentAgent = ({ node, reason }: Unanswered): FindingRow => ({
  ...{ weight: 'Warning', object: `overlayagent/${node}`, type: 'Agent', reason: 'NoAnswer', since: '' },
  message: text.value.noAnswer(reason, node),
  node,
});

function Health({ silent }: { silent: readonly Unanswered[] }) {
  const { found: findings } = useRows('findings', {});
  const { found: agents } = useRows('agents', {});
  const { found: networks } = useRows('networks', {});
  const problem = findings.problem || agents.problem || networks.problem;
  if (!findings.here || !agents.here || !networks.here) return <Notice here={false} problem={problem} />;
  const errors = findings.items.filter(({ weight }) => weight === 'Error');
  const others = findings.items.filter(({ weight }) => weight !== 'Error');
  const rows = [...errors, ...silent.map(silentAgent), ...others];
  const serious = errors.length;
  const warnings = rows.filter(({ weight }) => weight === 'Warning').length;
  const isReady = ({ state }: { state: string }) => state === 'Ready';
  const ready = shownAgents(agents.items, silent).filter(isReady);
  const empty = agents.total === 0 ? 'off' : 'good';
  const tone = serious > 0 ? 'bad' : warnings > 0 ? 'odd' : empty;
  return (
    <>
      <Notice here problem={problem} />
      {/* what was not read is not zero */}
      {problem !== '' ? null : (
        <p class={`health ${tone}`}>
          <strong>
            <span aria-hidden="true">{shapes[tone]}</span>{' '}
            {{ good: text.value.healthy, off: text.value.nothingYet }[tone as string] ??
              text.value.unhealthy(serious, warnings)}
          </strong>{' '}
          {text.value.agentsReady(ready.length, agents.total)} ·{' '}
          {text.value.networksReady(networks.items.filter(isReady).length, networks.total)}
        </p>
      )}
      {rows.length === 0 ? null : (
        <Section id="findings" title={text.value.findings}>
          <Findings rows={rows} />
        </Section>
      )}
    </>
  );
}

/** Errors come first, then warnings about networks and the whole cluster, then those about single nodes. */
const rank = ({ weight, node }: FindingRow): number =>
  weight === 'Error' ? 0 : weight !== 'Warning' ? 3 : node === undefined ? 1 : 2;

function Findings({ rows }: { rows: readonly FindingRow[] }) {
  const whole = useSignal(false);
  const kinds = Map.groupBy(rows, ({ type, reason }) => `${type} ${reason}`);
  const isShort = rows.length <= firstFindings;
  const short = isShort
    ? rows
    : [...kinds.values()]
        .flatMap(([first]) => first ?? [])
        .toSorted((a, b) => rank(a) - rank(b))
        .slice(0, firstFindings);
  const shown = whole.value ? rows.slice(0, mostFindings) : short;
  const alike = ({ type, reason }: FindingRow) =>
    isShort || whole.value ? 0 : (kinds.get(`${type} ${reason}`)?.length ?? 1) - 1;
  return (
    <>
      <ul class="findings">
        {shown.map((row) => (
          <li key={`${row.object}/${row.type}`}>
            <State state={row.weight} />
            <span>
              {placeOf(row)} <span class="quiet">{`${row.type} ${row.reason}`}</span>
              <br />
              {harmless(row.message)}
              {alike(row) === 0 ? null : <span class="quiet"> {text.value.alike(alike(row))}</span>}
            </span>
            <Age since={row.since} />
          </li>
        ))}
      </ul>
      {isShort ? null : (
        <p>
          <button
            type="button"
            aria-expanded={whole.value}
            onClick={() => {
              whole.value = !whole.value;
            }}
          >
            {whole.value ? text.value.fewer : text.value.all(rows.length)}
          </button>
          {whole.value && rows.length > mostFindings
            ? text.value.moreFindings(rows.length - mostFindings)
            : null}
        </p>
      )}
    </>
  );
}

function placeOf({ object, network, node }: FindingRow) {
  const to: Route | undefined =
    network !== undefined
      ? { view: 'network', name: network }
      : node !== undefined
        ? { view: 'agent', name: node }
        : undefined;
  return to === undefined ? (
    <Name of={object} />
  ) : (
    <To to={to}>
      <Name of={object} />
    </To>
  );
}

function Networks({ containers }: { containers: Found<ContainerRow> }) {
  const { found } = useRows('networks', {});
  const { found: spaces } = useRows('spaces', {});
  const of = (name: string) => spaces.items.filter(({ network }) => network === name);
  const countOf = (name: string) =>
    containers.here && containers.problem === ''
      ? (containers.counts.find(({ network }) => network === name)?.containers ?? 0)
      : undefined;
  return (
    <Section id="networks" title={text.value.networks}>
      <Notice
        here={found.here}
        problem={found.problem}
        empty={found.here && found.total === 0 ? text.value.noNetworks : undefined}
      />
      {found.items.length === 0 ? null : (
        <WideTable
          labelledBy="networks"
          head={[
            text.value.name,
            text.value.state,
            text.value.nodes,
            text.value.containers,
            text.value.subnets,
            text.value.fill,
            text.value.addressFill,
            text.value.isolation,
            text.value.age,
          ]}
        >
          {found.items.map((row) => (
            <NetworkLine key={row.name} row={row} spaces={of(row.name)} containers={countOf(row.name)} />
          ))}
        </WideTable>
      )}
    </Section>
  );
}

interface NetworkLineProps {
  row: NetworkRow;
  spaces: readonly SpaceRow[];
  /** Undefined if it is unknown, or if the token may not see it. */
  containers: number | undefined;
}

function NetworkLine({ row, spaces, containers }: NetworkLineProps) {
  const { name, state, subnets, agents, isolation, created } = row;
  /** One line for each subnet, from what is known of it. */
  const lines = (of: (space: SpaceRow) => ComponentChildren) =>
    subnets.map(({ cidr }) => {
      const space = spaces.find((one) => one.cidr === cidr);
      return (
        <div key={cidr} class="line">
          {space === undefined ? '–' : of(space)}
        </div>
      );
    });
  return (
    <tr>
      <th scope="row">
        <To to={{ view: 'network', name }}>
          <Name of={name} />
        </To>
      </th>
      <td>
        <State state={state} />
      </td>
      <td>{text.value.of(agents.ready, agents.allocated + agents.waiting)}</td>
      <td>
        {containers === undefined ? (
          '–'
        ) : (
          <To to={{ view: 'containers', network: name }}>{text.value.number(containers)}</To>
        )}
      </td>
      <td>
        {subnets.map(({ cidr, prefix, state: use }) => (
          <div key={cidr} class="line">
            <code>{`${cidr} /${prefix}`}</code> {use === 'Active' ? null : <State state={use} />}
          </div>
        ))}
      </td>
      <td>
        {lines((space) => (
          <Bar space={space} />
        ))}
      </td>
      <td>
        {lines((space) => (
          <AddressBars usage={space.usage} />
        ))}
      </td>
      <td>{stateText(isolation)}</td>
      <td>
        <Age since={created} />
      </td>
    </tr>
  );
}
