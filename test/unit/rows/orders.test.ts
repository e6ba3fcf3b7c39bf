import type { OverlayAgent } from '../../../src/api/types.ts';
import { pageOf } from '../../../src/rows/answer.ts';
import { containerPage } from '../../../src/rows/containers.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import type { ContainerRow, Kind, Rows } from '../../../src/rows/row.ts';
import { usageBySpace } from '../../../src/rows/usage.ts';
import { condition, container, told, world } from './world.ts';

const ask = <K extends 'spaces' | 'findings'>(kind: K, query: string, of = world()) =>
  pageOf(kind, of, parseQuery(kind, query)) as { items: Rows[K][] };
const containers = (rows: ContainerRow[], query: string) =>
  containerPage(rows, parseQuery('containers', query));

test('Events are of a network or a node by the kind of their object, the last first', () => {
  expect(told('network=dcos').items.map(({ object, type, count }) => [object, type, count])).toEqual([
    ['overlaynetwork/dcos', 'Warning', 3],
  ]);
  expect(told('node=dcos').items).toMatchObject([
    { object: 'agentallocation/dcos', type: 'Normal', count: 1 },
  ]);
  expect(told().items.map(({ reason }) => reason)).toEqual(['Refused', 'Exhausted', '']);
});

test('containers come in the order that somebody asks for, from any place on, with how many each network has', () => {
  const rows = ['node10', 'node2', 'node1'].map((node, at) =>
    container({ node, id: node, network: at === 0 ? 'web' : 'dcos' }),
  );
  const nodes = (query: string) => containers(rows, query).items.map(({ node }) => node);
  expect(nodes('sort=node')).toEqual(['node1', 'node2', 'node10']);
  expect(nodes('sort=-node&offset=1&limit=1')).toEqual(['node2']);
  expect(nodes('sort=node&offset=3')).toEqual([]);
  const first = containers(rows, 'sort=-node&limit=2');
  expect(nodes(`sort=-node&limit=2&continue=${first.continue ?? ''}`)).toEqual(['node1']);
  expect(() => nodes(`sort=node&continue=${first.continue ?? ''}`)).toThrow('parameter continue=');
  expect(first.counts).toEqual([
    { network: 'dcos', containers: 2 },
    { network: 'web', containers: 1 },
  ]);
  expect(containers(rows, 'node=node10').counts).toEqual([{ network: 'web', containers: 1 }]);
});

test.each([
  ['containers', 'sort=pod', 'sort'],
  ['agents', 'sort=node', 'sort'],
  ['containers', 'offset=-1', 'offset'],
  ['containers', 'offset=10000001', 'offset'],
] as const)('of %s, %s is refused', (kind: Kind, query, parameter) => {
  expect(() => parseQuery(kind, query)).toThrow(`parameter ${parameter}=`);
});

test('what nodes have of a subnet is summed up by whose part it is', () => {
  const [dcos] = ask('spaces', 'network=dcos').items;
  expect(dcos?.usage).toEqual([{ containerizer: 'CNI', addresses: 250, used: 10 }]);
  const agent = (...parts: [cidr: string, used: number][]) =>
    ({
      status: {
        networks: [
          {
            name: 'dcos',
            state: 'OK',
            usage: parts.map(([cidr, used]) => ({
              cidr,
              containerizer: 'CNI',
              addresses: 10,
              used,
              free: 10 - used,
            })),
          },
        ],
      },
    }) as unknown as OverlayAgent;
  const spaces = ['9.0.0.0/16', '9.1.0.0/16', 'fd01::/64'].map((cidr) => ({ network: 'dcos', cidr }));
  const sums = usageBySpace(spaces, [
    agent(['9.0.1.0/25', 1], ['9.1.1.0/25', 2], ['fd01::/80', 3], ['10.0.0.0/25', 4]),
    agent(['9.0.2.0/25', 5]),
  ]);
  expect([...sums].map(([cidr, [all]]) => [cidr, all?.used, all?.addresses])).toEqual([
    ['9.0.0.0/16', 6, 20],
    ['9.1.0.0/16', 2, 10],
    ['fd01::/64', 3, 10],
  ]);
});

test('what will run out is a warning', () => {
  const of = world();
  of.networks[0]!.status!.conditions!.push(condition('Exhausting', 'True', 'Blocks', '80 % or more'));
  expect(ask('findings', 'network=dcos', of).items).toContainEqual(
    expect.objectContaining({ weight: 'Warning', type: 'Exhausting', message: '80 % or more' }),
  );
});
