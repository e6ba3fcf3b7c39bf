import { inconsistencies, type CheckFacts } from '../../../src/cli/consistency.ts';
import type { Pod } from '../../../src/kube/resources.ts';
import { agentRow, blockRow, clusterFacts, containerRow, difference, vtepRow } from './facts.ts';

const web: Pod = {
  metadata: { name: 'web-0', namespace: 'shop' },
  spec: { nodeName: 'node1' },
  status: { phase: 'Running', podIPs: [{ ip: '9.0.1.2' }] },
};
const docker = containerRow({ runtime: 'Docker', id: 'f00d', name: 'db', addresses: ['9.0.1.130'] });
delete docker.pod;

const facts = (changes: Partial<CheckFacts> = {}): CheckFacts => ({
  ...clusterFacts(),
  containers: { value: { rows: [containerRow(), docker], unanswered: [] } },
  pods: { value: [web] },
  ...changes,
});
const containers = (...rows: ReturnType<typeof containerRow>[]): Partial<CheckFacts> => ({
  containers: { value: { rows, unanswered: [] } },
});

test('a cluster in which all agrees', () => {
  expect(inconsistencies(facts())).toEqual({ found: [], unknown: [] });
});

const all = clusterFacts();

test('a block that is reserved, and that another node has, is said to be reserved', () => {
  const reserved = [
    blockRow(1, { node: '', state: 'Reserved' }),
    blockRow(2, { node: 'later', state: 'Reserved' }),
  ];
  const { found } = inconsistencies(facts({ blocks: [...all.blocks, ...reserved] }));
  expect(found.map(({ message }) => message)).toEqual([
    '9.0.1.0/24 (dcos, node1) overlaps 9.0.1.0/24 (dcos, reserved)',
    '9.0.2.0/24 (dcos, node2) overlaps 9.0.2.0/24 (dcos, reserved for later)',
  ]);
});

test.each<[what: string, changes: Partial<CheckFacts>, found: string[]]>([
  [
    'two nodes hold one block',
    {
      blocks: [...all.blocks, blockRow(2, { cidr: '9.0.1.0/24' })],
      agents: [
        agentRow(1),
        agentRow(2, {
          networks: [{ name: 'dcos', state: 'OK', message: '', subnets: ['9.0.1.0/24', '9.0.2.0/24'] }],
        }),
      ],
    },
    ['Duplicate ledger 9.0.1.0/24'],
  ],
  [
    'blocks of two networks overlap',
    { blocks: [...all.blocks, blockRow(1, { network: 'other', cidr: '9.0.0.0/20', state: 'Releasing' })] },
    ['Duplicate ledger 9.0.0.0/20'],
  ],
  [
    'blocks are reserved',
    {
      blocks: [
        ...all.blocks,
        blockRow(9, { node: '', state: 'Reserved' }),
        vtepRow(9, { node: 'later', state: 'Reserved' }),
      ],
    },
    [],
  ],
  [
    'a block is reserved and held',
    { blocks: [...all.blocks, blockRow(2, { node: '', state: 'Reserved' })] },
    ['Duplicate ledger 9.0.2.0/24'],
  ],
  [
    'a block is quarantined',
    { blocks: [blockRow(1, { state: 'Quarantined' }), blockRow(2), vtepRow(1), vtepRow(2)] },
    ['Duplicate ledger 9.0.1.0/24'],
  ],
  [
    'two nodes have one VTEP',
    { blocks: [...all.blocks, vtepRow(2, { cidr: '44.128.0.1/20', state: 'Releasing' })] },
    ['Duplicate ledger 44.128.0.1/20'],
  ],
  [
    'a node is gone and holds',
    { agents: [agentRow(1), agentRow(2, { state: 'Gone' })] },
    ['Leak ledger and allocations 9.0.2.0/24', 'Leak ledger and allocations 44.128.0.2/20'],
  ],
  [
    'a node is not known at all',
    { agents: [agentRow(1)] },
    ['Leak ledger and allocations 9.0.2.0/24', 'Leak ledger and allocations 44.128.0.2/20'],
  ],
  [
    'an allocation lacks a block',
    { agents: [agentRow(1, { networks: [] }), agentRow(2)] },
    ['Mismatch ledger and allocations 9.0.1.0/24'],
  ],
  [
    'an allocation has another VTEP',
    { agents: [agentRow(1, { vtep: { ip: '44.128.0.9/20', mac: '70:b3:d5:80:00:01' } }), agentRow(2)] },
    ['Mismatch ledger and allocations 44.128.0.1/20'],
  ],
  [
    'an allocation has a strange block',
    { blocks: [blockRow(2), vtepRow(1), vtepRow(2)] },
    [
      'Stranger ledger and allocations 9.0.1.0/24',
      'Stranger records and allocations 9.0.1.2',
      'Stranger Docker and allocations 9.0.1.130',
    ],
  ],
  [
    'a Node has no agent',
    { agents: [...all.agents, agentRow(3, { state: 'Missing', networks: [] })] },
    ['Mismatch registrations and allocations node3'],
  ],
  [
    'a registration is refused',
    { agents: [agentRow(1, { state: 'Refused' }), agentRow(2)] },
    ['Mismatch registrations and allocations node1'],
  ],
  [
    'two agents registered one address',
    { agents: [agentRow(1), agentRow(2, { addresses: ['172.17.0.1'] })] },
    ['Duplicate registrations and allocations 172.17.0.1'],
  ],
  [
    'two agents have one hardware address',
    { agents: [agentRow(1), agentRow(2, { vtep: { ip: '44.128.0.2/20', mac: '70:b3:d5:80:00:01' } })] },
    ['Duplicate registrations and allocations 70:b3:d5:80:00:01'],
  ],
  [
    'a kernel differs',
    {
      kernels: {
        value: {
          rows: [
            difference({ kind: 'Route', object: '9.0.2.0/24' }),
            difference({ kind: 'Lease', is: 'Foreign', object: '9.0.1.9' }),
            difference({
              kind: 'Record',
              is: 'Wrong',
              object: '9.0.1.2',
              message: 'a and b have the same address',
            }),
            difference({ kind: 'Port', is: 'Foreign', object: 'c-0123456789ff' }),
          ],
          unanswered: [],
        },
      },
    },
    [
      'Mismatch allocations and kernel Route 9.0.2.0/24',
      'Leak leases and records Lease 9.0.1.9',
      'Duplicate records and allocations Record 9.0.1.2',
      'Stranger records and kernel Port c-0123456789ff',
    ],
  ],
  [
    'a container of Docker is outside its block',
    containers(containerRow(), { ...docker, addresses: ['9.0.1.7'] }),
    ['Stranger Docker and allocations 9.0.1.7'],
  ],
  [
    'two containers have one address',
    {
      ...containers(containerRow(), containerRow({ pod: 'web-1', id: 'beef' })),
      pods: { value: [web, { ...web, metadata: { name: 'web-1', namespace: 'shop' } }] },
    },
    ['Duplicate records and Docker dcos 9.0.1.2'],
  ],
  ['a record’s pod is gone', { pods: { value: [] } }, ['Leak records and pods 9.0.1.2']],
  [
    'a record’s pod has ended',
    { pods: { value: [{ ...web, status: { phase: 'Succeeded' } }] } },
    ['Leak records and pods 9.0.1.2'],
  ],
  [
    'a record’s pod is elsewhere',
    { pods: { value: [{ ...web, spec: { nodeName: 'node2' }, status: { phase: 'Pending' } }] } },
    ['Leak records and pods 9.0.1.2'],
  ],
  ['a pod has no record', containers(docker), ['Stranger records and pods 9.0.1.2']],
])('where %s it is named', (_, changes, found) => {
  const result = inconsistencies(facts(changes));
  expect(result.found.map(({ is, between, object }) => `${is} ${between} ${object}`)).toEqual(found);
  expect(result.found.every(({ next }) => next !== '')).toBe(true);
  expect(result.unknown).toEqual([]);
});

test('blocks at rest, pods outside of the overlays and pods on silent nodes are not reported', () => {
  const blocks = [...all.blocks, blockRow(3, { state: 'Cooling', cidr: '9.0.1.0/24' })];
  const outside: Pod = {
    ...web,
    metadata: { name: 'x', namespace: 'y' },
    status: { podIPs: [{ ip: '10.0.0.1' }, { ip: 'odd' }] },
  };
  expect(inconsistencies(facts({ blocks, pods: { value: [web, outside] } })).found).toEqual([]);
  const silent = { value: { rows: [docker], unanswered: [{ node: 'node1', reason: 'late' }] } };
  expect(inconsistencies(facts({ containers: silent }))).toEqual({
    found: [],
    unknown: ['containers of node1: late'],
  });
});

test('what could not be read is reported', () => {
  const why = { why: 'no right' };
  expect(inconsistencies(facts({ kernels: why, containers: why })).unknown).toEqual([
    'kernels: no right',
    'containers: no right',
  ]);
  expect(inconsistencies(facts({ pods: why })).unknown).toEqual(['pods: no right']);
});

test('the report separates what an agent’s restart repairs, foreign objects, and containers’ objects', () => {
  const rows = [
    difference({ kind: 'Lease', is: 'Foreign' }),
    difference({ is: 'Foreign', message: "a link (bridge) that is not overlaynet's has this name" }),
    difference({ kind: 'Port', is: 'Missing' }),
    difference({ kind: 'Record', is: 'Wrong' }),
    difference({ kind: 'Route' }),
  ];
  const { found } = inconsistencies(facts({ kernels: { value: { rows, unanswered: [] } } }));
  expect(found.map(({ mendable }) => mendable)).toEqual([true, undefined, undefined, undefined, true]);
});
