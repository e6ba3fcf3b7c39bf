/** @jest-environment ./test/support/browser.ts */

import { usedPart } from '../../../src/page/addressspace.tsx';
import { containersCSV } from '../../../src/page/containers.tsx';
import { csv } from '../../../src/page/csv.ts';
import { toneOf } from '../../../src/page/marks.tsx';
import { href, parseRoute, takeToken, type Route } from '../../../src/page/route.ts';
import { drawn } from '../../../src/page/stations.ts';
import { languageOf, stateText } from '../../../src/page/texts.ts';
import { inForce, refusing, talks } from '../../../src/rows/isolation.ts';
import type { PathHop } from '../../../src/rows/path.ts';
import { container } from '../rows/world.ts';

const routes: [string, Route][] = [
  ['#/', { view: 'overview' }],
  ['#/networks/dcos', { view: 'network', name: 'dcos' }],
  ['#/agents', { view: 'agents' }],
  ['#/agents?search=Failed', { view: 'agents', search: 'Failed' }],
  ['#/agents/node1.example.com', { view: 'agent', name: 'node1.example.com' }],
  ['#/agents/a%2F%22%3E%3Cb', { view: 'agent', name: 'a/"><b' }],
  ['#/path', { view: 'path' }],
  [
    '#/path?from=shop%2Fweb-0&to=fd01%3Ab%3A%3A7&protocol=tcp&port=80',
    { view: 'path', from: 'shop/web-0', to: 'fd01:b::7', protocol: 'tcp', port: '80' },
  ],
  ['#/containers?search=9.0.1.7&network=dcos', { view: 'containers', search: '9.0.1.7', network: 'dcos' }],
];

test.each(routes)('%s leads to its view and back', (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
  expect(href(route)).toBe(hash);
});

test.each(['', '#', '#nonsense', '#/networks/', '#/%', '#/agents/%'])('%j shows something', (hash) => {
  expect(() => parseRoute(hash)).not.toThrow();
});

test('a token is taken out of the URL and its history', () => {
  history.replaceState(null, '', '#token=a.b-c%3D&to=%23%2Fnetworks%2Fdcos');
  expect(takeToken()).toBe('a.b-c=');
  expect(location.hash).toBe('#/networks/dcos');
  expect(takeToken()).toBeUndefined();
  history.replaceState(null, '', '#/agents');
  expect(takeToken()).toBeUndefined();
  expect(location.hash).toBe('#/agents');
});

test.each(['https://evil.example/', '//evil.example', '/elsewhere', 'javascript:alert(1)', '#token=x'])(
  'a link with a token does not lead out of the page: %s',
  (to) => {
    history.replaceState(null, '', `#token=abc&to=${encodeURIComponent(to)}`);
    const before = location.href.replace(/#.*/, '');
    expect(takeToken()).toBe('abc');
    expect(location.href.replace(/#.*/, '')).toBe(before);
  },
);

test('a state that is a name of JavaScript is shown as it is', () => {
  for (const word of ['constructor', 'toString', '__proto__'])
    expect([stateText(word), toneOf(word)]).toEqual([word, 'off']);
});

test('cells of a CSV are quoted, and no cell is a formula', () => {
  expect(
    csv(
      ['a', 'b'],
      [
        ['x,y', 'say "hi"'],
        ['=HYPERLINK("http://x")', '-1+1'],
      ],
    ),
  ).toBe('a,b\r\n"x,y","say ""hi"""\r\n"\'=HYPERLINK(""http://x"")",\'-1+1\r\n');
  expect(
    containersCSV([container({ name: '@evil', pod: undefined as never, namespace: undefined as never })]),
  ).toContain(",'@evil,");
  for (const first of ['\uff1d1', '\uff0b1', '\uff0d1', '\uff20x'])
    expect(csv(['a'], [[first]])).toBe(`a\r\n'${first}\r\n`);
});

test('connections pass where both sides allow them', () => {
  const open = { name: 'open', isolation: 'Open' as const, allow: [] };
  const isolated = (name: string, ...allow: string[]) => ({ name, isolation: 'Isolated' as const, allow });
  expect(talks(open, { ...open, name: 'other' })).toBe(true);
  expect(talks(open, isolated('a'))).toBe(false);
  expect(talks(open, isolated('a', 'open'))).toBe(true);
  expect(talks(isolated('a', 'b'), isolated('b'))).toBe(false);
  expect(talks(isolated('a', 'b'), isolated('b', 'a'))).toBe(true);
  expect(talks(isolated('a'), isolated('a'))).toBe(true);
});

test('which side refuses a connection is said', () => {
  const [a, b] = ['a', 'b'].map((name) => ({ name, isolation: 'Isolated' as const, allow: [] as string[] }));
  expect(refusing(a!, b!)).toEqual(['a', 'b']);
  expect(refusing({ ...a!, allow: ['b'] }, b!)).toEqual(['b']);
  expect(refusing(a!, { ...b!, isolation: 'Open' })).toEqual(['a']);
});

test('fields of an open network are not in force, and an isolated one is open for nodes unless it says otherwise', () => {
  expect(inForce({ mode: 'Open', allow: ['x'], hosts: 'Deny' })).toEqual({
    ...{ isolation: 'Open', allow: [], hosts: 'Allow', apiServer: 'Allow' },
  });
  expect(inForce({ mode: 'Isolated' })).toMatchObject({ hosts: 'Allow', apiServer: 'Allow' });
  expect(inForce({ mode: 'Isolated', hosts: 'Deny' })).toMatchObject({ hosts: 'Deny', apiServer: 'Deny' });
  expect(inForce({ mode: 'Isolated', hosts: 'Deny', allowAPIServer: true })).toMatchObject({
    ...{ hosts: 'Deny', apiServer: 'Allow' },
  });
});

test('the picture begins with the smallest part that has all blocks in use', () => {
  expect(usedPart(16, [0, 1, 2])).toEqual({ from: 0, bits: 4 });
  expect(usedPart(16, [0, 200])).toEqual({ from: 0, bits: 8 });
  expect(usedPart(16, [65_535])).toEqual({ from: 65_520, bits: 4 });
  expect(usedPart(16, [0, 65_535])).toEqual({ from: 0, bits: 16 });
  expect(usedPart(16, [])).toEqual({ from: 0, bits: 16 });
  expect(usedPart(3, [1])).toEqual({ from: 0, bits: 3 });
});

test('the first language of the reader’s that the page has is taken', () => {
  expect(languageOf(['de', 'zh-CN', 'en'])).toBe('zh');
  expect(languageOf(['en-GB', 'zh'])).toBe('en');
  expect(languageOf(['de'])).toBe('en');
});

test('no cell is a formula where a spreadsheet parts cells at semicolons', () => {
  expect(csv(['a'], [['x;=1+1']])).toBe("a\r\nx;'=1+1\r\n");
});

const hop = (what: PathHop['what'], is: PathHop['is'] = 'OK'): PathHop => ({ what, is, evidence: '' });
const shapeOf = (to: { address: string; node?: string }, ...legs: PathHop[][]) => {
  const verdict = legs.flat().some(({ is }) => is === 'Wrong') ? 'Wrong' : 'OK';
  const sides = ['out', 'in'] as const;
  const all = legs.map((hops, at) => ({ node: `node${at + 1}`, side: sides[at]!, hops }));
  return drawn({ to, verdict, legs: all }).map(
    ({ node, stations }) =>
      `${node}: ${stations.map(({ what, ...one }) => ('ahead' in one ? `(${what})` : what)).join(' ')}`,
  );
};

test('after a wrong step, the rest of the way is drawn as not reached', () => {
  const [container, bridge] = [hop('container'), hop('bridge')];
  const other = { address: '9.0.2.2', node: 'node2' };
  expect(shapeOf(other, [container, bridge, hop('route', 'Wrong')])).toEqual([
    'node1: container bridge route (isolation) (NAT) (neighbour) (FDB) (underlay)',
    'node2: (member) (route) (isolation) (NAT) (container)',
  ]);
  expect(shapeOf(other, [container, hop('FDB')], [hop('member', 'Wrong')])).toEqual([
    'node1: container FDB',
    'node2: member (route) (isolation) (NAT) (container)',
  ]);
  const own = { address: '9.0.1.3', node: 'node1' };
  expect(shapeOf(own, [hop('container', 'Wrong')])).toEqual([
    'node1: container (bridge) (route) (isolation) (NAT) (container)',
  ]);
  expect(shapeOf(own, [container, bridge, hop('container', 'Wrong')])).toEqual([
    'node1: container bridge container',
  ]);
  expect(shapeOf({ address: '8.8.8.8' }, [container, bridge, hop('isolation', 'Wrong')])).toEqual([
    'node1: container bridge isolation (NAT)',
  ]);
  expect(shapeOf(other, [container, hop('FDB')], [hop('container')])).toEqual([
    'node1: container FDB',
    'node2: container',
  ]);
});
