import type { Browser, Page } from 'playwright-core';
import { addressesOf } from '../../hack/testbed/lab.ts';
import { nodesOf } from '../../hack/testbed/namespaces.ts';
import { end, signalRole } from '../../hack/testbed/processes.ts';
import { startAgent, startOperator } from '../../hack/testbed/workloads.ts';
import { accessibility, launch, openTab, type Tab } from '../support/chromium.ts';
import { attachment } from '../support/fixture.ts';
import { addressOf, agentReady, environment, kubectl, lab, onNode, withdraw } from '../support/lab.ts';
import { dropPod, joinPod, leavePod, makePod, type Pod } from '../support/pods.ts';

/** The page in Chromium, with real operators, agents and kernels behind it. */
const operators = [1, 2];
const nodes = nodesOf(lab);
let browser: Browser;
let tab: Tab;
let page: Page;

const url = (hash: string) => `${new URL(environment('STATE_URL')).origin}/ui/${hash}`;
const show = (hash: string) => page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
const sees = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 60_000 });
const heading = (name: string | RegExp) =>
  page.getByRole('heading', { name, level: 1 }).waitFor({ timeout: 60_000 });
/** Returns the errors except the browser's own about connections that were cut. */
const errors = () => tab.errors.filter((one) => !/net::ERR|50[0-9]/.test(one));

beforeAll(async () => {
  browser = await launch();
  tab = await openTab(browser, url('#/containers'));
  ({ page } = tab);
  await sees('4 containers');
}, 180_000);

afterAll(async () => {
  await browser.close();
  await withdraw('tiny');
  for (const node of nodes) await agentReady(node);
}, 180_000);

test('the first paint is measured: a second is wanted, ten are too many on any machine', async () => {
  const paints: number[] = [];
  for (let at = 0; at < 5; at++) {
    const { page: fresh, context } = await openTab(browser, url('#/'));
    await fresh.getByRole('heading', { level: 1 }).waitFor();
    const paint = `performance.getEntriesByName('first-contentful-paint')[0].startTime`;
    paints.push(Math.round(await fresh.evaluate(paint)));
    await context.close();
  }
  const sorted = paints.toSorted((a, b) => a - b);
  console.log(`first paint: ${sorted.join(', ')} ms`);
  // a busy machine adds time that does not belong to the page
  expect(sorted[2]).toBeLessThan(10_000);
});

test.each([
  ['#/', 'Overview', '9.0.0.0/8 /24'],
  ['#/networks/dcos', /^dcos/, /^9\.0\.0\.0\/\d+, /],
  ['#/networks/dcos6', /^dcos6/, /^fd01:b::\/\d+, /],
  ['#/agents', 'Agents', 'node3'],
  ['#/agents/node2', /^node2/, '9.0.1.0/25'],
  ['#/containers', 'Containers', '9.0.1.2'],
  ['#/path', 'Data path', 'Follow the packet'],
])('%s shows the lab, and axe finds nothing', async (hash, name, text) => {
  await show(hash);
  await heading(name);
  await sees(text);
  await sees('Live');
  expect(await accessibility(page)).toEqual([]);
  expect(errors()).toEqual([]);
});

test('the page draws the way between two containers as both kernels report it', async () => {
  const [from, to] = [addressOf('node2', 'dcos'), addressOf('node3', 'dcos')];
  await show(`#/path?from=${from}&to=${to}`);
  const sender = page.getByRole('region', { name: /^Sends: node2/ });
  await sender.getByText(`${from} is on m-dcos`).waitFor({ timeout: 60_000 });
  await sender.getByText(`is behind ${addressesOf('node3')[0]} on vtep1024`).waitFor();
  const receiver = page.getByRole('region', { name: /^Receives: node3/ });
  await receiver.getByText(/is in overlaynet-members-4/).waitFor();
  // `up` pinged it, but the kernel may have removed the neighbour since
  await sees(/Nothing on the way stops it|Nothing that could be read stops it/);
  expect(await accessibility(page)).toEqual([]);
});

test('a container that starts appears in the list and the count without a reload, and disappears when it ends', async () => {
  const pod: Pod = { node: 'node2', name: 'ovt-live' };
  await show('#/');
  const row = page.getByRole('row', { name: /^dcos / });
  await row.getByRole('link', { name: '2', exact: true }).waitFor({ timeout: 60_000 });
  await show('#/containers?network=dcos');
  await sees('2 containers');
  await makePod(pod);
  try {
    const joined = await joinPod(pod);
    await sees('3 containers');
    await sees('addresses' in joined ? joined.addresses[0]! : '');
    await show('#/');
    await row.getByRole('link', { name: '3', exact: true }).waitFor({ timeout: 60_000 });
  } finally {
    await leavePod(pod);
    await dropPod(pod);
  }
  await show('#/containers?network=dcos');
  await sees('2 containers');
});

test('a newcomer sees which pod has an address, and that a closed network is reached by no other and by no node', async () => {
  const closed = {
    apiVersion: 'overlaynet.dev/v1alpha1',
    kind: 'OverlayNetwork',
    metadata: { name: 'closed' },
    spec: {
      subnets: [{ cidr: '10.87.1.0/26', prefix: 28 }],
      isolation: { mode: 'Isolated', hosts: 'Deny' },
    },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(closed));
  const pod: Pod = { node: 'node2', name: 'ovt-asked' };
  await makePod(pod);
  try {
    const joined = await joinPod(pod);
    const [address = ''] = 'addresses' in joined ? joined.addresses : [];
    await page.getByRole('link', { name: 'Containers', exact: true }).click();
    await page.getByRole('searchbox').fill(address);
    await sees('1 container');
    await sees('default/ovt-asked');
    await page.getByRole('link', { name: 'Overview' }).click();
    const row = page.getByRole('row', { name: /^closed Ready 3 of 3/ });
    await row.getByRole('link', { name: 'closed' }).click({ timeout: 60_000 });
    const isolation = page.getByRole('region', { name: 'Isolation' });
    for (const other of ['dcos', 'dcos6', 'other nodes', 'API server'])
      await isolation.getByRole('row', { name: `${other} denied by closed` }).waitFor({ timeout: 60_000 });
    expect(await accessibility(page)).toEqual([]);
    // the kernel judges as the picture says
    await show(`#/path?from=${address}&to=10.87.1.40`);
    await sees('It is stopped: Rules (isolation, guards) on node2.');
  } finally {
    await leavePod(pod);
    await dropPod(pod);
    await withdraw('closed');
  }
});

test('a name that contains a script is shown as text', async () => {
  const file = '/var/lib/overlaynet/attachments/evil:eth0.json';
  const hostile = '<img src=x onerror=alert(1)>';
  const text = JSON.stringify(attachment({ containerID: 'evil', pod: hostile }));
  await onNode('node2', process.execPath, '-e', `fs.writeFileSync('${file}', ${JSON.stringify(text)})`);
  try {
    await show('#/containers');
    await sees(/onerror=alert\(1\)/);
    expect(await page.locator('[onerror]').count()).toBe(0);
    expect(errors()).toEqual([]);
  } finally {
    await onNode('node2', 'rm', file);
  }
});

test('a network that becomes full appears among the findings without a reload, with a link', async () => {
  await show('#/');
  const tiny = {
    apiVersion: 'overlaynet.dev/v1alpha1',
    kind: 'OverlayNetwork',
    metadata: { name: 'tiny' },
    spec: { subnets: [{ cidr: '10.87.0.0/27', prefix: 28 }] },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(tiny));
  await page
    .getByRole('row', { name: /^tiny / })
    .getByText('2 of 2')
    .waitFor({ timeout: 60_000 });
  await page.getByRole('link', { name: 'overlaynetwork/tiny' }).first().click();
  await heading(/^tiny/);
  await sees(/append a subnet/);
  // the Event that the operator sent to the API server appears on the page
  await page.getByRole('region', { name: 'Events' }).getByRole('row').nth(1).waitFor({ timeout: 60_000 });
  expect(await accessibility(page)).toEqual([]);
});

test('the page names an agent that was killed, and shows its containers again when it is back', async () => {
  await show('#/containers');
  await sees('4 containers');
  signalRole(lab, 'agent-node3', 'SIGKILL');
  await sees(/The agents of 1 node did not answer/);
  await show('#/');
  await sees(/Its agent does not answer: /);
  await sees('2 of 3 agents ready');
  await page.getByRole('link', { name: 'overlayagent/node3' }).first().click();
  await heading('node3 Silent');
  await page
    .getByRole('alert')
    .getByText(/Its agent does not answer: /)
    .waitFor({ timeout: 60_000 });
  await show('#/agents');
  const grid = page.getByRole('list', { name: 'Grid' });
  await grid.getByRole('link', { name: 'node3 Silent' }).waitFor({ timeout: 60_000 });
  await page.getByRole('row', { name: /^node3 Silent Its agent does not answer/ }).waitFor();
  expect(await accessibility(page)).toEqual([]);
  const [from, to] = [addressOf('node2', 'dcos'), addressOf('node3', 'dcos')];
  await show(`#/path?from=${from}&to=${to}`);
  await sees('the agent of node3 did not answer');
  await end(lab, { role: 'agent-node3' }, 'SIGTERM');
  startAgent(lab, 'node3');
  await show('#/containers');
  await sees('4 containers');
  await show('#/agents/node3');
  await heading('node3 Ready');
  await sees(/^ended \d+s ago$/);
  await show('#/containers');
});

test('the page says that all operators are gone, and continues with the next one', async () => {
  for (const number of operators) await end(lab, { role: `operator-${number}` }, 'SIGTERM');
  await sees(/What you see may be old/);
  for (const number of operators) startOperator(lab, number);
  await sees('Live');
  await page.getByText(/What you see may be old/).waitFor({ state: 'detached', timeout: 60_000 });
  await sees('4 containers');
  expect(errors()).toEqual([]);
  expect([...tab.origins]).toEqual([new URL(url('')).origin]);
});
