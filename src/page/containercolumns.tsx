import { harmless } from '../api/text.ts';
import { containerName, mainAddresses } from '../rows/containers.ts';
import type { ContainerSort } from '../rows/query.ts';
import type { ContainerRow } from '../rows/row.ts';
import { Age, Copied, Name, State, To } from './marks.tsx';
import { href } from './route.ts';
import type { Column } from './table.tsx';
import { text } from './texts.ts';

/** Marks a column as sortable. The operator sorts, by the column's id. */
const sortable = () => '';

type ContainerColumn = Column<ContainerRow> & { id: ContainerSort | 'path' };

/** The columns of the table of containers; network and node can be left out where they are the same in every row. */
export const containerColumns = (shown: { network: boolean; node: boolean }): ContainerColumn[] => [
  ...placeColumns().filter(({ id }) => (id !== 'network' || shown.network) && (id !== 'node' || shown.node)),
  ...linkColumns(),
];

/** What a container is, and where. */
function placeColumns(): ContainerColumn[] {
  return [
    {
      id: 'address',
      label: text.value.address,
      width: 'minmax(13.5rem, 1.2fr)',
      by: sortable,
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
      by: sortable,
      cell: (row) => (
        <span title={harmless(containerName(row))}>
          <Name of={containerName(row)} />
        </span>
      ),
    },
    {
      id: 'network',
      label: text.value.network,
      width: 'minmax(6rem, 0.8fr)',
      by: sortable,
      cell: ({ network }) => (
        <To to={{ view: 'network', name: network }}>
          <Name of={network} />
        </To>
      ),
    },
    {
      id: 'node',
      label: text.value.node,
      width: 'minmax(6.5rem, 1fr)',
      by: sortable,
      cell: ({ node }) => (
        <To to={{ view: 'agent', name: node }}>
          <Name of={node} />
        </To>
      ),
    },
  ];
}

/** What its link is, and how the kernel shows it. */
function linkColumns(): ContainerColumn[] {
  return [
    {
      id: 'runtime',
      label: text.value.runtime,
      width: '6rem',
      by: sortable,
      cell: ({ runtime }) => runtime,
    },
    {
      id: 'mac',
      label: text.value.mac,
      width: '9.8rem',
      by: sortable,
      cell: ({ mac }) => <code>{harmless(mac)}</code>,
    },
    {
      id: 'kernel',
      label: text.value.kernel,
      width: '7rem',
      by: sortable,
      cell: ({ kernel }) => (
        <State state={kernel} tone={kernel === 'Missing' ? 'bad' : kernel === 'Present' ? 'good' : 'off'} />
      ),
    },
    {
      id: 'since',
      label: text.value.joined,
      width: '5.5rem',
      by: sortable,
      cell: ({ since }) => <Age since={since} />,
    },
    {
      id: 'path',
      label: text.value.path,
      width: '6.5rem',
      cell: (row) => {
        const [from] = mainAddresses(row);
        return from === undefined ? null : (
          <a href={href({ view: 'path', from })} aria-label={text.value.pathOf(harmless(containerName(row)))}>
            {text.value.pathFrom} →
          </a>
        );
      },
    },
  ];
}
