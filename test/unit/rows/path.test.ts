import {
  endIn,
  goesOn,
  holderOf,
  knownEnds,
  pairOf,
  parsePathQuery,
  pathHop,
  pathText,
  sourceHop,
  underlayOf,
  verdictOf,
  type Leg,
  type PathHop,
} from '../../../src/rows/path.ts';
import { agentRow, blockRow, containerRow } from '../cli/facts.ts';

const web = containerRow({ namespace: 'shop', pod: 'web-0', addresses: ['9.0.1.2', 'fe80::1'] });
const elsewhere = { ...web, network: 'other', addresses: ['9.7.0.2'] };
const db = containerRow({ namespace: 'shop', pod: 'db-0', node: 'node2', addresses: ['9.0.2.2'] });

test.each([
  ['9.0.1.7', { address: '9.0.1.7' }],
  ['fd01:b:0:0::7', { address: 'fd01:b::7' }],
  ['shop/web-0', { pod: 'shop/web-0' }],
  ['web-0', undefined],
  ['Shop/web', undefined],
  ['9.0.1.0/24', undefined],
])('%s is an end, or none', (text, end) => {
  expect(endIn(text)).toEqual(end);
});

test('a query comes back as it was, and a port means tcp', () => {
  const query = parsePathQuery('from=shop/web-0&to=9.0.2.2&port=80');
  expect(query).toEqual({
    from: { pod: 'shop/web-0' },
    to: { address: '9.0.2.2' },
    protocol: 'tcp',
    port: 80,
  });
  expect(parsePathQuery(pathText(query))).toEqual(query);
  expect(parsePathQuery('from=9.0.1.2&to=9.0.2.2').protocol).toBe('icmp');
});

test.each([
  ['to=9.0.2.2', 'from'],
  ['from=9.0.1.2&to=web-0', 'to'],
  ['from=9.0.1.2&to=9.0.2.2&port=80&protocol=icmp', 'port'],
  ['from=9.0.1.2&to=9.0.2.2&protocol=sctp', 'protocol'],
  ['from=9.0.1.2&to=9.0.2.2&node=node1', 'node'],
])('the query %s is refused for %s', (text, parameter) => {
  expect(() => parsePathQuery(text)).toThrow(`parameter ${parameter}=`);
});

test('addresses are of one family, and of one network where both have one', () => {
  const from = knownEnds({ pod: 'shop/web-0' }, [elsewhere, web, db]);
  const pair = pairOf(from, knownEnds({ pod: 'shop/db-0' }, [elsewhere, web, db]));
  expect([pair?.from.address, pair?.to.address]).toEqual(['9.0.1.2', '9.0.2.2']);
  const outside = pairOf(from, knownEnds({ address: '8.8.8.8' }, []));
  expect(outside).toMatchObject({ from: { address: '9.7.0.2', node: 'node1' }, to: { address: '8.8.8.8' } });
  expect(pairOf(from, knownEnds({ address: 'fd01::1' }, []))).toBeUndefined();
});

test('whose an address is', () => {
  const [agents, blocks] = [
    [agentRow(1), agentRow(2)],
    [blockRow(1), blockRow(2)],
  ];
  expect(['9.0.2.7', '172.17.0.1', '8.8.8.8'].map((one) => holderOf(one, agents, blocks))).toEqual([
    'node2',
    'node1',
    undefined,
  ]);
});

test('the way begins at a container whose link the kernel shows', () => {
  const [here] = knownEnds({ address: '9.0.1.2' }, [web]);
  expect(sourceHop(here!, 'node1')).toMatchObject({ what: 'container', is: 'OK' });
  const [gone] = knownEnds({ address: '9.0.1.2' }, [{ ...web, kernel: 'Missing' }]);
  expect(sourceHop(gone!, 'node1')).toMatchObject({ is: 'Wrong', next: 'kubectl overlay why node node1' });
  const [unknown] = knownEnds({ address: '9.0.1.9' }, [web], 'node1');
  expect(sourceHop(unknown!, 'node1')).toMatchObject({
    is: 'Unknown',
    evidence: 'the agent of node1 knows no container with 9.0.1.9',
  });
});

const hop = (what: PathHop['what'], is: PathHop['is'] = 'OK', evidence = ''): PathHop => ({
  what,
  is,
  evidence,
});
const leg = (...hops: PathHop[]): Leg => ({ node: 'node1', side: 'out', hops });

test('what is wrong has a remedy, what is not has none', () => {
  expect(pathHop({ what: 'isolation', is: 'Wrong', evidence: 'x' }, 'node1').next).toMatch('spec.isolation');
  expect(pathHop({ what: 'FDB', is: 'Wrong', evidence: 'x' }, 'node1').next).toBe(
    'kubectl overlay why node node1',
  );
  expect(pathHop({ what: 'FDB', is: 'OK', evidence: 'x' }, 'node1').next).toBeUndefined();
});

test('a packet goes on where its way leads into the tunnel and nothing is wrong', () => {
  expect(goesOn(leg(hop('route'), hop('FDB')))).toBe(true);
  expect(goesOn(leg(hop('route'), hop('container')))).toBe(false);
  expect(goesOn(leg(hop('route'), hop('FDB', 'Wrong')))).toBe(false);
  expect(underlayOf(leg(hop('FDB', 'OK', '70:b3:d5:80:00:02 is behind 172.17.0.2 on vtep1024')))).toBe(4);
  expect(underlayOf(leg(hop('FDB', 'OK', '70:b3:d5:80:00:02 is behind fd00::2 on vtep1024')))).toBe(6);
});

test('one step that is wrong is the verdict, before one that could not be read', () => {
  expect(verdictOf([hop('route')])).toBe('OK');
  expect(verdictOf([hop('route'), hop('agent', 'Unknown')])).toBe('Unknown');
  expect(verdictOf([hop('agent', 'Unknown'), hop('route', 'Wrong')])).toBe('Wrong');
});
