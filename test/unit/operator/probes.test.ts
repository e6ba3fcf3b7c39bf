import { rowEndpoints } from '../../../src/operator/rows.ts';
import { probePath } from '../../../src/rows/probe.ts';
import type { Posted, Reply } from '../../../src/serve/http.ts';

const row = {
  ...{ node: 'node1', peer: 'node2', is: 'OK' as const, evidence: '', remedy: '' },
  ...{ at: '2026-01-01T00:00:00Z', since: '2026-01-01T00:00:00Z' },
};
const asked: unknown[] = [];
let said: { rows: (typeof row)[]; problems: string[] } | { problem: string } | undefined;
const peers = {
  reached: (node: string) => {
    asked.push(node);
    return Promise.resolve({ rows: [row], unanswered: [] });
  },
  probe: (node: string, names: readonly string[]) => {
    asked.push([node, names]);
    return Promise.resolve(said);
  },
};
const routes = rowEndpoints({} as never, peers as never, {} as never, () => undefined);
const get = routes['/api/v1/peers'] as (query: string) => Promise<Reply>;
const { post } = routes[probePath] as { post: (posted: Posted) => Promise<Reply> };
const bodyOf = ({ status, body }: Reply) => ({ status, ...(JSON.parse(String(body)) as object) });
const probe = async (body: unknown) => bodyOf(await post({ body: JSON.stringify(body) }));

beforeEach(() => {
  asked.length = 0;
  said = { rows: [row], problems: [] };
});

test('the peers of one node are listed; of all they would be a million rows, and nobody is asked', async () => {
  expect(bodyOf(await get('node=node1'))).toMatchObject({ status: 200, items: [row], unanswered: [] });
  expect(asked).toEqual(['node1']);
  expect(bodyOf(await get(''))).toMatchObject({ status: 400, parameter: 'node' });
  expect(asked).toEqual(['node1']);
});

test('a request to probe goes to that node’s agent, and what it says comes back', async () => {
  expect(await probe({ node: 'node1', peers: ['node2'] })).toMatchObject({
    status: 200,
    node: 'node1',
    peers: [row],
  });
  expect(asked).toEqual([['node1', ['node2']]]);
  said = { problem: '172.17.0.2: no answer' };
  expect(await probe({ node: 'node1', peers: ['node2'] })).toEqual({
    status: 502,
    error: 'the agent of node1 did not answer: 172.17.0.2: no answer',
  });
  said = undefined;
  expect(await probe({ node: 'node9', peers: ['node2'] })).toMatchObject({ status: 400 });
});

test.each([
  [{ node: 'node1' }, 'the body must be {"peers": ["NODE", …]} with 1 to 32 names of Nodes'],
  [
    { node: 'node1', peers: Array.from({ length: 33 }, (_, at) => `node${at}`) },
    'with 1 to 32 names of Nodes',
  ],
  [{ peers: ['node2'] }, 'the body must name the node whose agent probes: "node"'],
  [null, 'the body must be'],
])('a request that is wrong is refused with its rule, and no agent is asked: %j', async (body, rule) => {
  expect(await probe(body)).toEqual({ status: 400, error: expect.stringContaining(rule) as string });
  expect(asked).toEqual([]);
});
