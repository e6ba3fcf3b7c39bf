import { harmless } from '../api/text.ts';
import type { ContainerRow } from '../rows/row.ts';
import { csv, download } from './csv.ts';
import { Heading } from './heading.tsx';
import { Age, Copied, Name, Notice, State, To } from './marks.tsx';
import { replaceRoute } from './route.ts';
import type { RowSet, Wish } from './rowset.ts';
import { Filters } from './searchfield.tsx';
import { Table, type Column } from './table.tsx';
import { text } from './texts.ts';
import { useRows } from './userows.ts';

const first = 200;

/** Every container of the cluster. */
export function Containers({ search = '', network, node }: Wish) {
  const { found: networks } = useRows('networks', {});
  return (
    <>
      <Heading title={text.value.containers} />
      <Filters
        label={text.value.containersSearch}
        value={search}
        onSearch={(next) => {
          replaceRoute({ view: 'containers', search: next, network: network ?? '', node: node ?? '' });
        }}
      >
        <label>
          <span class="heard">{text.value.network}</span>
          <select
            value={network ?? ''}
            onChange={(event) => {
              replaceRoute({
                view: 'containers',
                search,
                network: event.currentTarget.value,
                node: node ?? '',
              });
            }}
          >
            <option value="">{text.value.allNetworks}</option>
            {networks.items.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {node === undefined ? null : (
          <button
            type="button"
            onClick={() => {
              replaceRoute({ view: 'containers', search, network: network ?? '' });
            }}
          >
            {`${text.value.node}: ${harmless(node)} ✕`}
          </button>
        )}
      </Filters>
      <ContainerTable wish={{ search: search || undefined, network, node }} />
    </>
  );
}

/** Containers that the wish chooses. */
export function ContainerTable({ wish }: { wish: Wish }) {
  const { set, found } = useRows('containers', wish, { first, poll: true });
  const isRefused = /overlaynet-inspector/.test(found.problem);
  if (isRefused && found.items.length === 0) return <p class="problem">{text.value.noRight}</p>;
  return (
    <>
      <Notice here={found.here} problem={found.problem} />
      {found.unanswered.length === 0 ? null : (
        <details class="warning">
          <summary>
            <span aria-hidden="true">▲</span> {text.value.unanswered(found.unanswered.length)}
          </summary>
          <ul>
            {found.unanswered.slice(0, 100).map(({ node, reason }) => (
              <li key={node}>
                <To to={{ view: 'agent', name: node }}>
                  <Name of={node} />
                </To>
                : {harmless(reason)}
              </li>
            ))}
          </ul>
        </details>
      )}
      {found.here && found.total > 0 ? (
        <Table
          label={text.value.containers}
          columns={columns({ network: wish.network === undefined, node: wish.node === undefined })}
          rows={found.items}
          total={found.total}
          keyOf={keyOf}
          want={(count) => {
            set.want(count);
          }}
        />
      ) : null}
      {found.here ? <Foot set={set} /> : null}
    </>
  );
}

function Foot({ set }: { set: RowSet<'containers'> }) {
  const found = set.found.value;
  return (
    <p class="foot">
      <span role="status">{found.total === 0 ? text.value.noContainers : text.value.found(found.total)}</span>
      {found.total === 0 ? null : (
        <button
          type="button"
          onClick={() => {
            void set.all().then((rows) => {
              download('containers.csv', containersCSV(rows));
            });
          }}
        >
          {text.value.download}
        </button>
      )}
      {set.isLive ? null : (
        <span>
          {text.value.tooMany(found.items.length)}{' '}
          <button
            type="button"
            onClick={() => {
              set.reload();
            }}
          >
            {text.value.refresh}
          </button>
        </span>
      )}
    </p>
  );
}

const keyOf = ({ node, id, network, interface: link }: ContainerRow): string =>
  [node, id, network, link].join('\n');

/** A pod with its namespace, or Docker's name, or the runtime's id. */
export const nameOf = ({ namespace, pod, name, id }: ContainerRow): string =>
  pod !== undefined ? `${namespace ?? ''}/${pod}` : (name ?? id.slice(0, 12));

/** What somebody looks for, before addresses that every interface has. */
const mainAddresses = ({ addresses }: ContainerRow): string[] => {
  const own = addresses.filter((one) => !one.startsWith('fe80:'));
  return own.length > 0 ? own : addresses;
};

/** Sorts as the address does. */
const sortable = (address: string): string =>
  address.includes(':')
    ? `6${address}`
    : `4${address
        .split('.')
        .map((part) => part.padStart(3, '0'))
        .join('.')}`;

function columns(shown: { network: boolean; node: boolean }): Column<ContainerRow>[] {
  const all: (Column<ContainerRow> & { left?: boolean })[] = [
    {
      id: 'address',
      label: text.value.address,
      width: 'minmax(10rem, 1.2fr)',
      by: (row) => sortable(mainAddresses(row)[0] ?? ''),
      cell: (row) =>
        mainAddresses(row).map((one) => (
          <Copied key={one} value={one}>
            <code>{one}</code>
          </Copied>
        )),
    },
    {
      id: 'container',
      label: text.value.container,
      width: 'minmax(11rem, 2fr)',
      by: nameOf,
      cell: (row) => (
        <span title={harmless(nameOf(row))}>
          <Name of={nameOf(row)} />
        </span>
      ),
    },
    {
      id: 'network',
      label: text.value.network,
      width: 'minmax(6rem, 0.8fr)',
      left: !shown.network,
      by: ({ network }) => network,
      cell: ({ network }) => (
        <To to={{ view: 'network', name: network }}>
          <Name of={network} />
        </To>
      ),
    },
    {
      id: 'node',
      label: text.value.node,
      width: 'minmax(7rem, 1fr)',
      left: !shown.node,
      by: ({ node }) => node,
      cell: ({ node }) => (
        <To to={{ view: 'agent', name: node }}>
          <Name of={node} />
        </To>
      ),
    },
    {
      id: 'runtime',
      label: text.value.runtime,
      width: '6rem',
      by: ({ runtime }) => runtime,
      cell: ({ runtime }) => runtime,
    },
    {
      id: 'mac',
      label: text.value.mac,
      width: '9.8rem',
      by: ({ mac }) => mac,
      cell: ({ mac }) => <code>{harmless(mac)}</code>,
    },
    {
      id: 'kernel',
      label: text.value.kernel,
      width: '7rem',
      by: ({ kernel }) => kernel,
      cell: ({ kernel }) => (
        <State state={kernel} tone={kernel === 'Missing' ? 'bad' : kernel === 'Present' ? 'good' : 'off'} />
      ),
    },
    {
      id: 'since',
      label: text.value.joined,
      width: '5.5rem',
      by: ({ since }) => since,
      cell: ({ since }) => <Age since={since} />,
    },
  ];
  return all.filter(({ left = false }) => !left);
}

export const containersCSV = (rows: readonly ContainerRow[]): string =>
  csv(
    [
      'network',
      'node',
      'namespace',
      'name',
      'runtime',
      'addresses',
      'mac',
      'interface',
      'hostLink',
      'id',
      'since',
      'kernel',
    ],
    rows.map((row) => [
      row.network,
      row.node,
      row.namespace ?? '',
      row.pod ?? row.name ?? '',
      row.runtime,
      row.addresses.join(' '),
      row.mac,
      row.interface,
      row.hostLink,
      row.id,
      row.since,
      row.kernel,
    ]),
  );
