import { QueryError } from '../../../src/rows/query.ts';
import {
  parsePacketOrder,
  readSightings,
  sentSteps,
  type NodeSaid,
  type Sighting,
} from '../../../src/rows/send.ts';

const seen = (text: string, detail = 'tcp', micros = 1_000): Sighting => {
  const [link, direction, what] = text.split(' ') as [string, Sighting['direction'], Sighting['what']];
  return { link, direction, what, detail, count: 1, micros };
};

const near = (sent: number, ...all: Sighting[]): NodeSaid => ({ node: 'node1', said: { sent, seen: all } });
const far = (...all: Sighting[]): NodeSaid => ({ node: 'node2', said: { sent: 0, seen: all } });

const lines = (...args: Parameters<typeof sentSteps>): string[] =>
  sentSteps(...args).map(({ what, is, evidence, next }) =>
    [what, is, evidence, ...(next === undefined ? [] : [next])].join(' | '),
  );

const left = [seen('m-dcos in request'), seen('vtep1024 out request')];
const arrived = [seen('vtep1024 in request'), seen('m-dcos out request'), seen('c-000000000001 out request')];

test('a packet that was answered: the links of both nodes, and the answer with its time', () => {
  const back = seen('c-0000000000aa out reply', 'TCP SYN-ACK', 1_420);
  expect(lines(near(1, ...left, back), far(...arrived), 'tcp')).toEqual([
    'sent | OK | 1 packet on node node1',
    'seen | OK | node node1: in by m-dcos, out by vtep1024',
    'seen | OK | node node2: in by vtep1024, out by m-dcos, out by c-000000000001',
    'answer | OK | TCP SYN-ACK, after 0.42 ms',
  ]);
});

test('an answer that nothing listens there shows that the way is right', () => {
  for (const [what, detail] of [
    ['reply', 'TCP RST: nothing listens there'],
    ['refusal', 'ICMP 3/3 port unreachable, from 9.0.2.2'],
  ] as const) {
    const back = seen(`m-dcos out ${what}`, detail, 1_500);
    expect(sentSteps(near(1, ...left, back), far(...arrived), 'tcp').at(-1)).toEqual({
      what: 'answer',
      is: 'OK',
      evidence: `${detail}, after 0.50 ms`,
    });
  }
});

test('a refusal by a rule is wrong', () => {
  const back = seen('m-dcos out refusal', 'ICMP 3/13 administratively prohibited, from 9.0.1.1', 1_500);
  expect(sentSteps(near(1, left[0]!, back), undefined, 'tcp').at(-1)).toMatchObject({
    is: 'Wrong',
    evidence: 'ICMP 3/13 administratively prohibited, from 9.0.1.1, after 0.50 ms',
  });
});

test('a packet that does not arrive: where it was seen last, and whom to ask', () => {
  expect(lines(near(3, ...left), far(), 'tcp')).toEqual([
    'sent | OK | 3 packets on node node1',
    'seen | OK | node node1: in by m-dcos, out by vtep1024',
    'seen | Wrong | node node2 saw it on no link | kubectl overlay why node node2',
    'answer | Wrong | none to 3 packets; last seen on node node1, out by vtep1024 | kubectl overlay why node node1',
  ]);
  expect(lines(near(3, ...left), far(...arrived), 'icmp').at(-1)).toBe(
    'answer | Wrong | none to 3 packets; last seen on node node2, out by c-000000000001 | kubectl overlay why node node2',
  );
});

test('a datagram needs no answer', () => {
  expect(sentSteps(near(3, ...left), far(...arrived), 'udp').at(-1)).toMatchObject({
    is: 'Unknown',
    next: 'try --protocol icmp',
  });
});

test('an agent that does not answer is no proof of anything', () => {
  const silent = { problem: '172.17.0.4: no answer within 5000 ms' };
  expect(lines({ node: 'node1', said: silent }, far(), 'tcp')).toEqual([
    'agent | Unknown | the agent of node1 did not answer: 172.17.0.4: no answer within 5000 ms | kubectl overlay why node node1',
  ]);
  const back = seen('m-dcos out reply', 'echo reply');
  expect(
    sentSteps(near(1, ...left, back), { node: 'node2', said: silent }, 'icmp').map(({ is }) => is),
  ).toEqual(['OK', 'OK', 'Unknown', 'OK']);
});

const order = { side: 'out', from: '9.0.1.2', to: '9.0.2.2', protocol: 'tcp', port: 80, id: 61_000 };

test('an order is read as it was written', () => {
  expect(parsePacketOrder(JSON.stringify(order))).toEqual(order);
});

test.each([
  ['no JSON', '{', 'body', 'must be JSON'],
  ['a list', '[]', 'body', 'must be a JSON object'],
  ['another field', { ...order, bridge: 'm-x' }, 'bridge', 'no such parameter'],
  ['an object', { ...order, port: { a: 1 } }, 'port', 'must be a text or a number'],
  ['two families', { ...order, to: 'fd01::1' }, 'to', 'must be of the family of from'],
  ['no address', { ...order, from: 'web' }, 'from', 'must be an IP address'],
  ['no side', { ...order, side: 'up' }, 'side', 'must be out or in'],
  ['TCP without a port', { ...order, port: undefined }, 'port', 'tcp needs one'],
  ['ICMP with one', { ...order, protocol: 'icmp' }, 'port', 'icmp has no ports'],
  ['an id too large', { ...order, id: 65_536 }, 'id', 'must be a whole number'],
  ['an id that is none', { ...order, id: '1e3' }, 'id', 'must be a whole number'],
])('an order with %s is refused by its field', (_, body, field, rule) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  let said: unknown;
  try {
    parsePacketOrder(text);
  } catch (error) {
    said = error;
  }
  expect(said).toBeInstanceOf(QueryError);
  expect(said).toMatchObject({ parameter: field, rule: expect.stringContaining(rule) as string });
});

test.each([
  ['no list', '{"sent":1}', 'no list of sightings'],
  ['a strange sighting', '{"sent":1,"seen":[{"link":7}]}', 'sighting 1 cannot be understood'],
  ['no JSON', '<html>', 'not JSON'],
])('an agent’s answer with %s does not come through', (_, body, words) => {
  expect(() => readSightings(body)).toThrow(words);
});
