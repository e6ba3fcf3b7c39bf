/** @jest-environment ./test/support/browser.ts */
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/preact';
import { signIn, signOut } from '../../../src/page/api.ts';
import { offersOf } from '../../../src/page/endfield.tsx';
import { Frame } from '../../../src/page/frame.tsx';
import { followURL, parseRoute, route } from '../../../src/page/route.ts';
import type { Hop } from '../../../src/rows/trace.ts';
import { container, world } from '../rows/world.ts';
import { Operator } from './bed.ts';

let operator: Operator;
const hop = (what: Hop['what'], is: Hop['is'] = 'OK', evidence = `evidence of ${what}`): Hop => ({
  what,
  is,
  evidence,
});

beforeAll(followURL);
beforeEach(() => {
  operator = new Operator(world());
  operator.containers = [
    container({ namespace: 'shop', pod: 'web-0', addresses: ['9.0.0.2'] }),
    container({ id: 'two', namespace: 'shop', pod: 'db-0', addresses: ['9.0.0.6'], node: 'node2' }),
  ];
  operator.hops = {
    node1: [hop('bridge'), hop('route'), hop('isolation'), hop('FDB', 'OK', 'm is behind 172.17.0.3 on v')],
    node2: [hop('member'), hop('route'), hop('isolation'), hop('container')],
  };
});
afterEach(() => {
  cleanup();
  signOut();
});

async function open(hash: string): Promise<void> {
  location.hash = hash;
  route.value = parseRoute(hash);
  render(<Frame />);
  await signIn(undefined);
}

const items = async (heading: RegExp) => {
  const section = await screen.findByRole('region', { name: heading });
  return within(section)
    .getAllByRole('listitem')
    .map((one) => one.textContent);
};

test('a link leads to the way between two containers, on both nodes, each step with its evidence', async () => {
  await open('#/path?from=shop%2Fweb-0&to=9.0.0.6&port=80');
  await screen.findByText('Nothing on the way stops it.');
  expect((await items(/^Sends: node1/))[3]).toMatch(/Rules.*OKevidence of isolation/);
  expect(await items(/^Receives: node2/)).toHaveLength(4);
  const picture = screen.getByRole('img');
  expect(picture.getAttribute('aria-label')).toMatch(
    /^The way from shop\/web-0 to shop\/db-0\. On node1: Container OK, Bridge OK.* On node2: .*Container OK\.$/,
  );
  const { search } = operator.asked.find(({ url }) => url.pathname.endsWith('/trace'))!.url;
  expect(search).toBe('?from=shop%2Fweb-0&to=9.0.0.6&port=80');
});

test('the failing step comes first, with what to do, and the steps after it are drawn as not reached', async () => {
  operator.hops.node1 = [hop('bridge'), hop('isolation', 'Wrong', 'DROP by <b>mangle</b>')];
  await open('#/path?from=9.0.0.2&to=9.0.0.6');
  const line = await screen.findByText(/^It is stopped: Rules \(isolation, guards\) on node1\./);
  expect(line.closest('p')?.className).toBe('health bad');
  expect(line.closest('p')?.textContent).toContain('What to do: the networks do not talk');
  const steps = await items(/^Sends: node1/);
  expect(steps[2]).toContain('failsDROP by <b>mangle</b>');
  expect(steps.slice(3).every((one) => one.endsWith('not reached'))).toBe(true);
  expect(await items(/^Receives: node2/)).toHaveLength(5);
  expect(document.querySelectorAll('main b')).toHaveLength(0);
});

test('the page fills in both ends, exchanges them, and refuses wrong ones', async () => {
  await open('#/path');
  fireEvent.input(screen.getByLabelText('From'), { target: { value: ' shop/web-0 ' } });
  fireEvent.input(screen.getByLabelText('To'), { target: { value: 'db' } });
  fireEvent.submit(screen.getByLabelText('To'));
  expect((await screen.findByRole('alert')).textContent).toContain('Both ends must be an address');
  expect(screen.queryByText(/Whether networks reach each other/)).toBeNull();
  fireEvent.input(screen.getByLabelText('To'), { target: { value: 'dcos6' } });
  fireEvent.submit(screen.getByLabelText('To'));
  expect((await screen.findByRole('link', { name: 'dcos6' })).getAttribute('href')).toBe('#/networks/dcos6');
  expect(operator.asked.some(({ url }) => url.pathname.endsWith('/trace'))).toBe(false);
  fireEvent.input(screen.getByLabelText('To'), { target: { value: 'shop/db-0' } });
  fireEvent.submit(screen.getByLabelText('To'));
  await screen.findByText('Nothing on the way stops it.');
  expect(location.hash).toBe('#/path?from=shop%2Fweb-0&to=shop%2Fdb-0');
  fireEvent.click(screen.getByRole('button', { name: 'The other way round' }));
  await waitFor(() => {
    expect(location.hash).toBe('#/path?from=shop%2Fdb-0&to=shop%2Fweb-0');
  });
});

test('the same packet is followed again', async () => {
  await open('#/path?from=9.0.0.2&to=9.0.0.6');
  await screen.findByText('Nothing on the way stops it.');
  operator.hops.node2 = [hop('member', 'Wrong', '172.17.0.2 is not in overlaynet-members-4')];
  fireEvent.click(screen.getByRole('button', { name: 'Follow the packet' }));
  await screen.findByText(/^It is stopped: Membership in the tunnel on node2\./);
});

test('the page shows a refusal of the operator, and which role a viewer needs', async () => {
  await open('#/path?from=shop%2Fnone&to=9.0.0.6');
  expect((await screen.findByRole('alert')).textContent).toContain('no node has a record of this pod');
  cleanup();
  signOut();
  operator.refuse.set('containers', [403, 'bind the ClusterRole overlaynet-inspector to that user']);
  await open('#/path?from=shop%2Fweb-0&to=9.0.0.6');
  expect((await screen.findByRole('alert')).textContent).toContain('This token may not see containers');
});

test('pods are offered by their names, each once, and Docker’s containers by their addresses', () => {
  const [web, db] = operator.containers;
  const docker = container({ name: 'redis', pod: undefined as never, addresses: ['fe80::2', '9.0.0.130'] });
  expect(offersOf([web!, { ...web!, network: 'other' }, db!, docker]).map(({ value }) => value)).toEqual([
    'shop/web-0',
    'shop/db-0',
    '9.0.0.130',
  ]);
});
