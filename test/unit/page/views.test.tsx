/** @jest-environment ./test/support/browser.ts */
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/preact';
import { signIn, signOut } from '../../../src/page/api.ts';
import { Frame } from '../../../src/page/frame.tsx';
import { link } from '../../../src/page/live.ts';
import { parseRoute, route } from '../../../src/page/route.ts';
import { container, world } from '../rows/world.ts';
import { Operator } from './bed.ts';

let operator: Operator;

beforeEach(() => {
  operator = new Operator(world());
  operator.containers = [
    container(),
    container({ id: 'two', pod: 'api-1', addresses: ['9.0.0.6'], node: 'node2' }),
    container({
      id: 'three',
      pod: undefined as never,
      name: '<img src=x onerror=alert(1)>',
      addresses: ['9.0.0.10'],
    }),
  ];
});
afterEach(() => {
  cleanup();
  signOut();
});

async function open(hash: string): Promise<void> {
  route.value = parseRoute(hash);
  render(<Frame />);
  await signIn(undefined);
}

/** Once the page listens to changes. */
const listening = () =>
  waitFor(() => {
    expect(operator.follows).toBe(true);
  });

const rowsOf = async (label: string) => {
  const table = await screen.findByRole('table', { name: label });
  return waitFor(() => {
    const rows = within(table).getAllByRole('row').slice(1);
    expect(rows.length).toBeGreaterThan(0);
    return rows.map((row) => row.textContent);
  });
};

test('a token is asked for where the operator wants one, and sent with each request; it is nowhere in the document', async () => {
  operator.token = 'the-token';
  await open('#/');
  const field = await screen.findByLabelText<HTMLInputElement>('Token');
  expect(field.type).toBe('password');
  expect(screen.queryByRole('alert')).toBeNull();
  fireEvent.input(field, { target: { value: 'wrong' } });
  fireEvent.submit(field);
  expect((await screen.findByRole('alert')).textContent).toContain('does not know this token');
  fireEvent.input(field, { target: { value: ' the-token\n' } });
  fireEvent.submit(field);
  await screen.findByText('What asks for attention');
  expect(document.body.innerHTML).not.toContain('the-token');
  expect(JSON.stringify([localStorage, sessionStorage, document.cookie])).not.toContain('the-token');
  expect(operator.asked.at(-1)?.authorization).toBe('Bearer the-token');
});

test('a token that has expired leads back to the question, and the view stays', async () => {
  await open('#/agents');
  await screen.findByRole('table', { name: 'List' });
  await listening();
  operator.token = 'another';
  operator.tell();
  await screen.findByLabelText('Token', {}, { timeout: 8_000 });
  expect(route.value).toEqual({ view: 'agents' });
});

test('the overview says in one line how all is, and what is wrong with a link to it', async () => {
  await open('#/');
  const line = await screen.findByText(/things do not work/);
  expect(line.textContent).toMatch(/\d+ things do not work, \d+ warnings\./);
  const item = (await screen.findAllByRole('listitem')).find((one) => one.textContent.includes('no vxlan'));
  expect(item?.querySelector('a')?.getAttribute('href')).toBe('#/agents/node2');
  const network = await screen.findByRole('row', { name: /^dcos / });
  expect(network.textContent).toContain('9.0.0.0/16 /24');
});

test('a network tells its subnets, blocks, conditions, nodes, containers, and who talks with it', async () => {
  await open('#/networks/dcos');
  expect((await screen.findByRole('heading', { level: 1 })).textContent).toContain('dcos');
  await screen.findByRole('img', { name: /^Address space 9\.0\.0\.0\/16/ });
  expect((await rowsOf('Blocks')).map((one) => one.slice(0, 10))).toEqual([
    '9.0.0.0/24',
    '9.0.1.0/24',
    '9.0.2.0/24',
    '9.0.10.0/2',
  ]);
  expect(screen.getByRole('row', { name: /^Ready .* AgentsFailed node2: no vxlan/ })).toBeTruthy();
  expect(await rowsOf('Containers')).toHaveLength(3);
  expect(screen.getByRole('img', { name: 'dcos talks with dcos6; not with none' })).toBeTruthy();
});

test('the keyboard moves over the blocks, in and out', async () => {
  await open('#/networks/dcos');
  const canvas = await screen.findByRole('img', { name: /^Address space/ });
  const said = () => screen.getAllByRole('status').map((one) => one.textContent);
  expect(said()).toContain('9.0.0.0/24: Held, node1');
  fireEvent.keyDown(canvas, { key: 'ArrowRight' });
  expect(said().some((one) => one.startsWith('9.0.1.0/24') || one.startsWith('9.0.3.0/24'))).toBe(true);
  fireEvent.keyDown(canvas, { key: 'Enter' });
  await screen.findByText('9.0.0.0/22, 4 blocks');
  fireEvent.keyDown(canvas, { key: 'Escape' });
  fireEvent.keyDown(canvas, { key: 'Escape' });
  await screen.findByText('9.0.0.0/18, 64 blocks');
});

test('agents come as a grid, the worst first in the list; a search is put to the operator', async () => {
  await open('#/agents');
  const grid = await screen.findByRole('list', { name: 'Grid' });
  expect(within(grid).getByRole('link', { name: 'node2 Failed' }).getAttribute('href')).toBe(
    '#/agents/node2',
  );
  expect((await rowsOf('List'))[0]).toMatch(/^node2/);
  fireEvent.input(screen.getByRole('searchbox'), { target: { value: 'node1' } });
  await waitFor(() => {
    expect(within(screen.getByRole('list', { name: 'Grid' })).getAllByRole('link')).toHaveLength(1);
  });
  expect(operator.asked.some(({ url }) => url.searchParams.get('search') === 'node1')).toBe(true);
});

test('an agent tells its addresses, blocks and conditions with the kernel’s own words', async () => {
  await open('#/agents/node2');
  expect(
    (await screen.findByText('no vxlan', { selector: 'td.message' })).closest('tr')?.textContent,
  ).toContain('DataPathReady');
  expect(screen.getByText('44.128.0.2/20')).toBeTruthy();
  expect((await screen.findByText('9.0.1.0/25')).closest('tr')?.textContent).toContain('Held');
  expect(await rowsOf('Containers')).toHaveLength(1);
});

test('names that are not there are said', async () => {
  await open('#/agents/nobody');
  await screen.findByText('There is no node nobody.');
  cleanup();
  await open('#/networks/nothing');
  await screen.findByText('There is no network nothing.');
});

test('containers are sorted by a click on a column, addresses by their value', async () => {
  await open('#/containers');
  await screen.findByRole('table', { name: 'Containers' });
  const addresses = async () => (await rowsOf('Containers')).map((one) => /[\d.]+/.exec(one)?.[0]);
  expect(await addresses()).toEqual(['9.0.0.5', '9.0.0.6', '9.0.0.10']);
  const head = screen.getByRole('columnheader', { name: /Address/ });
  fireEvent.click(within(head).getByRole('button'));
  expect([head.getAttribute('aria-sort'), ...(await addresses())]).toEqual([
    'ascending',
    '9.0.0.5',
    '9.0.0.6',
    '9.0.0.10',
  ]);
  fireEvent.click(within(head).getByRole('button'));
  expect([head.getAttribute('aria-sort'), ...(await addresses())]).toEqual([
    'descending',
    '9.0.0.10',
    '9.0.0.6',
    '9.0.0.5',
  ]);
});

test('of 30,000 containers a few are in the document, and screen readers hear of all', async () => {
  operator.containers = Array.from({ length: 30_000 }, (_, at) =>
    container({ id: String(at), addresses: [`9.${at >> 16}.${(at >> 8) & 255}.${at & 255}`] }),
  );
  await open('#/containers');
  const table = await screen.findByRole('table', { name: 'Containers' });
  expect(table.getAttribute('aria-rowcount')).toBe('30001');
  expect((await rowsOf('Containers')).length).toBeLessThan(60);
  expect((await rowsOf('Containers')).length).toBeGreaterThan(10);
  expect(operator.asked.filter(({ url }) => url.pathname.endsWith('/containers')).length).toBe(1);
  expect(screen.getByText('30,000 containers')).toBeTruthy();
});

test('names that would be a program or turn the line are shown as they are', async () => {
  operator.containers.push(container({ id: 'four', addresses: ['9.0.0.11'], pod: 'x\u202etxt.exe' }));
  await open('#/containers');
  await screen.findByText('<img src=x onerror=alert(1)>');
  expect(document.querySelector('[onerror]')).toBeNull();
  expect(screen.getByText('shop/x\\u202etxt.exe')).toBeTruthy();
});

test('a token without the right to see containers is told which one has it', async () => {
  operator.refuse.set('containers', [
    403,
    'user x may not get it: bind the ClusterRole overlaynet-inspector to that user',
  ]);
  await open('#/containers');
  await screen.findByText(/This token may not see containers/);
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  const asked = operator.asked.filter(({ url }) => url.pathname.endsWith('/containers')).length;
  // once, and once more when the page began to listen to changes; not again and again
  expect(asked).toBeLessThanOrEqual(2);
});

test('nodes that did not answer are named', async () => {
  operator.unanswered = [{ node: 'node3', reason: 'no answer within 2500 ms' }];
  await open('#/containers');
  const link_ = await screen.findByRole('link', { name: 'node3' });
  expect(link_.closest('li')?.textContent).toContain('no answer within 2500 ms');
});

test('a change is shown by itself', async () => {
  await open('#/agents');
  await screen.findByRole('link', { name: 'node2 Failed' });
  // once the page has asked again because it listens now
  await waitFor(
    () => {
      expect(operator.asked.filter(({ url }) => url.pathname.endsWith('/agents')).length).toBe(2);
    },
    { timeout: 8_000 },
  );
  const next = world();
  operator.world = { ...next, agents: new Map([...next.agents].filter(([name]) => name !== 'node2')) };
  await listening();
  operator.tell();
  await screen.findByRole('link', { name: 'node2 Missing' }, { timeout: 8_000 });
});

test('a lost connection is said, and mends itself', async () => {
  await open('#/');
  await screen.findByText('Live');
  await listening();
  operator.hangUp();
  expect((await screen.findByRole('alert')).textContent).toContain('What you see may be old');
  await waitFor(
    () => {
      expect([link.value, operator.follows]).toEqual(['live', true]);
    },
    { timeout: 8_000 },
  );
  await waitFor(() => {
    expect(screen.queryByRole('alert')).toBeNull();
  });
});

test('the language is switched, and the document says which one it is', async () => {
  await open('#/');
  await screen.findByText('Networks');
  fireEvent.click(screen.getByRole('button', { name: '中文' }));
  await screen.findByText('网络');
  expect(document.documentElement.lang).toBe('zh');
  fireEvent.click(screen.getByRole('button', { name: 'English' }));
  await screen.findByText('Networks');
});
