import { useSignal } from '@preact/signals';
import { useCallback } from 'preact/hooks';
import { harmless } from '../api/text.ts';
import { messageOf } from '../error.ts';
import type { ContainerRow } from '../rows/row.ts';
import { containerColumns } from './containercolumns.tsx';
import { csv, download } from './csv.ts';
import { Heading } from './heading.tsx';
import { Notice } from './marks.tsx';
import { replaceRoute } from './route.ts';
import type { Wish } from './rowset.ts';
import type { RowWindow } from './rowwindow.ts';
import { Filters } from './searchfield.tsx';
import { Silent } from './section.tsx';
import { LongTable, type Sorting } from './table.tsx';
import { text } from './texts.ts';
import { useRows, useWindow } from './userows.ts';

/** The view of all containers of the cluster. */
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

/** A table of the containers that match the wish. */
export function ContainerTable({ wish }: { wish: Wish }) {
  const sort = useSignal<Sorting | undefined>(undefined);
  const { id = '', down = false } = sort.value ?? {};
  const { set, seen } = useWindow({ ...wish, ...(id === '' ? {} : { sort: `${down ? '-' : ''}${id}` }) });
  const show = useCallback(
    (from: number, to: number) => {
      set.show(from, to);
    },
    [set],
  );
  const isRefused = /overlaynet-inspector/.test(seen.problem);
  if (isRefused && seen.rows.size === 0) return <p class="problem">{text.value.noRight}</p>;
  return (
    <>
      <Notice here={seen.here} problem={seen.problem} />
      <Silent unanswered={seen.unanswered} />
      {seen.here && seen.total > 0 ? (
        <LongTable
          label={text.value.containers}
          columns={containerColumns({ network: wish.network === undefined, node: wish.node === undefined })}
          rowAt={(at) => seen.rows.get(at)}
          total={seen.total}
          keyOf={keyOf}
          show={show}
          sort={sort.value}
          onSort={(next) => (sort.value = next)}
        />
      ) : null}
      {seen.here ? <Foot set={set} total={seen.total} search={wish.search ?? ''} /> : null}
    </>
  );
}

function Foot({ set, total, search }: { set: RowWindow; total: number; search: string }) {
  const problem = useSignal('');
  const save = () => {
    problem.value = '';
    set.all().then(
      (rows) => {
        download('containers.csv', containersCSV(rows));
      },
      (error: unknown) => (problem.value = messageOf(error)),
    );
  };
  return (
    <p class="foot">
      <span role="status">
        {total > 0
          ? text.value.found(total)
          : search === ''
            ? text.value.noContainers
            : text.value.noMatch(harmless(search))}
      </span>
      {total === 0 ? null : (
        <button type="button" onClick={save}>
          {text.value.download}
        </button>
      )}
      {problem.value === '' ? null : <span role="alert">{text.value.problem(harmless(problem.value))}</span>}
    </p>
  );
}

const keyOf = ({ node, id, network, interface: link }: ContainerRow): string =>
  [node, id, network, link].join('\n');

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
