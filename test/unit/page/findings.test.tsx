/** @jest-environment ./test/support/browser.ts */
import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/preact';
import { signIn, signOut } from '../../../src/page/api.ts';
import { Frame } from '../../../src/page/frame.tsx';
import { parseRoute, route } from '../../../src/page/route.ts';
import { world } from '../rows/world.ts';
import { Operator } from './bed.ts';

afterEach(() => {
  cleanup();
  signOut();
});

const findings = async () => {
  const heading = await screen.findByRole('heading', { name: 'Needs attention' });
  return [...heading.parentElement!.querySelectorAll('li')].map((one) => one.textContent);
};

test('a fault of many nodes is shown once, with how many have it, and hides no other; all come on request', async () => {
  const operator = new Operator(world());
  const failed = operator.world.agents.get('node2')!;
  operator.world.agents = new Map(
    Array.from({ length: 40 }, (_, at) => `broken${at}`).map((name) => [
      name,
      { ...failed, metadata: { ...failed.metadata, name } },
    ]),
  );
  route.value = parseRoute('#/');
  render(<Frame />);
  await signIn(undefined);

  const short = await findings();
  expect(short).toHaveLength(5);
  expect(short.filter((one) => one.includes('DataPathReady Failed'))).toEqual([
    expect.stringMatching(/overlayagent\/broken0 .*no vxlan And 39 more of this kind\./),
  ]);
  expect(short.filter((one) => one.includes('MassDeparture'))).toEqual([
    expect.not.stringContaining('of this kind'),
  ]);
  fireEvent.click(screen.getByRole('button', { name: /^Show all \d+$/ }));
  const whole = await findings();
  expect(whole.filter((one) => one.includes('DataPathReady Failed'))).toHaveLength(40);
  expect(whole.join()).not.toContain('of this kind');
});

test('an agent that does not answer is among the findings and not among the ready ones, in each view', async () => {
  const operator = new Operator(world());
  operator.unanswered = [{ node: 'node1', reason: 'connect ECONNREFUSED' }];
  const open = async (hash: string) => {
    route.value = parseRoute(hash);
    render(<Frame />);
    await signIn(undefined);
  };
  const readyAgents = async () => {
    const line = await screen.findByText(/do(es)? not work/);
    return Number(/(\d+) of \d+ agents? ready/.exec(line.parentElement!.textContent)?.[1]);
  };
  await open('#/');
  fireEvent.click(await screen.findByRole('button', { name: /^Show all \d+$/ }));
  await screen.findByText(/Its agent does not answer: connect ECONNREFUSED\./);
  const link = screen.getAllByRole('link', { name: 'overlayagent/node1' });
  expect(link.at(-1)?.getAttribute('href')).toBe('#/agents/node1');
  const without = await readyAgents();
  cleanup();
  signOut();
  operator.unanswered = [];
  await open('#/');
  await screen.findByRole('link', { name: 'dcos' });
  expect(await readyAgents()).toBe(without + 1);
  cleanup();
  signOut();
  operator.unanswered = [{ node: 'node1', reason: 'connect ECONNREFUSED' }];
  await open('#/agents/node1');
  expect((await screen.findByRole('alert')).textContent).toContain('does not answer: connect ECONNREFUSED');
  cleanup();
  signOut();
  await open('#/agents');
  await screen.findByText(/The agents of 1 node did not answer/);
});

test.each([
  [['a', 'b', 'c'], true],
  [['a', 'b', 'c', 'd'], false],
])('the names of silent agents %j are shown at once: %s', async (nodes, atOnce) => {
  const operator = new Operator(world());
  operator.unanswered = nodes.map((node) => ({ node, reason: 'late' }));
  route.value = parseRoute('#/agents');
  render(<Frame />);
  await signIn(undefined);
  const line = await screen.findByText(/The agents of \d nodes did not answer/);
  expect(line.closest('details')?.open).toBe(atOnce);
});

test.each(['findings', 'agents'] as const)(
  'the overview claims nothing of what it could not read: %s',
  async (kind) => {
    const operator = new Operator({ ...world(), networks: [], nodes: new Map(), agents: new Map() });
    operator.refuse.set(kind, [500, 'connect ECONNREFUSED']);
    route.value = parseRoute('#/');
    render(<Frame />);
    await signIn(undefined);
    await screen.findAllByText('The operator does not answer this: connect ECONNREFUSED');
    const asked = (of: string) => operator.asked.filter(({ url }) => url.pathname.endsWith(`/${of}`)).length;
    // a second question begins when the first answer is on the page; one for networks was the sign-in's
    await waitFor(
      () => {
        expect([asked('findings'), asked('agents'), asked('networks') - 1].every((times) => times > 1)).toBe(
          true,
        );
      },
      { timeout: 30_000 },
    );
    expect(screen.queryByText(/No agent has registered|Everything works|agents ready/)).toBeNull();
  },
  60_000,
);
