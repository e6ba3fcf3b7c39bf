/** @jest-environment ./test/support/browser.ts */
import { cleanup, render, screen, waitFor, within } from '@testing-library/preact';
import { signIn, signOut } from '../../../src/page/api.ts';
import { Frame } from '../../../src/page/frame.tsx';
import { parseRoute, route } from '../../../src/page/route.ts';
import { world } from '../rows/world.ts';
import { Operator } from './bed.ts';

/** An agent that was killed wrote Ready last, and nothing writes anything else for it. */
let operator: Operator;
const killed = { node: 'node1', reason: 'connect ECONNREFUSED' };

beforeEach(() => {
  operator = new Operator(world());
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

const rowOf = async (table: string, node: string) =>
  within(await screen.findByRole('table', { name: table })).findByRole('row', {
    name: new RegExp(`^${node} `),
  });

test('a silent agent has a shape and a colour of its own in the grid, the numbers, the list and its own view', async () => {
  operator.unanswered = [killed];
  await open('#/agents');
  const grid = await screen.findByRole('list', { name: 'Grid' });
  const cell = await within(grid).findByRole('link', { name: 'node1 Silent' });
  expect([cell.className, cell.querySelector('[aria-hidden]')?.textContent]).toEqual(['odd', '▲']);
  expect(cell.title).toContain('Its agent does not answer: connect ECONNREFUSED.');
  expect((await rowOf('List', 'node1')).textContent).toMatch(/▲ SilentIts agent does not answer/);
  const numbers = screen.getAllByRole('status').map((one) => one.textContent);
  expect(numbers.some((one) => one.includes('▲ 1 Silent'))).toBe(true);
  cleanup();
  signOut();
  await open('#/agents/node1');
  await screen.findByRole('heading', { level: 1, name: 'node1 Silent' });
  cleanup();
  signOut();
  await open('#/agents/node2');
  const peer = await rowOf('Peers: the other ends of its tunnel', 'node1');
  expect(peer.textContent).toContain('▲ Silent');
  cleanup();
  signOut();
  await open('#/networks/dcos');
  const there = await screen.findByRole('list', { name: 'Grid' });
  await within(there).findByRole('link', { name: 'node1 Silent' });
});

test('a search finds the silent agents, of whose state the operator does not know', async () => {
  operator.unanswered = [killed];
  await open('#/agents?search=Silent');
  const grid = await screen.findByRole('list', { name: 'Grid' });
  expect(
    within(grid)
      .getAllByRole('link')
      .map((one) => one.getAttribute('href')),
  ).toEqual(['#/agents/node1']);
});

test('a worse state than silence stays, with its reason', async () => {
  operator.unanswered = [{ ...killed, node: 'node2' }];
  await open('#/agents/node2');
  await screen.findByRole('heading', { level: 1, name: 'node2 Failed' });
  const alert = (await screen.findByRole('alert')).textContent;
  expect(alert).toContain('Its agent does not answer: connect ECONNREFUSED.');
  expect(alert).toMatch(/What to do: kubectl overlay why node node2$/);
});

test('an agent that answered without all of its containers is not silent', async () => {
  operator.unanswered = [{ node: 'node1', reason: 'Docker: no answer', answer: 'Partial' }];
  await open('#/agents');
  await screen.findByText(/The agents of 1 node did not answer, or not in full/);
  await screen.findByRole('link', { name: 'node1 Ready' });
  cleanup();
  signOut();
  await open('#/agents/node1');
  await screen.findByRole('heading', { level: 1, name: 'node1 Ready' });
  expect(screen.queryByText(/Its agent does not answer/)).toBeNull();
});

test('an agent that was not asked, because too many others did not answer in time, is not silent', async () => {
  operator.unanswered = [{ node: 'node1', reason: 'it was not its turn within 5000 ms', answer: 'NotAsked' }];
  await open('#/agents');
  await screen.findByText(/The agents of 1 node did not answer, or not in full/);
  await screen.findByRole('link', { name: 'node1 Ready' });
});

test('an agent’s view says when its last pass ended, and what failed in it', async () => {
  operator.passes.set('node1', { endedAt: new Date(Date.now() - 65_000).toISOString(), problem: '' });
  operator.passes.set('node2', { endedAt: new Date().toISOString(), problem: 'dcos: no vxlan' });
  const pass = async () => {
    const name = await screen.findByText('Last pass');
    await waitFor(() => {
      expect(name.nextElementSibling?.textContent).toContain('ended');
    });
    return name.nextElementSibling!.textContent;
  };
  await open('#/agents/node1');
  expect(await pass()).toMatch(/^● OK ended 6\ds ago$/);
  cleanup();
  signOut();
  await open('#/agents/node2');
  expect(await pass()).toMatch(/^✖ Failed ended \ds ago: dcos: no vxlan$/);
});
