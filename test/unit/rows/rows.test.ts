import { pageOf } from '../../../src/rows/answer.ts';
import { containerPage } from '../../../src/rows/containers.ts';
import { paged } from '../../../src/rows/entry.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import { peerEntries, readNodePeers } from '../../../src/rows/peers.ts';
import { kernelEntries, readNodeKernel } from '../../../src/rows/kernel.ts';
import type { KernelRow, Kind, Rows } from '../../../src/rows/row.ts';
import { allFields, answerSchema, misfits } from '../../support/schema.ts';
import { container, since, told, world } from './world.ts';

type Stored = Exclude<Kind, 'containers' | 'kernel' | 'events' | 'peers'>;

const ask = <K extends Stored>(kind: K, query = '', of = world()) =>
  pageOf(kind, of, parseQuery(kind, query)) as { items: Rows[K][]; total: number; continue?: string };

const containers = (rows = [container()], query = '') => containerPage(rows, parseQuery('containers', query));

const differences: KernelRow[] = [
  {
    node: 'node1',
    is: 'Missing',
    kind: 'Route',
    object: '9.0.1.0/24 table 254 metric 0',
    network: 'dcos',
    message: 'x',
  },
  { node: 'node1', is: 'Wrong', kind: 'Link', object: 'vtep1024', message: 'it is down' },
];
const peers = [
  {
    ...{ peer: 'node2', is: 'Wrong', verdict: 'PortBlocked', evidence: 'x', remedy: 'open it' },
    ...{ at: since, since, underlayMs: 0.25, overlayMs: 2 },
  },
  { peer: 'node3', is: 'Unprobed', evidence: '', remedy: '', at: '', since: '' },
];
const reached = (query = '') =>
  paged(
    'peers',
    peerEntries(readNodePeers(JSON.stringify({ peers }), 'node1').rows),
    parseQuery('peers', query),
  );
const kernel = (query = '') => paged('kernel', kernelEntries(differences), parseQuery('kernel', query));

test.each([
  ['9.0.1.7', ['Route']],
  ['vtep', ['Link']],
  ['down', ['Link']],
])('differences are found by %s', (search, kinds) => {
  expect(kernel(`search=${search}`).items.map(({ kind }) => kind)).toEqual(kinds);
  expect(kernel('network=dcos').items).toHaveLength(1);
});

test.each([
  ['<html>', 'its answer is not JSON'],
  ['null', 'its answer has no list of differences'],
  ['{"differences":[{"is":"Odd"}]}', 'its difference 1 has no is that can be understood'],
  ['{"differences":[{"is":"Wrong","kind":"Cake"}]}', 'its difference 1 has no kind that can be understood'],
  [
    '{"differences":[{"is":"Wrong","kind":"Link","object":7}]}',
    'its difference 1 has no object that can be understood',
  ],
])('an agent that answers %s is not believed', (body, why) => {
  expect(() => readNodeKernel(body, 'node1')).toThrow(why);
});

test.each([
  ['{}', 'its answer has no list of peers'],
  ['{"peers":[{"peer":"node2"}]}', 'its peer 1 has no is that can be understood'],
  [
    JSON.stringify({ peers: [peers[1], { ...peers[0], verdict: 'Haunted' }] }),
    'its peer 2 has no verdict that can be understood',
  ],
  [
    JSON.stringify({ peers: [{ ...peers[0], overlayMs: -1 }] }),
    'its peer 1 has no overlayMs that can be understood',
  ],
])('what an agent says of its peers is checked: %s', (body, why) => {
  expect(() => readNodePeers(body, 'node1')).toThrow(why);
});

test('rows of an agent are of its own node only, and name what it leaves out', () => {
  const body = JSON.stringify({
    differences: [{ ...differences[1], node: 'node9' }],
    left: 3,
    problems: ['ip: x'],
  });
  expect(readNodeKernel(body, 'node1')).toEqual({
    rows: [differences[1]],
    problems: ['ip: x', '3 more differences were left out'],
  });
});

test('every answer is as docs/reference/openapi.json says, and every field of that occurs', () => {
  const seen = new Set<string>();
  const known = new Set<string>();
  const check = (kind: Kind, answer: unknown) => {
    const schema = answerSchema(`/api/v1/${kind}`);
    expect(misfits({ version: '0.1.0', ...(answer as object) }, schema, '', seen)).toEqual([]);
    allFields(schema, '', known);
  };
  for (const kind of ['networks', 'agents', 'blocks', 'spaces', 'findings'] as const) {
    check(kind, ask(kind));
    check(kind, ask(kind, 'limit=1'));
  }
  const rows = [container(), container({ runtime: 'Docker', name: 'web', id: 'f00d' })];
  const unanswered = [{ node: 'node2', reason: 'Docker: late', answer: 'Partial' }];
  check('containers', { ...containers(rows, 'limit=1'), unanswered });
  check('containers', { ...containers(rows), unanswered: [], pass: { endedAt: since, problem: '' } });
  check('events', told());
  check('events', told('limit=1'));
  check('kernel', { ...kernel(), unanswered: [] });
  check('kernel', { ...kernel('limit=1'), unanswered });
  check('peers', { ...reached(), unanswered: [] });
  check('peers', { ...reached('limit=1'), unanswered });
  const other = ['NetworksPage', 'AgentsPage'];
  expect([...known].filter((field) => !seen.has(field) && !other.includes(field)).sort()).toEqual([
    'Condition.observedGeneration',
  ]);
});

test('a schema that has less, or other types, is noticed', () => {
  const schema = answerSchema('/api/v1/networks');
  const answer = { version: '0.1.0', ...ask('networks') };
  const [first] = answer.items;
  expect(misfits({ ...answer, items: [{ ...first, fill: 'full', more: 1 }] }, schema)).toEqual([
    'Network.fill is full',
    'Network.more is not in the schema',
  ]);
  expect(misfits({ ...answer, items: [{ ...first, state: 'Odd' }], total: undefined }, schema)).toEqual([
    'Network.state is "Odd"',
    'NetworkPage.total is undefined',
  ]);
});

test('a network says in one word how it is, with the reason, and how full its fullest subnet is', () => {
  const { items } = ask('networks');
  expect(items.map(({ name, state, message, fill }) => [name, state, message, fill])).toEqual([
    ['dcos', 'Waiting', 'node2: no vxlan', 46],
    ['dcos6', 'Refused', 'overlaps dcos', 0],
  ]);
  expect(items[0]).toMatchObject({ isolation: 'Open', allow: [], hosts: 'Allow', apiServer: 'Allow' });
  const closed = { isolation: 'Isolated', allow: ['dcos'], hosts: 'Deny', apiServer: 'Deny' };
  expect(items[1]).toMatchObject({ ...closed, subnets: [{ state: 'Refused' }] });
});

test('each agent has one word for its state; a Node without an agent is in the list unless it should have none', () => {
  expect(ask('agents').items.map(({ node, state, message }) => `${node} ${state}: ${message}`)).toEqual([
    'lost Gone: the Node is gone, and the agent is still registered',
    'node1 Ready: ',
    'node2 Failed: dcos: no vxlan',
    'node3 Configuring: the agent shows revision 0 of 4',
    'node4 Missing: no agent has registered on this Node: does its pod run?',
  ]);
});

test('an agent whose condition asks for something is Degraded, and one that was refused says so', () => {
  const of = world();
  const one = of.agents.get('node1')!;
  one.status!.conditions!.push({
    type: 'Holding',
    status: 'True',
    reason: 'MassDeparture',
    message: '4 peers went at once',
    lastTransitionTime: '',
  });
  expect(ask('agents', 'node=node1', of).items[0]).toMatchObject({
    state: 'Degraded',
    message: 'Holding: 4 peers went at once',
  });
  of.allocations.get('node1')!.status = {
    conditions: [
      {
        type: 'Accepted',
        status: 'False',
        reason: 'Address',
        message: 'not its address',
        lastTransitionTime: '',
      },
    ],
  };
  expect(ask('agents', 'node=node1', of).items[0]).toMatchObject({
    state: 'Refused',
    message: 'not its address',
  });
});

test('blocks come in the order of their addresses, with bridges where the node shows them, and until when they rest', () => {
  const { items, total } = ask('blocks');
  expect(items.map(({ cidr, node, state }) => `${cidr} ${node} ${state}`)).toEqual([
    '44.128.0.1/20 node1 Held',
    '44.128.0.2/20 node2 Held',
    '44.128.0.3/20 node3 Held',
    '9.0.0.0/24 node1 Held',
    '9.0.1.0/24 node2 Held',
    '9.0.2.0/24 node3 Held',
    '9.0.9.0/24 node9 Reserved',
    '9.0.10.0/24 node9 Cooling',
    'fd01:b:0:0:3::/80 node2 Releasing',
  ]);
  expect(total).toBe(9);
  expect(items[3]?.bridges).toEqual({ cni: '9.0.0.0/25', docker: '9.0.0.128/25' });
  expect(items[7]?.freeAt).toBe('2026-01-01T00:10:00.000Z');
});

test('spaces count their blocks by state', () => {
  expect(ask('spaces').items).toMatchObject([
    { cidr: 'vtep', state: 'Active', held: 3 },
    { cidr: '9.0.0.0/16', state: 'Active', blocks: 256, held: 3, cooling: 1, reserved: 1, free: 251 },
    { cidr: 'fd01:b::/64', state: 'Retired', releasing: 1 },
  ]);
});

test('findings come the heaviest first, and what mends itself is light', () => {
  expect(ask('findings').items.map(({ weight, object, type }) => `${weight} ${object} ${type}`)).toEqual([
    'Error overlayagent/node2 DataPathReady',
    'Error overlayconfig/default Degraded',
    'Error overlaynetwork/dcos Ready',
    'Error overlaynetwork/dcos6 Accepted',
    'Error overlaynetwork/dcos6 Ready',
    'Warning node/node4 Registered',
    'Warning overlayagent/node2 SystemReady',
    'Warning overlayreservation/late Accepted',
  ]);
});

test.each<[Stored, string, string[]]>([
  ['networks', 'network=dcos', ['dcos']],
  ['networks', 'node=node1', ['dcos']],
  ['networks', 'node=node4', []],
  ['agents', 'network=dcos', ['node1', 'node2', 'node3']],
  ['agents', 'search=70:B3:D5:80:00:02', ['node2']],
  ['agents', 'search=172.17.0.3', ['node2']],
  ['agents', 'search=9.0.1.77', ['node2']],
  ['agents', 'search=missing', ['node4']],
  ['blocks', 'network=dcos&node=node1', ['9.0.0.0/24']],
  ['blocks', 'search=9.0.1.7', ['9.0.1.0/24']],
  ['blocks', 'search=9.0.0.0/23', ['9.0.0.0/24', '9.0.1.0/24']],
  ['blocks', 'search=fd01:b::3:0:0:1', ['fd01:b:0:0:3::/80']],
  ['blocks', 'search=cooling', ['9.0.10.0/24']],
  ['blocks', 'search=9.0.1', ['9.0.1.0/24', '9.0.10.0/24']],
  ['spaces', 'network=dcos6', ['fd01:b::/64']],
  ['spaces', 'node=node2', ['vtep', '9.0.0.0/16', 'fd01:b::/64']],
  ['findings', 'node=node4', ['node/node4', 'overlayreservation/late']],
  ['findings', 'network=dcos', ['overlaynetwork/dcos']],
  ['findings', 'search=VXLAN', ['overlayagent/node2', 'overlaynetwork/dcos']],
])('%s?%s', (kind, query, expected) => {
  const { items } = ask(kind, query) as { items: unknown[] };
  const shown = items.map((item) => {
    const { name, node, cidr, object } = item as Record<string, string>;
    return object ?? cidr ?? name ?? node;
  });
  expect(shown).toEqual(expected);
});

test('containers are found by namespace, MAC, pod and address', () => {
  const rows = [
    container(),
    container({ id: 'b', addresses: ['9.0.0.6', 'fd01:b::6'], pod: 'web-1', mac: '02:00:00:00:00:06' }),
    container({ id: 'c', addresses: ['9.0.0.51'], namespace: 'other', pod: 'db', mac: '02:00:00:00:00:51' }),
  ];
  const ids = (query: string) => containers(rows, query).items.map(({ id }) => id);
  expect(ids('')).toEqual(['cafe', 'b', 'c']);
  expect(ids('namespace=shop')).toEqual(['cafe', 'b']);
  expect(ids('search=9.0.0.5')).toEqual(['cafe']);
  expect(ids('search=shop/web-1')).toEqual(['b']);
  expect(ids('search=02:00:00:00:00:51')).toEqual(['c']);
  expect(ids('search=fd01:b:0::6')).toEqual(['b']);
});

test('page by page comes each row once, also when rows come and go meanwhile', () => {
  const of = world();
  const seen: string[] = [];
  let query = 'limit=3';
  for (;;) {
    const page = ask('blocks', query, of);
    seen.push(...page.items.map(({ cidr }) => cidr));
    if (page.continue === undefined) break;
    query = `limit=3&continue=${page.continue}`;
    // behind us, and under our feet
    of.ledger.pages.get('vtep-0')!.spec.page!.blocks.splice(0, 3);
  }
  expect(seen).toEqual(ask('blocks').items.map(({ cidr }) => cidr));
});

test('50,000 containers are searched and paged in a moment', () => {
  const many = Array.from({ length: 50_000 }, (_, at) =>
    container({
      id: `c${at}`,
      node: `node${at % 1_000}`,
      addresses: [`9.${at >> 16}.${(at >> 8) & 255}.${at & 255}`],
    }),
  );
  // a machine that is busy with other work takes no more of its own
  const before = process.cpuUsage();
  expect(containers(many, 'limit=100').total).toBe(50_000);
  expect(containers(many, 'search=9.0.195.79').items.map(({ id }) => id)).toEqual(['c49999']);
  const tookMs = process.cpuUsage(before).user / 1_000;
  console.log(`two questions of 50,000 containers: ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(10_000);
});
