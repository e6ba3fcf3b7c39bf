import type {
  AgentAllocation,
  Condition,
  LedgerBlock,
  LedgerSpace,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../../../src/api/types.ts';
import type { NodeFacts } from '../../../src/allocate/view.ts';
import { paged } from '../../../src/rows/entry.ts';
import { eventEntries, type StoredEvent } from '../../../src/rows/events.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import type { ContainerRow } from '../../../src/rows/row.ts';
import type { World } from '../../../src/rows/world.ts';

export const since = '2026-01-01T00:00:00Z';

export const condition = (
  type: string,
  status: Condition['status'],
  reason: string,
  message = '',
): Condition => ({ type, status, reason, message, lastTransitionTime: since });

const network = (
  name: string,
  subnets: [cidr: string, prefix: number][],
  conditions: Condition[],
  spec: Partial<OverlayNetwork['spec']> = {},
): OverlayNetwork => ({
  metadata: { name, creationTimestamp: since },
  spec: {
    subnets: subnets.map(([cidr, prefix]) => ({ cidr, prefix, state: 'Active' })),
    enabled: true,
    containerizers: ['CNI', 'Docker'],
    ...spec,
  },
  status: {
    capacity: subnets.map(([cidr]) => ({
      cidr,
      blocks: 256,
      held: 100,
      releasing: 0,
      cooling: 20,
      quarantined: 0,
      free: 136,
    })),
    agents: { allocated: 2, ready: 1, failed: 1, waiting: 0 },
    conditions,
  },
});

const facts = (name: string, labels: Record<string, string> = {}): NodeFacts => ({
  name,
  uid: `uid-${name}`,
  labels,
  creationTimestamp: since,
});

const allocation = (node: string, at: number, revision = 1): AgentAllocation => ({
  metadata: { name: node },
  spec: {
    revision,
    nodeUID: `uid-${node}`,
    addresses: [`172.17.0.${at + 2}`],
    vtep: { ip: `44.128.0.${at + 1}/20`, ip6: `fd01:a::${at + 1}/64`, mac: `70:b3:d5:80:00:0${at + 1}` },
    networks: [
      {
        name: 'dcos',
        subnets: [{ cidr: `9.0.${at}.0/24`, bridges: { cni: `9.0.${at}.0/25`, docker: `9.0.${at}.128/25` } }],
      },
    ],
  },
});

const ok = condition('Registered', 'True', 'Accepted');
const agent = (
  node: string,
  at: number,
  status: NonNullable<OverlayAgent['status']> = {
    revision: 1,
    networks: [
      {
        name: 'dcos',
        state: 'OK',
        usage: [{ cidr: `9.0.${at}.0/25`, containerizer: 'CNI', addresses: 125, used: 5, free: 120 }],
      },
    ],
    conditions: [ok],
  },
): OverlayAgent => ({
  metadata: { name: node, creationTimestamp: since },
  spec: { addresses: [`172.17.0.${at + 2}`], uplinkMTU: 1500 },
  status,
});

const held = (index: number, node: string, state: LedgerBlock['state'] = 'Held'): LedgerBlock => ({
  index,
  node,
  uid: `uid-${node}`,
  state,
  since,
});

const spaces: LedgerSpace[] = [
  { cidr: 'vtep', prefix: 0, network: '', networkUID: '', pages: [0], made: 1 },
  { cidr: '9.0.0.0/16', prefix: 24, network: 'dcos', networkUID: 'n', pages: [1], made: 1 },
  {
    cidr: 'fd01:b::/64',
    prefix: 80,
    network: 'dcos6',
    networkUID: 'm',
    pages: [2],
    made: 1,
    retiredAt: since,
  },
];

const config = (): OverlayConfig => ({
  metadata: { name: 'default' },
  spec: {
    vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
    vtepMACOUI: '70:B3:D5:00:00:00',
    vni: 1024,
    port: 64000,
    underlay: 'IPv4',
    defaultNetwork: 'dcos',
    reuseCooldown: '10m',
  },
  status: {
    conditions: [
      condition('Accepted', 'True', 'Accepted'),
      condition('Degraded', 'True', 'MassDeparture', '3 of 5 nodes are gone at once'),
      condition('Restored', 'False', 'NotRestored'),
    ],
  },
});

const networks = (): World['networks'] => [
  network(
    'dcos',
    [['9.0.0.0/16', 24]],
    [
      condition('Accepted', 'True', 'Accepted'),
      condition('Ready', 'False', 'AgentsFailed', 'node2: no vxlan'),
      condition('Reconciling', 'True', 'AgentsFailed'),
    ],
  ),
  network(
    'dcos6',
    [],
    [condition('Accepted', 'False', 'Overlap', 'overlaps dcos'), condition('Ready', 'False', 'NotAccepted')],
    {
      isolation: { mode: 'Isolated', allow: ['dcos'], hosts: 'Deny' },
      subnets: [{ cidr: 'fd01:b::/64', prefix: 80, state: 'Active' }],
    },
  ),
];

const agents = (): World['agents'] =>
  new Map([
    ['node1', agent('node1', 0)],
    [
      'node2',
      agent('node2', 1, {
        revision: 1,
        networks: [{ name: 'dcos', state: 'Failed', message: 'no vxlan' }],
        conditions: [
          ok,
          condition('DataPathReady', 'False', 'Failed', 'no vxlan'),
          condition('SystemReady', 'False', 'Firewall', 'a rule is in the way'),
        ],
      }),
    ],
    ['node3', agent('node3', 2, {})],
    ['lost', agent('lost', 5)],
  ]);

/** Three nodes with an agent, one without, and one that has gone: something of everything. */
export function world(): World {
  const { vtepSubnets, vtepMACOUI, vni, port, underlay } = config().spec;
  const page = (name: string, space: string, prefix: number, blocks: LedgerBlock[]) =>
    [
      name,
      { metadata: { name, resourceVersion: '7' }, spec: { page: { space, prefix, first: 0, blocks } } },
    ] as const;
  return {
    now: Date.parse(since),
    config: config(),
    networks: networks(),
    reservations: [
      {
        metadata: { name: 'late' },
        spec: { nodeName: 'node4' },
        status: { conditions: [condition('Accepted', 'False', 'Held', '9.0.1.0/24 is held by node node2')] },
      },
    ],
    nodes: new Map(
      [
        facts('node1'),
        facts('node2'),
        facts('node3'),
        facts('node4'),
        facts('win', { 'kubernetes.io/os': 'windows' }),
      ].map((one) => [one.name, one]),
    ),
    agents: agents(),
    allocations: new Map([
      ['node1', allocation('node1', 0)],
      ['node2', allocation('node2', 1)],
      ['node3', allocation('node3', 2, 4)],
    ]),
    ledger: {
      spaces: {
        metadata: { name: 'spaces', resourceVersion: '7' },
        spec: { index: { nextPage: 3, spaces, config: { vtepSubnets, vtepMACOUI, vni, port, underlay } } },
      },
      pages: new Map([
        page('vtep-0', 'vtep', 0, [held(0, 'node1'), held(1, 'node2'), held(2, 'node3')]),
        page('net-dcos-1', '9.0.0.0/16', 24, [
          held(0, 'node1'),
          held(1, 'node2'),
          held(2, 'node3'),
          held(9, 'node9', 'Reserved'),
          held(10, 'node9', 'Cooling'),
        ]),
        page('net-dcos6-2', 'fd01:b::/64', 80, [held(3, 'node2', 'Releasing')]),
      ]),
      readAt: 7,
      fresh: new Map(),
    },
  };
}

export const container = (of: Partial<ContainerRow> = {}): ContainerRow => ({
  network: 'dcos',
  node: 'node1',
  addresses: ['9.0.0.5', 'fe80::1'],
  mac: '02:00:00:00:00:05',
  interface: 'eth0',
  hostLink: 'c-0123456789ab',
  runtime: 'CNI',
  id: 'cafe',
  namespace: 'shop',
  pod: 'web-0',
  since,
  kernel: 'Present',
  ...of,
});

const events: StoredEvent[] = [
  {
    metadata: { name: 'a' },
    involvedObject: { kind: 'OverlayNetwork', name: 'dcos' },
    type: 'Warning',
    reason: 'Exhausted',
    message: 'x',
    count: 3,
    firstTimestamp: since,
    lastTimestamp: since,
  },
  {
    metadata: { name: 'b' },
    involvedObject: { kind: 'AgentAllocation', name: 'dcos' },
    reason: 'Refused',
    eventTime: '2026-01-02T00:00:00Z',
  },
  { metadata: { name: 'c' }, involvedObject: { kind: 'OverlayConfig', name: 'default' } },
  { metadata: { name: 'd' }, involvedObject: { kind: 'Pod', name: 'dcos' } },
];
/** The Events that a query chooses. */
export const told = (query = '') => paged('events', eventEntries(events), parseQuery('events', query));
