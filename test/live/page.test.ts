import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
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

const temp = new TempDir('ovt-page-');
const directory = path.join(temp.path, 'ui');
let bed: CommandBed;
let browser: Browser;
let tab: Tab;
let page: Page;

/** Waits until the page shows it, as a busy machine takes its time. */
const sees = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 60_000 });

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
  [bed, browser] = await Promise.all([CommandBed.start({ flags: ['--page', directory] }), launch()]);
  container('cafe', 'web-0', '9.0.0.2');
  tab = await openTab(browser, `${url()}#/networks/dcos`);
  ({ page } = tab);
}, 180_000);
afterAll(async () => {
  await browser.close();
  await bed.stop();
  await temp.remove();
});

test('the page asks for a token once, and then opens the view of the link', async () => {
  await sees('kubectl overlay ui');
  expect(await accessibility(page)).toEqual([]);
  await signIn('nonsense');
  await sees(/API server does not know this token/);
  // the browser itself logs the two answers with 401
  tab.errors = tab.errors.filter((one) => !one.includes('401'));
  await signIn(await token('overlaynet-inspector'));
  await page.getByRole('heading', { name: /^dcos/, level: 1 }).waitFor({ timeout: 60_000 });
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
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor({ timeout: 60_000 });
  await sees(text);
  await sees('Live');
  expect(await accessibility(page)).toEqual([]);
  expect(tab.errors).toEqual([]);
});

test('a container that starts appears without a reload, and the search finds it', async () => {
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

/**
 * What failed, but for what is refused on purpose: of a node with a hostile name, and of a viewer. The browser itself
 * logs each such request, some of them later than the page shows the refusal.
 */
const unexpected = () =>
  tab.errors.filter((one) => !/ 400 .*onerror/.test(one) && !/ 403 .*\/api\/v1\//.test(one));

test('a name that contains a script is shown as text', async () => {
  const hostile = '<img src=x onerror=alert(1)>"\'><script>alert(2)</script>';
  container('evil', hostile, '9.0.0.9');
  await sees(/alert\(1\)/);
  await page.evaluate("location.hash = '#/agents/%3Cimg%20src%3Dx%20onerror%3Dalert(3)%3E'");
  await sees(/parameter node="<img src=x/);
  await page.evaluate("location.hash = '#/containers?search=%3Cscript%3Ealert(2)%3C%2Fscript%3E'");
  await sees(/1 container/);
  expect(await page.locator('[onerror]').count()).toBe(0);
  expect(await page.locator('main script').count()).toBe(0);
  expect(unexpected()).toEqual([]);
  rmSync(path.join(bed.stateDir, 'attachments', 'evil:eth0.json'));
});

test('a changed report of an agent appears without a reload', async () => {
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
  await page.getByRole('heading', { name: 'node1 Failed' }).waitFor({ timeout: 60_000 });
});

test('the page says that an operator restarts, and continues with new data', async () => {
  await bed.operator.kill();
  await sees(/What you see may be old/);
  await bed.startOperator();
  await sees('Live');
  await eventually(
    () => page.getByText(/What you see may be old/).count(),
    (count) => count === 0,
    { seconds: 60 },
  );
  // the browser itself logs refused connections
  tab.errors = tab.errors.filter((one) => !/net::ERR|503/.test(one));
});

test('the page names an agent that does not answer', async () => {
  await bed.agent.close();
  await page.evaluate("location.hash = '#/containers'");
  await sees(/The agents of 1 node did not answer/);
  expect(await accessibility(page)).toEqual([]);
});

test('a viewer sees everything except containers, and the page says that the token may not see these', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(await token('overlaynet-viewer'));
  await sees(/This token may not see containers/);
});

test('the page sent requests only to the operator, and no script failed', () => {
  expect([...tab.origins]).toEqual([`https://127.0.0.1:${bed.port}`]);
  expect(unexpected()).toEqual([]);
});

test('kubectl overlay ui opens the page, with a placeholder for the token', async () => {
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
    await there.page.getByRole('heading', { name: 'Overview' }).waitFor({ timeout: 60_000 });
    await there.page.getByText('Live').waitFor({ timeout: 60_000 });
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
