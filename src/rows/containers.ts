import { sortable, type Entry } from './entry.ts';
import type { ContainerRow } from './row.ts';

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
    };
  });
}
