/** @jest-environment ./test/support/browser.ts */
import { cleanup, render, screen, waitFor, within } from '@testing-library/preact';
import { signIn, signOut } from '../../../src/page/api.ts';
import { Frame } from '../../../src/page/frame.tsx';
import { parseRoute, route } from '../../../src/page/route.ts';
import type { PeerRow } from '../../../src/rows/probe.ts';
import { world } from '../rows/world.ts';
import { Operator } from './bed.ts';

const since = '2026-01-01T00:00:00Z';
const probed = (changes: Partial<PeerRow> = {}): PeerRow => ({
  ...{ node: 'node1', peer: 'node2', is: 'OK', evidence: '', remedy: '', at: since, since },
  ...{ underlayMs: 0.3, overlayMs: 0.61 },
  ...changes,
});
let operator: Operator;

beforeEach(() => {
  operator = new Operator(world());
});
afterEach(() => {
  cleanup();
  signOut();
});

/** Rows of the table of node1's peers, with the head. */
async function peersOfNode1(): Promise<(string | null)[]> {
  route.value = parseRoute('#/agents/node1');
  render(<Frame />);
  await signIn(undefined);
  const table = await screen.findByRole('table', { name: 'Peers: the other ends of its tunnel' });
  await waitFor(() => {
    expect(
      operator.asked.some(
        ({ url }) => url.pathname === '/api/v1/peers' && url.searchParams.get('node') === 'node1',
      ),
    ).toBe(true);
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  return within(table)
    .getAllByRole('row')
    .map((row) => row.textContent);
}

test('a node’s peers show what the last probe came to, and how long it took', async () => {
  operator.reached = [probed()];
  const [head, ...rows] = await peersOfNode1();
  expect(head).toContain('Last probe Round trip');
  expect(rows.find((one) => one?.startsWith('node2'))).toMatch(/● OK 0\.6 ms$/);
  // it was not probed yet
  expect(rows.find((one) => one?.startsWith('node3'))).toMatch(/:03$/);
});

test('a verdict shows with its evidence and remedy, and nothing in it is markup', async () => {
  operator.reached = [
    probed({
      is: 'Wrong',
      verdict: 'PortBlocked',
      evidence: '<b>no</b> packet arrives',
      remedy: 'open the port',
    }),
  ];
  const [, ...rows] = await peersOfNode1();
  expect(rows.find((one) => one?.startsWith('node2'))).toContain(
    '✖ PortBlocked <b>no</b> packet arrives; open the port',
  );
});

test.each<[what: string, set: () => void]>([
  ['agents do not probe', () => (operator.reached = [probed({ is: 'Unprobed' })])],
  ['the token may not see it', () => operator.refuse.set('peers', [403, 'no right'])],
])('where %s the peers are there without it', async (_, set) => {
  set();
  const [head, ...rows] = await peersOfNode1();
  expect(head).not.toContain('Last probe');
  expect(rows).toHaveLength(2);
});

test('an agent shows the revision that it has applied, and its peers without itself', async () => {
  const [, ...peers] = await peersOfNode1();
  await screen.findByText('revision 1 applied, the newest');
  expect(peers.some((one) => one?.startsWith('node2'))).toBe(true);
  expect(peers.some((one) => one?.startsWith('node1'))).toBe(false);
});
