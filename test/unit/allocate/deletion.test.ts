import fc from 'fast-check';
import { judge, locate, parseDeletion, type NodeRecord } from '../../../src/allocate/deletion.ts';
import type { AgentAllocation, OverlayAgent } from '../../../src/api/types.ts';

const parse = (value: unknown) => parseDeletion(JSON.stringify(value));

test('addresses are converted to canonical form, each once', () => {
  expect(parse({ agents: ['172.17.0.3', 'FD00::0:3', '172.17.0.3', 'fd00::3'] })).toEqual({
    addresses: ['172.17.0.3', 'fd00::3'],
  });
});

test.each<[unknown, string]>([
  [['172.17.0.3'], 'the body is ["172.17.0.3"]; it must be an object'],
  ['172.17.0.3', 'the body is "172.17.0.3"; it must be an object'],
  [null, 'the body is null; it must be an object'],
  [{}, 'agents: nothing must be a list'],
  [{ agents: '172.17.0.3' }, 'agents: "172.17.0.3" must be a list'],
  [{ agents: [] }, 'agents has 0 addresses; it must have 1 to 1000'],
  [
    { agents: Array.from({ length: 1_001 }, () => '172.17.0.3') },
    'agents has 1001 addresses; it must have 1 to 1000',
  ],
  [{ agents: ['172.17.0.3', 3] }, 'agents[1]: 3 must be an IP address'],
  [{ agents: ['172.17.0.3/24'] }, 'agents[0]: "172.17.0.3/24" must be an IP address'],
  [{ agents: ['node3'] }, 'agents[0]: "node3" must be an IP address'],
  [{ agents: ['fe80::1%eth0'] }, 'agents[0]: "fe80::1%eth0" must be an IP address'],
  [{ agents: ['172.17.0.3'], force: true }, '"force" is not a field; there is "agents" alone'],
  [{ agents: ['x'.repeat(5_000)] }, 'must be an IP address'],
])('%j is refused', (value, words) => {
  const refused = parse(value);
  expect(refused).toEqual({ error: expect.stringContaining(words) });
  expect((refused as { error: string }).error.length).toBeLessThan(200);
});

test('any text is understood, or refused with a message', () => {
  for (const text of ['', '{', 'agents=172.17.0.3', '{"agents": ["172.17.0.3"]}x']) {
    expect(parseDeletion(text)).toEqual({ error: expect.stringMatching(/^the body is not JSON/) });
  }
  expect(parseDeletion('{"agents": ["1.1.1.1"], "__proto__": {}}')).toHaveProperty('error');
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const said = parseDeletion(text);
      expect('error' in said ? said.error : said.addresses).not.toHaveLength(0);
    }),
  );
});

const allocation = (node: string, addresses: string[]): AgentAllocation => ({
  metadata: { name: node },
  spec: {
    revision: 3,
    nodeUID: 'c0ffee',
    addresses,
    vtep: { ip: '44.128.0.3/20', mac: '70:b3:d5:80:00:03' },
    networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.2.0/24' }] }],
  },
});
const agent = (node: string, addresses: string[]): OverlayAgent => ({
  metadata: { name: node },
  spec: { addresses, uplinkMTU: 1_500 },
});

test('an address is that of the node that was accepted for it, else of the one whose agent claims it', () => {
  const allocations = [allocation('node3', ['172.17.0.3', 'FD00::0:3']), allocation('thief', [])];
  const agents = [agent('thief', ['172.17.0.3']), agent('late', ['172.17.0.9'])];
  const asked = ['172.17.0.3', 'fd00::3', '172.17.0.9', '172.17.0.4'];
  expect([...locate(asked, allocations, agents)]).toEqual([
    ['172.17.0.3', 'node3'],
    ['fd00::3', 'node3'],
    ['172.17.0.9', 'late'],
  ]);
});

/** What is said of 172.17.0.3, located at node3. */
const judged = (record?: Omit<NodeRecord, 'node'>) =>
  judge(
    ['172.17.0.3'],
    new Map(record === undefined ? [] : [['172.17.0.3', 'node3']]),
    new Map(record === undefined ? [] : [['node3', { node: 'node3', ...record }]]),
  );

test('a node that is gone counts as departed, with all its blocks', () => {
  expect(judged({ allocation: allocation('node3', ['172.17.0.3']) })).toEqual({
    departed: [
      {
        ip: '172.17.0.3',
        node: 'node3',
        vtep: { ip: '44.128.0.3/20', mac: '70:b3:d5:80:00:03' },
        networks: [{ name: 'dcos', subnets: ['9.0.2.0/24'] }],
      },
    ],
    unknown: [],
    alive: [],
  });
  expect(judged({ agent: agent('node3', ['172.17.0.3']) }).departed).toEqual([
    { ip: '172.17.0.3', node: 'node3', networks: [] },
  ]);
});

test('two addresses of one node are one departure', () => {
  const both = allocation('node3', ['172.17.0.3', 'fd00::3']);
  const located = new Map([
    ['172.17.0.3', 'node3'],
    ['fd00::3', 'node3'],
  ]);
  const records = new Map([['node3', { node: 'node3', allocation: both }]]);
  expect(judge(['fd00::3', '172.17.0.3'], located, records).departed.map(({ ip }) => ip)).toEqual([
    'fd00::3',
  ]);
});

test('an existing node counts as alive, even while it is being deleted', () => {
  const held = allocation('node3', ['172.17.0.3']);
  expect(judged({ allocation: held, object: { metadata: { name: 'node3' } } }).alive).toEqual([
    { ip: '172.17.0.3', reason: 'Node node3 exists: delete it first (kubectl delete node node3)' },
  ]);
  const deletionTimestamp = '2026-01-01T00:00:00Z';
  expect(
    judged({ allocation: held, object: { metadata: { name: 'node3', deletionTimestamp } } }).alive,
  ).toEqual([
    {
      ip: '172.17.0.3',
      reason: 'Node node3 is being deleted and still exists: something holds it by metadata.finalizers',
    },
  ]);
});

test('an address without a node is unknown', () => {
  const nobodys = [{ ip: '172.17.0.3', reason: 'no AgentAllocation and no OverlayAgent has this address' }];
  expect(judged().unknown).toEqual(nobodys);
  expect(judged({}).unknown).toEqual(nobodys);
  expect(judged({ allocation: allocation('node3', ['172.17.0.30']) }).unknown).toEqual(nobodys);
});
