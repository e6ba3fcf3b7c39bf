/** @jest-environment ./test/support/browser.ts */

import { talks } from '../../../src/page/isolation.tsx';
import { usedPart } from '../../../src/page/addressspace.tsx';
import { containersCSV } from '../../../src/page/containers.tsx';
import { csv } from '../../../src/page/csv.ts';
import { href, parseRoute, takeToken, type Route } from '../../../src/page/route.ts';
import { languageOf } from '../../../src/page/texts.ts';
import { container } from '../rows/world.ts';

const routes: [string, Route][] = [
  ['#/', { view: 'overview' }],
  ['#/networks/dcos', { view: 'network', name: 'dcos' }],
  ['#/agents', { view: 'agents' }],
  ['#/agents?search=Failed', { view: 'agents', search: 'Failed' }],
  ['#/agents/node1.example.com', { view: 'agent', name: 'node1.example.com' }],
  ['#/agents/a%2F%22%3E%3Cb', { view: 'agent', name: 'a/"><b' }],
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

test('cells of a CSV are quoted, and none is a formula', () => {
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
