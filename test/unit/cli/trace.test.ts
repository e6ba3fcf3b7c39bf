import { targetIn } from '../../../src/cli/trace.ts';
import { parseTraceQuery, readNodeRoute, traceText } from '../../../src/rows/trace.ts';

test.each([
  ['9.0.1.7', { address: '9.0.1.7' }],
  ['9.0.1.7:80', { address: '9.0.1.7', port: 80 }],
  ['fd01:b:0:0::7', { address: 'fd01:b::7' }],
  ['[fd01:b::7]', { address: 'fd01:b::7' }],
  ['[fd01:b::7]:80', { address: 'fd01:b::7', port: 80 }],
  ['shop/web-0', { pod: 'shop/web-0' }],
  ['shop/web-0:80', { pod: 'shop/web-0', port: 80 }],
])('%s is a target', (text, target) => {
  expect(targetIn(text, '--to')).toEqual(target);
});

test.each([
  '',
  'web-0',
  '9.0.1.7:0',
  '9.0.1.7:70000',
  '9.0.1',
  'a/b/c',
  '[shop/web]:80',
  'Shop/web',
  'x\u001b[31m/y',
])('"%s" is none', (text) => {
  expect(() => targetIn(text, '--to')).toThrow('is neither an address nor a pod');
});

test('a query comes back as it was', () => {
  const query = {
    family: 4,
    from: '9.0.1.2',
    to: '9.0.2.2',
    protocol: 'tcp',
    port: 80,
    side: 'in',
    peer: '172.17.0.1',
  } as const;
  expect(parseTraceQuery(traceText(query))).toEqual(query);
  expect(parseTraceQuery('from=9.0.1.2&to=9.0.2.2')).toEqual({
    family: 4,
    from: '9.0.1.2',
    to: '9.0.2.2',
    protocol: 'icmp',
    side: 'out',
  });
});

test.each([
  ['from=9.0.1.2', 'to'],
  ['from=9.0.1.2/24&to=9.0.2.2', 'from'],
  ['from=-batch&to=9.0.2.2', 'from'],
  ['from=9.0.1.2&to=fd01::1', 'to'],
  ['from=9.0.1.2&to=9.0.2.2&to=9.0.2.3', 'to'],
  ['from=9.0.1.2&to=9.0.2.2&port=80', 'port'],
  ['from=9.0.1.2&to=9.0.2.2&protocol=tcp&port=0', 'port'],
  ['from=9.0.1.2&to=9.0.2.2&protocol=tcp&port=65536', 'port'],
  ['from=9.0.1.2&to=9.0.2.2&protocol=sctp', 'protocol'],
  ['from=9.0.1.2&to=9.0.2.2&side=both', 'side'],
  ['from=9.0.1.2&to=9.0.2.2&peer=x', 'peer'],
  ['from=9.0.1.2&to=9.0.2.2&dev=eth0', 'dev'],
])('the query %s is refused for %s', (text, parameter) => {
  expect(() => parseTraceQuery(text)).toThrow(`parameter ${parameter}=`);
});

test.each([
  ['<html>', 'its answer is not JSON'],
  ['{}', 'its answer has no list of hops'],
  ['{"hops":[{"what":"cake","is":"OK","evidence":""}]}', 'its hop 1 cannot be understood'],
  ['{"hops":[{"what":"route","is":"Odd","evidence":""}]}', 'its hop 1 cannot be understood'],
  ['{"hops":[null]}', 'its hop 1 cannot be understood'],
])('an agent that answers %s is not believed', (body, why) => {
  expect(() => readNodeRoute(body)).toThrow(why);
});
