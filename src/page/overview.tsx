import { useSignal } from '@preact/signals';
import { harmless } from '../api/text.ts';
import type { FindingRow, NetworkRow, SpaceRow } from '../rows/row.ts';
import { Heading } from './heading.tsx';
import { Age, Bar, Name, Notice, State, To } from './marks.tsx';
import type { Route } from './route.ts';
import { Section, WideTable } from './section.tsx';
import { stateText, text } from './texts.ts';
import { useRows } from './userows.ts';

/** More of them hide the networks; the rest comes when somebody asks. */
const firstFindings = 5;
/** Of more, `kubectl overlay status` tells. */
const mostFindings = 500;

/** Whether all is well, what is not, and the networks. */
export function Overview() {
  return (
    <>
      <Heading title={text.value.overview} />
      <Health />
      <Networks />
    </>
  );
}

function Health() {
  const { found: findings } = useRows('findings', {});
  const { found: agents } = useRows('agents', {});
  const { found: networks } = useRows('networks', {});
  if (!findings.here || !agents.here || !networks.here) {
    const problem = findings.problem || agents.problem || networks.problem;
    return <Notice here={false} problem={problem} />;
  }
  const serious = findings.items.filter(({ weight }) => weight === 'Error').length;
  const warnings = findings.items.filter(({ weight }) => weight === 'Warning').length;
  const isReady = ({ state }: { state: string }) => state === 'Ready';
  const tone = serious > 0 ? 'bad' : warnings > 0 ? 'odd' : 'good';
  return (
    <>
      <Notice here problem={findings.problem || agents.problem || networks.problem} />
      <p class={`health ${tone}`}>
        <strong>
          <span aria-hidden="true">{{ good: '●', odd: '▲', bad: '✖' }[tone]}</span>{' '}
          {tone === 'good' ? text.value.healthy : text.value.unhealthy(serious, warnings)}
        </strong>{' '}
        {text.value.agentsReady(agents.items.filter(isReady).length, agents.total)} ·{' '}
        {text.value.networksReady(networks.items.filter(isReady).length, networks.total)}
      </p>
      {findings.total === 0 ? null : (
        <Section id="findings" title={text.value.findings}>
          <Findings rows={findings.items} />
        </Section>
      )}
    </>
  );
}

function Findings({ rows }: { rows: readonly FindingRow[] }) {
  const whole = useSignal(false);
  const shown = rows.slice(0, whole.value ? mostFindings : firstFindings);
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
            </span>
            <Age since={row.since} />
          </li>
        ))}
      </ul>
      {rows.length <= firstFindings ? null : (
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

function Networks() {
  const { found } = useRows('networks', {});
  const { found: spaces } = useRows('spaces', {});
  const of = (name: string) => spaces.items.filter(({ network }) => network === name);
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
            text.value.subnets,
            text.value.fill,
            text.value.isolation,
            text.value.age,
          ]}
        >
          {found.items.map((row) => (
            <NetworkLine key={row.name} row={row} spaces={of(row.name)} />
          ))}
        </WideTable>
      )}
    </Section>
  );
}

function NetworkLine({ row, spaces }: { row: NetworkRow; spaces: readonly SpaceRow[] }) {
  const { name, state, subnets, agents, isolation, created } = row;
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
        {subnets.map(({ cidr, prefix, state: use }) => (
          <div key={cidr} class="line">
            <code>{`${cidr} /${prefix}`}</code> {use === 'Active' ? null : <State state={use} />}
          </div>
        ))}
      </td>
      <td>
        {subnets.map(({ cidr }) => {
          const space = spaces.find((one) => one.cidr === cidr);
          return (
            <div key={cidr} class="line">
              {space === undefined ? '–' : <Bar space={space} />}
            </div>
          );
        })}
      </td>
      <td>{stateText(isolation)}</td>
      <td>
        <Age since={created} />
      </td>
    </tr>
  );
}
