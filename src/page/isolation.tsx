import { harmless } from '../api/text.ts';
import { refusing } from '../rows/isolation.ts';
import type { NetworkRow } from '../rows/row.ts';
import { Name, State, To } from './marks.tsx';
import { Section } from './section.tsx';
import { text } from './texts.ts';

/** With more than twelve networks, a picture is less clear than the list. */
const mostDrawn = 14;

/** What a network's containers may exchange packets with, or not. */
interface Other {
  id: string;
  name: string;
  /** Absent for what is no network. */
  network?: string;
  /** Names of the networks that refuse. */
  refusing: string[];
}

function othersOf(network: NetworkRow, all: readonly NetworkRow[]): Other[] {
  const by = (is: 'Allow' | 'Deny') => (is === 'Deny' ? [network.name] : []);
  return [
    ...all
      .filter(({ name, state }) => name !== network.name && state !== 'Disabled')
      .map((other): Other => {
        const { name } = other;
        return { id: `network ${name}`, name, network: name, refusing: refusing(network, other) };
      }),
    { id: 'hosts', name: text.value.otherNodes, refusing: by(network.hosts) },
    // the API server is on a node, too
    ...(network.hosts === 'Allow'
      ? []
      : [{ id: 'apiServer', name: text.value.apiServer, refusing: by(network.apiServer) }]),
  ];
}

/** Shows which networks, and whether processes of other nodes, may exchange packets with a network. */
export function Isolation({ network, all }: { network: NetworkRow; all: readonly NetworkRow[] }) {
  const others = othersOf(network, all);
  const { isolation, allow, hosts, apiServer } = network;
  return (
    <Section id="isolation" title={text.value.isolation}>
      <p>
        {isolation === 'Open' ? text.value.open : text.value.isolated(allow.map(harmless))}
        {hosts === 'Allow' ? '' : text.value.closed(apiServer === 'Allow')}
      </p>
      <div class="isolation">
        {others.length <= mostDrawn ? <Graph name={network.name} others={others} /> : null}
        <table>
          <caption class="heard">{text.value.talksWith}</caption>
          <thead>
            <tr>
              <th scope="col">{text.value.otherSide}</th>
              <th scope="col">{text.value.talksWith}</th>
            </tr>
          </thead>
          <tbody>
            {others.map((other) => (
              <OtherLine key={other.id} other={other} />
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">{text.value.neverRefused}</p>
    </Section>
  );
}

const OtherLine = ({ other: { id, name, network, refusing } }: { other: Other }) => (
  <tr>
    <th scope="row">
      {network === undefined ? (
        name
      ) : (
        <To to={{ view: 'network', name: network }}>
          <Name of={network} />
        </To>
      )}
    </th>
    <td>
      {refusing.length === 0 ? (
        <>
          <State state={text.value.allowed} tone="good" />{' '}
          {id === 'apiServer' ? <span class="quiet">{text.value.fromContainers}</span> : null}
        </>
      ) : (
        <>
          <State state={text.value.denied} tone="off" />{' '}
          <span class="quiet">{text.value.refusedBy(refusing.map(harmless))}</span>
        </>
      )}
    </td>
  </tr>
);

/** Sizes in the picture's own units. */
const width = 420;
const pill = { width: 112, height: 26 };
const row = 36;

/** A graph: the network in the middle, what it talks with on the right, and the rest on the left. */
function Graph({ name, others }: { name: string; others: readonly Other[] }) {
  const [allowed, denied] = [true, false].map((passes) =>
    others.filter(({ refusing }) => (refusing.length === 0) === passes),
  ) as [Other[], Other[]];
  const height = Math.max(allowed.length, denied.length, 2) * row;
  const middle = height / 2;
  const column = (column: Other[], x: number) =>
    column.map((other, at) => ({ other, x, y: middle + (at - (column.length - 1) / 2) * row }));
  const placed = [...column(denied, pill.width / 2 + 1), ...column(allowed, width - pill.width / 2 - 1)];
  const names = (of: Other[]) => of.map((one) => harmless(one.name));
  return (
    <svg
      class="graph"
      role="img"
      aria-label={text.value.graph(harmless(name), names(allowed), names(denied))}
      viewBox={`0 0 ${width} ${height}`}
    >
      {placed.map(({ other, x, y }) => (
        <line
          key={other.id}
          class={other.refusing.length === 0 ? 'passes' : 'denied'}
          x1={width / 2}
          y1={middle}
          x2={x}
          y2={y}
        />
      ))}
      <Pill name={name} x={width / 2} y={middle} kind="own" />
      {placed.map(({ other, x, y }) => (
        <Pill
          key={other.id}
          name={other.name}
          x={x}
          y={y}
          kind={other.network === undefined ? 'hosts' : ''}
        />
      ))}
    </svg>
  );
}

const Pill = ({ name, x, y, kind }: { name: string; x: number; y: number; kind: 'own' | 'hosts' | '' }) => (
  <g class={kind}>
    <rect
      x={x - pill.width / 2}
      y={y - pill.height / 2}
      width={pill.width}
      height={pill.height}
      rx={kind === 'hosts' ? 2 : pill.height / 2}
    />
    <text x={x} y={y + 4.5} text-anchor="middle">
      {harmless(name)}
    </text>
  </g>
);
