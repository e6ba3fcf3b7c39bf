import { followPath, pathRoute, sendRoute } from '../../../src/operator/path.ts';
import { parsePathQuery } from '../../../src/rows/path.ts';
import type { ContainerRow, Unanswered } from '../../../src/rows/row.ts';
import type { NodeSightings, PacketOrder } from '../../../src/rows/send.ts';
import { parseTraceQuery, type Hop } from '../../../src/rows/trace.ts';
import { record } from '../../../hack/page/recorded.ts';
import { allFields, answerSchema, misfits } from '../../support/schema.ts';

const { world, containers } = record({ nodes: 3, containers: 30 });

type Said = { hops: Hop[] } | { problem: string } | undefined;
const hop = (what: Hop['what'], is: Hop['is'] = 'OK', evidence = 'x'): Hop => ({ what, is, evidence });
const out = [hop('bridge'), hop('route'), hop('isolation'), hop('FDB', 'OK', 'm is behind 172.17.0.4 on v')];
const inward = [hop('member'), hop('route'), hop('isolation'), hop('container')];

/** What agents answer, and what they were asked. */
class Agents {
  readonly asked: { node: string; query: string }[] = [];
  readonly listed: (string | undefined)[] = [];
  unanswered: Unanswered[] = [];
  rows: ContainerRow[] = containers;
  said: (node: string, side: 'out' | 'in') => Said = (_node, side) => ({
    hops: side === 'out' ? out : inward,
  });

  containers({ node }: { node?: string | undefined } = {}) {
    this.listed.push(node);
    const rows = this.rows.filter((row) => node === undefined || row.node === node);
    return Promise.resolve({ rows, unanswered: this.unanswered });
  }

  readonly sent: [node: string, side: string][] = [];
  saw: NodeSightings | { problem: string } = { sent: 3, seen: [] };
  packet(node: string, { side }: PacketOrder) {
    this.sent.push([node, side]);
    return Promise.resolve(this.saw);
  }

  trace(node: string, query: string) {
    this.asked.push({ node, query });
    return Promise.resolve(this.said(node, parseTraceQuery(query).side));
  }
}

let agents: Agents;
beforeEach(() => {
  agents = new Agents();
});
const follow = (query: string) => followPath(parsePathQuery(query), world, agents);
const on = (node: string) => containers.find((row) => row.node === node && row.network === 'dcos')!;
const [first, second] = [on('node1'), on('node2')];
const [from = '', to = ''] = [first.addresses[0], second.addresses[0]];

test('a packet is traced on both nodes, and the second gets the source of its tunnel packets', async () => {
  const path = await follow(`from=${from}&to=${to}&port=80`);
  expect(path.verdict).toBe('OK');
  expect(path.legs.map(({ node, side, hops }) => [node, side, hops.map(({ what }) => what)])).toEqual([
    ['node1', 'out', ['container', 'bridge', 'route', 'isolation', 'FDB']],
    ['node2', 'in', ['member', 'route', 'isolation', 'container']],
  ]);
  expect(agents.asked.map(({ node }) => node)).toEqual(['node1', 'node2']);
  expect(parseTraceQuery(agents.asked[1]!.query)).toMatchObject({
    peer: world.agents.get('node1')!.spec.addresses[0],
    protocol: 'tcp',
    port: 80,
  });
  // all agents are asked where the node is not known by the address
  expect(agents.listed).toEqual(['node1', 'node2']);
});

test('pods are ends by their names', async () => {
  const pod = `${first.namespace!}/${first.pod!}`;
  const path = await follow(`from=${pod}&to=${to}`);
  expect(path.from).toMatchObject({ address: from, node: 'node1', network: 'dcos', name: pod });
  agents.unanswered = [{ node: 'node9', reason: 'late' }];
  await expect(follow(`from=shop/none&to=${to}`)).rejects.toThrow(
    'parameter from="shop/none": no node that answered has a record of this pod on an overlay, and node9 did not answer (late): kubectl overlay why node node9',
  );
});

test('the way ends at a wrong step, with what to do', async () => {
  agents.said = () => ({ hops: [hop('bridge'), hop('FDB', 'Wrong', 'vtep1024 has no forwarding entry')] });
  const path = await follow(`from=${from}&to=${to}`);
  expect(path.verdict).toBe('Wrong');
  expect(path.legs).toHaveLength(1);
  expect(path.legs[0]!.hops.at(-1)).toMatchObject({ is: 'Wrong', next: 'kubectl overlay why node node1' });
});

test('a container without a link sends nothing, and no agent is asked', async () => {
  agents.rows = [{ ...first, kernel: 'Missing' }, second];
  const path = await follow(`from=${from}&to=${to}`);
  expect(path.legs[0]!.hops).toMatchObject([{ what: 'container', is: 'Wrong' }]);
  expect(agents.asked).toEqual([]);
});

test('an agent that does not answer is a step that could not be read', async () => {
  agents.said = (node) => (node === 'node2' ? { problem: '172.17.0.4: no answer' } : { hops: out });
  const path = await follow(`from=${from}&to=${to}`);
  expect(path.verdict).toBe('Unknown');
  expect(path.legs[1]!.hops).toMatchObject([
    { what: 'agent', evidence: 'the agent of node2 did not answer: 172.17.0.4: no answer' },
  ]);
  agents.said = () => undefined;
  agents.rows = [];
  const silent = await follow(`from=${from}&to=${to}`);
  // it did not say that it knows no such container
  expect(silent.legs[0]!.hops.map(({ what }) => what)).toEqual(['agent']);
});

test('the way to an outside address is on one node; a way from outside is not traced', async () => {
  agents.said = () => ({ hops: [hop('bridge'), hop('route'), hop('isolation'), hop('NAT')] });
  const path = await follow(`from=${from}&to=8.8.8.8`);
  expect([path.legs.length, path.to]).toEqual([1, { address: '8.8.8.8' }]);
  await expect(follow(`from=8.8.8.8&to=${to}`)).rejects.toThrow('no node holds a block with this address');
  await expect(follow(`from=${from}&to=fd99::1`)).rejects.toThrow('has no address of a family');
});

test('the answer is as docs/reference/openapi.json says, and every field of that occurs', async () => {
  const schema = answerSchema('/api/v1/trace');
  const seen = new Set<string>();
  const good = await follow(`from=${from}&to=${to}&port=80`);
  agents.said = () => ({ hops: [hop('FDB', 'Wrong')] });
  const bad = await follow(`from=${from}&to=${to}`);
  const sent = await sendRoute(
    () => world,
    agents,
    () => undefined,
  )({ body: JSON.stringify({ from, to, port: 80 }) });
  const traced = JSON.parse(sent.body as string) as unknown;
  for (const path of [good, bad, traced]) expect(misfits(path, schema, '', seen)).toEqual([]);
  expect([...allFields(schema)].filter((field) => !seen.has(field))).toEqual([]);
});

test('the target’s node watches before the sender’s node sends, and the answer has both reports', async () => {
  const send = async (body: string) => {
    const route = sendRoute(
      () => world,
      agents,
      () => undefined,
    );
    const { status, body: said } = await route({ body });
    return { status, sent: (JSON.parse(said as string) as { sent?: { what: string; is: string }[] }).sent };
  };
  agents.saw = {
    sent: 1,
    seen: [
      { link: 'm-dcos', direction: 'in', what: 'request', detail: 'tcp', count: 1, micros: 10 },
      { link: 'm-dcos', direction: 'out', what: 'reply', detail: 'TCP SYN-ACK', count: 1, micros: 400 },
    ],
  };
  const { status, sent } = await send(JSON.stringify({ from, to, port: 80 }));
  expect(status).toBe(200);
  expect(agents.sent).toEqual([
    ['node2', 'in'],
    ['node1', 'out'],
  ]);
  expect(sent?.map(({ what, is }) => `${what} ${is}`)).toEqual([
    'sent OK',
    'seen OK',
    'seen OK',
    'answer OK',
  ]);
  expect((await send('{"from": {}}')).status).toBe(400);
  expect((await send('from=x')).status).toBe(400);
});

test('a query that is wrong is answered with 400, and before all is known with 503', async () => {
  const answer = (query: string, missing?: string) =>
    pathRoute(
      () => world,
      agents,
      () => missing,
    )(query);
  expect(await answer('from=x')).toMatchObject({ status: 400 });
  expect(await answer(`from=${from}&to=${to}`, 'not synced yet')).toMatchObject({ status: 503 });
  expect(await answer(`from=${from}&to=${to}`)).toMatchObject({ status: 200 });
});
