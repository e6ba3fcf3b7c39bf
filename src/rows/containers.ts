import { chosen, natural, pageIn, sortable, type Entry } from './entry.ts';
import type { ContainerSort, Query } from './query.ts';
import type { ContainerCount, ContainerRow, Page } from './row.ts';

/** Returns a pod with its namespace, a Docker container's name, or the runtime's id. */
export const containerName = ({ namespace, pod, name, id }: ContainerRow): string =>
  pod !== undefined ? `${namespace ?? ''}/${pod}` : (name ?? id.slice(0, 12));

/** Returns the addresses that users look for, without link-local ones, which every interface has. */
export function mainAddresses({ addresses }: ContainerRow): string[] {
  const own = addresses.filter((one) => !one.startsWith('fe80:'));
  return own.length > 0 ? own : addresses;
}

const sorts: Record<ContainerSort, (row: ContainerRow) => string> = {
  address: (row) => sortable(mainAddresses(row)[0] ?? ''),
  container: (row) => natural(containerName(row)),
  network: ({ network }) => network,
  node: ({ node }) => natural(node),
  runtime: ({ runtime }) => runtime,
  mac: ({ mac }) => mac,
  kernel: ({ kernel }) => kernel,
  since: ({ since }) => since,
};

/** Returns one page of containers, and the number of matching ones in each network. */
export function containerPage(
  rows: readonly ContainerRow[],
  query: Query,
): Omit<Page<ContainerRow>, 'version'> & { counts: ContainerCount[] } {
  const found = chosen(containerEntries(rows), query);
  const counts = new Map<string, number>();
  for (const { row } of found) counts.set(row.network, (counts.get(row.network) ?? 0) + 1);
  return {
    ...pageIn('containers', found, query),
    counts: [...counts]
      .map(([network, containers]) => ({ network, containers }))
      .sort((a, b) => (a.network < b.network ? -1 : 1)),
  };
}

export function containerEntries(rows: readonly ContainerRow[]): Entry<ContainerRow>[] {
  return rows.map((row) => {
    const { network, node, namespace, pod, name, id, mac, hostLink, addresses } = row;
    const first = addresses.find((address) => !address.startsWith('fe80:')) ?? '';
    return {
      row,
      key: [network, sortable(first), node, id, row.interface].join('\n'),
      isOf: { network: (wanted) => wanted === network, node: (wanted) => wanted === node },
      ...(namespace === undefined ? {} : { namespace }),
      words: () => [
        network,
        node,
        id,
        mac,
        hostLink,
        pod === undefined ? '' : `${namespace ?? ''}/${pod}`,
        name ?? '',
      ],
      ranges: () => addresses,
      by: (column) => sorts[column as ContainerSort](row),
    };
  });
}
