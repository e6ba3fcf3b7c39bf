import type { Rows } from '../rows/row.ts';
import type { Column } from './table.ts';
import { age } from './text.ts';
import { withoutLength } from '../net/address.ts';

/** Kinds that a command lists. */
export type Listed = 'networks' | 'agents' | 'blocks' | 'containers';

const ageOf = <T>(name: string, since: (row: T) => string): Column<T> => ({
  name,
  of: (row, now) => age(since(row), now),
  // the youngest has the smallest age
  order: (row) => -Date.parse(since(row)),
});

export const columns: { [K in Listed]: readonly Column<Rows[K]>[] } = {
  networks: [
    { name: 'NAME', of: ({ name }) => name },
    { name: 'STATE', of: ({ state }) => state },
    {
      name: 'SUBNETS',
      of: ({ subnets }) =>
        subnets.map(({ cidr, prefix }) => `${cidr}/${prefix}`.replace(/\/(\d+)$/, ' /$1')).join(', '),
    },
    { name: 'READY', of: ({ agents }) => `${agents.ready}/${agents.allocated + agents.waiting}` },
    { name: 'FILL', of: ({ fill }) => `${fill}%`, order: ({ fill }) => fill },
    { name: 'ISOLATION', of: ({ isolation }) => isolation },
    ageOf('AGE', ({ created }) => created),
    { name: 'CONTAINERIZERS', wide: true, of: ({ containerizers }) => containerizers.join(',') },
    { name: 'ALLOW', wide: true, of: ({ allow }) => allow.join(',') },
    { name: 'MESSAGE', wide: true, of: ({ message }) => message },
  ],
  agents: [
    { name: 'NODE', of: ({ node }) => node },
    { name: 'STATE', of: ({ state }) => state },
    { name: 'ADDRESS', of: ({ addresses }) => addresses.join(',') },
    { name: 'VTEP', of: ({ vtep }) => withoutLength(vtep?.ip ?? vtep?.ip6 ?? '') },
    {
      name: 'NETWORKS',
      of: ({ networks }) => `${networks.filter(({ state }) => state === 'OK').length}/${networks.length}`,
    },
    ageOf('AGE', ({ created }) => created),
    { name: 'VTEP6', wide: true, of: ({ vtep }) => withoutLength(vtep?.ip6 ?? '') },
    { name: 'MAC', wide: true, of: ({ vtep }) => vtep?.mac ?? '' },
    { name: 'MESSAGE', wide: true, of: ({ message }) => message },
  ],
  blocks: [
    { name: 'NETWORK', of: ({ network }) => (network === '' ? 'vtep' : network) },
    { name: 'BLOCK', of: ({ cidr }) => cidr },
    { name: 'NODE', of: ({ node }) => node },
    { name: 'STATE', of: ({ state }) => state },
    ageOf('SINCE', ({ since }) => since),
    { name: 'FREE-AT', wide: true, of: ({ freeAt = '' }) => freeAt },
    { name: 'SUBNET', wide: true, of: ({ space }) => space },
    { name: 'CNI', wide: true, of: ({ bridges }) => bridges?.cni ?? '' },
    { name: 'DOCKER', wide: true, of: ({ bridges }) => bridges?.docker ?? '' },
  ],
  containers: [
    { name: 'NETWORK', of: ({ network }) => network },
    { name: 'CONTAINER', of: containerName },
    {
      name: 'ADDRESSES',
      of: ({ addresses }) => addresses.filter((one) => !one.startsWith('fe80:')).join(','),
    },
    { name: 'NODE', of: ({ node }) => node },
    { name: 'KERNEL', of: ({ kernel }) => kernel },
    ageOf('SINCE', ({ since }) => since),
    { name: 'MAC', wide: true, of: ({ mac }) => mac },
    { name: 'INTERFACE', wide: true, of: (row) => row.interface },
    { name: 'LINK', wide: true, of: ({ hostLink }) => hostLink },
    { name: 'RUNTIME', wide: true, of: ({ runtime }) => runtime },
    { name: 'ID', wide: true, of: ({ id }) => id },
  ],
};

/** `shop/web-0` of a pod, the name of a container of Docker, else its id. */
export function containerName({ namespace = '', pod, name, id }: Rows['containers']): string {
  return pod === undefined ? (name ?? id) : `${namespace}/${pod}`;
}

/** For `-o name`. */
export const nameOf: { [K in Listed]: (row: Rows[K]) => string } = {
  networks: ({ name }) => `network/${name}`,
  agents: ({ node }) => `agent/${node}`,
  blocks: ({ cidr }) => `block/${cidr}`,
  containers: (row) => `container/${containerName(row)}`,
};
