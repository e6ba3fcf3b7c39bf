import { contradictions } from '../../../src/import/contradictions.ts';
import type { Objects } from '../../../src/import/objects.ts';
import { toReservations } from '../../../src/import/reservations.ts';

const objects = {
  config: { spec: { vtepSubnets: ['44.128.0.0/20'], vtepMACOUI: '70:B3:D5:00:00:00' } },
  networks: [{ metadata: { name: 'dcos' }, spec: { subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] } }],
} as unknown as Objects;

/** The agent with that number, as the state has it, of the old cluster and bound to node1. */
const wanted = toReservations(
  [
    {
      address: '172.17.0.2',
      vtep: { ip: '44.128.0.2/20', mac: '70:b3:d5:80:00:02' },
      networks: [{ name: 'dcos', subnets: ['9.0.1.0/24'] }],
      bare: false,
    },
  ],
  new Map([['172.17.0.2', 'node1']]),
);

const vtep = { ip: '44.128.0.2/20', ip6: 'fd01:a::2/64', mac: '70:b3:d5:80:00:02' };
const allocation = (node: string, has: object, address = '172.17.0.9') => ({
  metadata: { name: node },
  spec: { addresses: [address], revision: 1, ...has },
});
const blocks = (...cidrs: string[]) => ({
  networks: [{ name: 'dcos', subnets: cidrs.map((cidr) => ({ cidr })) }],
});
const effective = (oui: string) => ({
  metadata: { name: 'default' },
  status: { effective: { vtepSubnets: ['44.128.0.0/20'], vtepMACOUI: oui } },
});

const judged = (present: object, of = wanted): string[] =>
  contradictions(of, objects, {
    config: undefined,
    allocations: [],
    reservations: [],
    ...present,
  });

const unbound = wanted.map(({ spec: { nodeName: _, ...spec }, ...one }) => ({ ...one, spec }));

test.each<[what: string, present: object, words: string[], of?: typeof wanted]>([
  ['nothing', {}, []],
  ['what the node itself has', { allocations: [allocation('node1', { vtep, ...blocks('9.0.1.0/24') })] }, []],
  [
    'what the node with the agent’s address has, where none is named',
    { allocations: [allocation('node1', { vtep, ...blocks('9.0.1.0/24') }, '172.17.0.2')] },
    [],
    unbound,
  ],
  [
    'another node with all of it',
    { allocations: [allocation('node2', { vtep, ...blocks('9.0.1.0/24') })] },
    [
      '44.128.0.2/20 of agent 172.17.0.2 is held by node node2',
      '70:b3:d5:80:00:02 of agent 172.17.0.2 is held by node node2',
      '9.0.1.0/24 of agent 172.17.0.2 is held by node node2',
    ],
  ],
  [
    'the node with another VTEP',
    { allocations: [allocation('node1', { vtep: { ...vtep, mac: '70:b3:d5:80:00:0a' } })] },
    [
      'node node1 has the VTEP 44.128.0.2/20 (70:b3:d5:80:00:0a) already, and agent 172.17.0.2 had 44.128.0.2/20 (70:b3:d5:80:00:02)',
    ],
  ],
  [
    'the node with another block',
    { allocations: [allocation('node1', blocks('10.1.0.0/24', '9.0.7.0/24'))] },
    ['node node1 has 9.0.7.0/24 of network dcos already, and agent 172.17.0.2 had 9.0.1.0/24'],
  ],
  ['the same reservation', { reservations: wanted }, []],
  [
    'a reservation of that name for something else',
    { reservations: [{ ...wanted[0], spec: { networks: [] } }] },
    [
      'reservation agent-172-17-0-2 is there and asks for something else: kubectl delete overlayreservation agent-172-17-0-2',
    ],
  ],
  [
    'a reservation of another name for the same',
    {
      reservations: [
        { metadata: { name: 'x' }, spec: { networks: [{ name: 'dcos', subnets: ['9.0.1.0/24'] }] } },
      ],
    },
    ['9.0.1.0/24 of agent 172.17.0.2 is reserved by x: kubectl delete overlayreservation x'],
  ],
  [
    'another OUI, before nodes have blocks',
    { config: effective('AA:B3:D5:00:00:00'), allocations: [allocation('node2', {})] },
    [],
  ],
  [
    'another OUI, and nodes have blocks',
    {
      config: effective('AA:B3:D5:00:00:00'),
      allocations: [allocation('node2', blocks('9.0.7.0/24'))],
    },
    [
      'nodes have VTEPs of 44.128.0.0/20 with OUI AA:B3:D5:00:00:00 and blocks already, and the state has 44.128.0.0/20 with OUI 70:B3:D5:00:00:00',
    ],
  ],
])('of a cluster that has %s', (_what, present, words, of = wanted) => {
  expect(judged(present, of)).toEqual(words);
});
