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

test('the page asks for a token if the operator needs one, and sends it with each request, but not into the document', async () => {
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
  await screen.findByText('Needs attention');
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

test('the overview says in one line whether everything works, and links to what does not', async () => {
  await open('#/');
  const line = await screen.findByText(/things do not work/);
  expect(line.textContent).toMatch(/\d+ things do not work, \d+ warnings\./);
  const item = (await screen.findAllByRole('listitem')).find((one) => one.textContent.includes('no vxlan'));
  expect(item?.querySelector('a')?.getAttribute('href')).toBe('#/agents/node2');
  const network = await screen.findByRole('row', { name: /^dcos / });
  expect(network.textContent).toContain('9.0.0.0/16 /24');
});

test('a network’s page shows its subnets, blocks, conditions, nodes, containers, and the networks that it may exchange packets with', async () => {
  await open('#/networks/dcos');
  expect((await screen.findByRole('heading', { level: 1 })).textContent).toContain('dcos');
  await screen.findByRole('img', { name: /^Address space 9\.0\.0\.0\/16/ });
  expect((await rowsOf('Blocks')).map((one) => one.slice(0, 10))).toEqual([
    '9.0.0.0/24',
    '9.0.1.0/24',
    '9.0.2.0/24',
    '9.0.9.0/24',
    '9.0.10.0/2',
  ]);
  expect(screen.getByRole('row', { name: /^Ready .* AgentsFailed node2: no vxlan/ })).toBeTruthy();
  expect(await rowsOf('Containers')).toHaveLength(3);
  expect(screen.getByRole('img', { name: 'dcos talks with dcos6, other nodes; not with none' })).toBeTruthy();
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

test('an agent’s view shows its addresses, blocks and conditions, with the kernel’s own words', async () => {
  await open('#/agents/node2');
  const conditions = await screen.findByRole('region', { name: 'Conditions' });
  expect(within(conditions).getByText('no vxlan').closest('tr')?.textContent).toContain('DataPathReady');
  expect(screen.getByText('44.128.0.2/20')).toBeTruthy();
  expect((await screen.findByText('9.0.1.0/25')).closest('tr')?.textContent).toContain('Held');
  expect(await rowsOf('Containers')).toHaveLength(1);
});

test('unknown names are reported', async () => {
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
  expect(head.getAttribute('aria-sort')).toBe('descending');
  // the operator sorts
  await waitFor(async () => {
    expect(await addresses()).toEqual(['9.0.0.10', '9.0.0.6', '9.0.0.5']);
  });
  expect(operator.asked.at(-1)?.url.search).toContain('sort=-address');
});

test('few of 30,000 containers are in the document, and screen readers get the number of all', async () => {
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

test('names with scripts or control characters are shown as text', async () => {
  operator.containers.push(container({ id: 'four', addresses: ['9.0.0.11'], pod: 'x\u202etxt.exe' }));
  await open('#/containers');
  await screen.findByText('<img src=x onerror=alert(1)>');
  expect(document.querySelector('[onerror]')).toBeNull();
  expect(screen.getByText('shop/x\\u202etxt.exe')).toBeTruthy();
});

test('with a token without the right to see containers, the page names the role that has it', async () => {
  operator.refuse.set('containers', [
    403,
    'user x may not get it: bind the ClusterRole overlaynet-inspector to that user',
  ]);
  await open('#/containers');
  await screen.findByText(/This token may not see containers/);
  for (let changes = 0; changes < 2; changes++) {
    operator.tell();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
  }
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

test('a change appears without a reload', async () => {
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

test('a lost connection is reported, and restored', async () => {
  await open('#/');
  await screen.findByText('Live');
  await listening();
  operator.hangUp();
  expect((await screen.findByRole('alert')).textContent).toMatch(
    /^No word from the operator for \d+s\. What you see may be old/,
  );
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

test('the overview counts the containers of each network, and a viewer is shown none', async () => {
  await open('#/');
  const count = await screen.findByRole('link', { name: '3' });
  expect(count.getAttribute('href')).toBe('#/containers?network=dcos');
  cleanup();
  signOut();
  operator.refuse.set('containers', [403, 'bind the ClusterRole overlaynet-inspector to that user']);
  await open('#/');
  await screen.findByRole('row', { name: /^dcos Waiting 1 of 2 – / });
});

test('a network shows how full its blocks are, and the Events about it', async () => {
  operator.events = [
    {
      metadata: { name: 'a' },
      involvedObject: { kind: 'OverlayNetwork', name: 'dcos' },
      type: 'Warning',
      reason: 'Exhausted',
      message: '<b>append</b> a subnet',
      count: 3,
      lastTimestamp: '2026-01-01T00:00:00Z',
    },
    {
      metadata: { name: 'b' },
      involvedObject: { kind: 'OverlayNetwork', name: 'dcos6' },
      message: 'another',
    },
  ];
  await open('#/networks/dcos');
  await screen.findByText('10 of 250');
  const events = await screen.findByRole('region', { name: 'Events' });
  const rows = await within(events).findAllByRole('row');
  expect(rows.slice(1).map((row) => row.textContent)).toEqual([
    expect.stringMatching(/▲ WarningExhausted<b>append<\/b> a subnet3$/),
  ]);
});
