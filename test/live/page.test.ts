import { jest } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { buildPage } from '../../hack/page/build.ts';
import type { OverlayAgent } from '../../src/api/types.ts';
import { overlayAgents } from '../../src/kube/resources.ts';
import { requestToken } from '../../src/kube/token.ts';
import { accessibility, launch, openTab, type Tab } from '../support/chromium.ts';
import { CommandBed, namespace } from '../support/commandbed.ts';
import { attachment } from '../support/fixture.ts';
import { TempDir } from '../support/kubeprocess.ts';
import { eventually } from '../support/eventually.ts';

jest.setTimeout(120_000);

const temp = new TempDir('ovt-page-');
const directory = path.join(temp.path, 'ui');
let bed: CommandBed;
let browser: Browser;
let tab: Tab;
let page: Page;

/** Waits until the page shows it: a busy machine takes its time. */
const sees = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 20_000 });

function container(name: string, pod: string, address: string): void {
  const [first] = attachment().interfaces;
  writeFileSync(
    path.join(bed.stateDir, 'attachments', `${name}:eth0.json`),
    JSON.stringify(attachment({ pod, interfaces: [{ ...first!, addresses: [address, 'fe80::1'] }] })),
  );
}

const url = () => `https://127.0.0.1:${bed.port}/ui/`;
const token = (account: string) => requestToken(bed.plane.client, namespace, account);

async function signIn(given: string): Promise<void> {
  await page.getByLabel('Token').fill(given);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

beforeAll(async () => {
  await buildPage(directory);
  [bed, browser] = await Promise.all([CommandBed.start('--page', directory), launch()]);
  container('cafe', 'web-0', '9.0.0.2');
  tab = await openTab(browser, `${url()}#/networks/dcos`);
  ({ page } = tab);
}, 180_000);
afterAll(async () => {
  await browser.close();
  await bed.stop();
  await temp.remove();
});

test('the script is at most 150 kB, compressed', () => {
  const scripts = readdirSync(directory).filter((name) => name.endsWith('.js'));
  const sizes = scripts.map((name) => gzipSync(readFileSync(path.join(directory, name))).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(150_000);
  expect(sizes).toHaveLength(1);
});

test('a token is asked for once, and a link leads to its view behind that', async () => {
  await sees('kubectl overlay ui');
  expect(await accessibility(page)).toEqual([]);
  await signIn('nonsense');
  await sees(/API server does not know this token/);
  // what the browser itself writes of the two answers with 401
  tab.errors = tab.errors.filter((one) => !one.includes('401'));
  await signIn(await token('overlaynet-inspector'));
  await page.getByRole('heading', { name: /^dcos/, level: 1 }).waitFor({ timeout: 20_000 });
  const stored = await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])');
  expect(stored).toBe('[{},{},""]');
});

test.each([
  ['#/', 'Overview', /things? do(es)? not work|warning/],
  ['#/networks/dcos', 'dcos Waiting', '9.0.0.0/24'],
  ['#/agents', 'Agents', 'node1'],
  ['#/agents/node1', 'node1', '9.0.0.0/25'],
  ['#/containers', 'Containers', 'default/web-0'],
])('%s shows what the operator knows, and axe finds nothing', async (hash, heading, text) => {
  await page.evaluate(`location.hash = '${hash}'`);
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor({ timeout: 20_000 });
  await sees(text);
  await sees('Live');
  expect(await accessibility(page)).toEqual([]);
  expect(tab.errors).toEqual([]);
});

test('a container that starts comes by itself, and is found as one types', async () => {
  await page.evaluate("location.hash = '#/containers'");
  await sees('default/web-0');
  container('beef', 'api-1', '9.0.0.7');
  await sees('default/api-1');
  await page.getByRole('searchbox').fill('9.0.0.7');
  await sees('1 container');
  expect(await page.getByText('default/web-0').count()).toBe(0);
  await page.getByRole('searchbox').fill('');
  rmSync(path.join(bed.stateDir, 'attachments', 'beef:eth0.json'));
  await sees('default/web-0');
});

test('a name that is a program is shown and does not run', async () => {
  const hostile = '<img src=x onerror=alert(1)>"\'><script>alert(2)</script>';
  container('evil', hostile, '9.0.0.9');
  await sees(/alert\(1\)/);
  await page.evaluate("location.hash = '#/agents/%3Cimg%20src%3Dx%20onerror%3Dalert(3)%3E'");
  await sees(/parameter node="<img src=x/);
  // what the browser itself writes of a question that the operator does not take
  tab.errors = tab.errors.filter((one) => !one.includes('400'));
  await page.evaluate("location.hash = '#/containers?search=%3Cscript%3Ealert(2)%3C%2Fscript%3E'");
  await sees(/1 container/);
  expect(await page.locator('[onerror]').count()).toBe(0);
  expect(await page.locator('main script').count()).toBe(0);
  expect(tab.errors).toEqual([]);
  rmSync(path.join(bed.stateDir, 'attachments', 'evil:eth0.json'));
});

test('what an agent says new comes by itself', async () => {
  await page.evaluate("location.hash = '#/agents/node1'");
  await sees('9.0.0.0/25');
  const agent = await bed.plane.client.get<OverlayAgent>(overlayAgents, 'node1');
  await bed.plane.client.updateStatus<OverlayAgent>(overlayAgents, {
    ...agent!,
    status: {
      ...agent!.status,
      conditions: [
        {
          type: 'DataPathReady',
          status: 'False',
          reason: 'Failed',
          message: 'ip link add vtep1024: Operation not supported',
          lastTransitionTime: new Date().toISOString(),
        },
      ],
    },
  });
  await sees('ip link add vtep1024: Operation not supported');
  await page.getByRole('heading', { name: 'node1 Failed' }).waitFor({ timeout: 20_000 });
});

test('an operator that restarts is said, and the page goes on with what is new', async () => {
  await bed.operator.kill();
  await sees(/What you see may be old/);
  await bed.startOperator();
  await sees('Live');
  await eventually(
    () => page.getByText(/What you see may be old/).count(),
    (count) => count === 0,
    { seconds: 60 },
  );
  // what the browser itself writes of connections that were refused
  tab.errors = tab.errors.filter((one) => !/net::ERR|503/.test(one));
});

test('an agent that does not answer is named beside the containers', async () => {
  await bed.agent.close();
  await page.evaluate("location.hash = '#/containers'");
  await sees(/The agents of 1 node did not answer/);
  expect(await accessibility(page)).toEqual([]);
});

test('a viewer sees everything but containers, and is told what that needs', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(await token('overlaynet-viewer'));
  await sees(/This token may not see containers/);
  tab.errors = tab.errors.filter((one) => !one.includes('403'));
});

test('nothing but the operator was asked for anything, and no script broke', () => {
  expect([...tab.origins]).toEqual([`https://127.0.0.1:${bed.port}`]);
  expect(tab.errors).toEqual([]);
});

test('kubectl overlay ui leads there, with a word in place of the token', async () => {
  const child = spawn(bed.command.file, ['ui', '--no-browser'], {
    env: { PATH: process.env.PATH, HOME: temp.path, KUBECONFIG: bed.plane.kubeconfig },
  });
  try {
    const out = { text: '', wrong: '' };
    child.stdout.on('data', (chunk: Buffer) => (out.text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (out.wrong += chunk.toString()));
    const { text } = await eventually(
      () => out,
      ({ text }) => text.endsWith('\n'),
      { seconds: 60 },
    );
    const [, address = '', word = ''] = /^http:\/\/([\d.:]+)\/ui\/#token=([\w-]{32})\n$/.exec(text) ?? [
      text + out.wrong,
    ];
    const there = await openTab(browser, `http://${address}/ui/#token=${word}`);
    await there.page.getByRole('heading', { name: 'Overview' }).waitFor({ timeout: 20_000 });
    await there.page.getByText('Live').waitFor({ timeout: 20_000 });
    expect(there.page.url()).toBe(`http://${address}/ui/#/`);
    expect([there.errors, [...there.origins]]).toEqual([[], [`http://${address}`]]);
    const ask = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`http://${address}${url}`, { headers, method }).then(({ status }) => status);
    expect(await ask('/api/v1/networks')).toBe(401);
    expect(await ask('/api/v1/networks', { authorization: 'Bearer x' })).toBe(401);
    expect(await ask('/api/v1/networks', { authorization: `Bearer ${word}` })).toBe(200);
    expect(await ask('/api/v1/networks', { authorization: `Bearer ${word}` }, 'POST')).toBe(405);
    expect(await ask('/metrics', { authorization: `Bearer ${word}` })).toBe(404);
    await there.context.close();
  } finally {
    child.kill();
  }
});
