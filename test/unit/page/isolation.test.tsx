/** @jest-environment ./test/support/browser.ts */
import { cleanup, render, screen, within } from '@testing-library/preact';
import type { Isolation } from '../../../src/api/types.ts';
import { signIn, signOut } from '../../../src/page/api.ts';
import { Frame } from '../../../src/page/frame.tsx';
import { parseRoute, route } from '../../../src/page/route.ts';
import { world } from '../rows/world.ts';
import { Operator } from './bed.ts';

const policies: Record<string, Isolation | undefined> = {
  open: undefined,
  web: { mode: 'Isolated', allow: ['db', 'deaf'], hosts: 'Deny', allowAPIServer: true },
  db: { mode: 'Isolated', allow: ['web'] },
  deaf: { mode: 'Isolated', hosts: 'Deny' },
};

afterEach(() => {
  cleanup();
  signOut();
});

/** Opens a network's view, and returns what its isolation says of each other side. */
async function isolationOf(name: string): Promise<{ said: string[]; picture: string; rule: string }> {
  const operator = new Operator(world());
  const [first] = operator.world.networks;
  const networks = Object.entries(policies).map(([name, isolation]) => ({
    ...first!,
    metadata: { name },
    spec: { ...first!.spec, ...(isolation === undefined ? {} : { isolation }) },
  }));
  operator.world = { ...operator.world, networks };
  route.value = parseRoute(`#/networks/${name}`);
  render(<Frame />);
  await signIn(undefined);
  const section = await screen.findByRole('region', { name: 'Isolation' });
  const rows = within(section).getAllByRole('row').slice(1);
  return {
    said: rows.map((row) => [...row.children].map(({ textContent }) => textContent.trim()).join(': ')),
    picture: within(section).getByRole('img').getAttribute('aria-label') ?? '',
    rule: section.querySelector('p')?.textContent ?? '',
  };
}

test('a closed network says that it refuses other nodes, and that the API server stays reachable', async () => {
  const { said, picture, rule } = await isolationOf('web');
  expect(rule).toBe(
    'Isolated: it refuses other networks, except db, deaf. It refuses processes of other nodes, too, except the API server.',
  );
  expect(said).toEqual([
    'db: ● allowed',
    'deaf: ○ denied by deaf',
    'open: ○ denied by web',
    'other nodes: ○ denied by web',
    'API server: ● allowed from the containers only',
  ]);
  expect(picture).toBe('web talks with db, API server; not with deaf, open, other nodes');
  expect(document.querySelectorAll('.graph .hosts rect')).toHaveLength(2);
  expect(document.querySelectorAll('.graph line.denied')).toHaveLength(3);
});

test('a network that is closed without allowAPIServer refuses the API server, too', async () => {
  const { said, rule } = await isolationOf('deaf');
  expect(rule).toMatch(/It refuses processes of other nodes, too, and the API server\.$/);
  expect(said.slice(-2)).toEqual(['other nodes: ○ denied by deaf', 'API server: ○ denied by deaf']);
  expect(said.slice(0, 2)).toEqual(['db: ○ denied by deaf and db', 'open: ○ denied by deaf']);
});

test('an open network, and an isolated one without hosts: Deny, are open for other nodes', async () => {
  const { said, rule } = await isolationOf('open');
  expect(rule).toBe('Open: it refuses nothing. Isolated networks may refuse it.');
  expect(said.at(-1)).toBe('other nodes: ● allowed');
  cleanup();
  signOut();
  expect((await isolationOf('db')).said.at(-1)).toBe('other nodes: ● allowed');
});

test('twelve further networks are drawn inside the picture, and no two overlap', async () => {
  for (let at = 0; at < 9; at++) policies[`n${at}`] = at % 3 === 0 ? { mode: 'Isolated' } : undefined;
  await isolationOf('open');
  const boxes = [...document.querySelectorAll('.graph rect')].map((rect) => {
    const [x = 0, y = 0, width = 0, height = 0] = ['x', 'y', 'width', 'height'].map((one) =>
      Number(rect.getAttribute(one)),
    );
    return { x, y, right: x + width, bottom: y + height };
  });
  expect(boxes).toHaveLength(14);
  const [, , width = 0, height = 0] = document.querySelector('.graph')!.getAttribute('viewBox')!.split(' ');
  for (const [at, box] of boxes.entries()) {
    expect([box.x >= 0, box.y >= 0, box.right <= Number(width), box.bottom <= Number(height)]).toEqual(
      Array(4).fill(true),
    );
    for (const other of boxes.slice(at + 1))
      expect(box.x < other.right && other.x < box.right && box.y < other.bottom && other.y < box.bottom).toBe(
        false,
      );
  }
});
