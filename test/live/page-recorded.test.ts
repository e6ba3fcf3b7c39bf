import { jest } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { buildPage } from '../../hack/page/build.ts';
import { record, type Recorded } from '../../hack/page/recorded.ts';
import { serveRecorded } from '../../hack/page/serve.ts';
import { containerPage } from '../../src/rows/containers.ts';
import type { Server } from '../../src/serve/http.ts';
import { accessibility, launch, openTab } from '../support/chromium.ts';
import { TempDir } from '../support/kubeprocess.ts';

jest.setTimeout(240_000);

/** Recorded clusters behind the operator's own rows and server. */
const temp = new TempDir('ovt-page-');
const directory = path.join(temp.path, 'ui');
let browser: Browser;
let small: Server;
let large: Server;
let moving: Server;
let fifty: Recorded;

beforeAll(async () => {
  await buildPage(directory);
  browser = await launch();
  const three = record({ nodes: 3, containers: 120 });
  small = await serveRecorded(directory, () => three);
  const thousand = record({ nodes: 1_000, containers: 50_000 });
  large = await serveRecorded(directory, () => thousand);
  fifty = thousand;
  moving = await serveRecorded(directory, () => fifty);
});
afterAll(async () => {
  await browser.close();
  await small.close();
  await large.close();
  await moving.close();
  await temp.remove();
});

const views = [
  '#/',
  '#/networks/web',
  '#/agents',
  '#/agents/node3',
  '#/containers',
  '#/path?from=9.0.0.2&to=9.0.1.2&port=80',
  '#/path?from=9.0.0.2&to=9.0.2.2',
];

/** Opens a view and waits until its rows have loaded. */
async function shown(server: Server, hash: string, options: { width?: number; dark?: boolean } = {}) {
  const tab = await openTab(browser, `http://${server.address}/ui/${hash}`, options);
  await tab.page.getByRole('heading', { level: 1 }).waitFor();
  await tab.page.locator('[role="row"], tbody tr, .hops li').nth(1).waitFor();
  return tab;
}

/** The tables that scroll sideways, because they are wider than their place. */
const wider = `[...document.querySelectorAll('.wide, .scroller')]
  .filter((one) => one.scrollWidth > one.clientWidth)
  .map((one) => one.getAttribute('aria-label') ?? one.getAttribute('aria-labelledby'))`;

test.each(views)('%s: axe finds nothing in light and dark mode, and 360 px are enough', async (hash) => {
  for (const options of [{ dark: true, width: 1_200 }, { width: 360 }]) {
    const { page, errors, context } = await shown(small, hash, options);
    expect(await accessibility(page)).toEqual([]);
    const beyond = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(beyond)).toBe(0);
    if (options.width > 360) expect(await page.evaluate(wider)).toEqual([]);
    expect(errors).toEqual([]);
    await context.close();
  }
});

const line = (page: Page, text: string) =>
  page.locator('[role="row"]', { hasText: text }).first().innerText();

test('the page alone answers a newcomer’s four questions', async () => {
  const { page, context } = await shown(small, '#/containers?search=9.0.1.7');
  await page.getByText('1 container', { exact: true }).waitFor();
  expect(await line(page, '9.0.1.7')).toMatch(/billing\/worker-|shop\/|search\/|default\/|monitoring\//);
  await page.goto(`http://${small.address}/ui/#/agents/node3`);
  await page.getByRole('heading', { name: 'node3 Failed' }).waitFor();
  await page.getByText('RTNETLINK answers: Operation not supported').first().waitFor();
  await page.goto(`http://${large.address}/ui/#/`);
  // among the findings, and in the bars
  await page.getByText(/80 % or more of the blocks of 10\.60\.0\.0\/21 are used/).waitFor();
  const full = page.getByRole('row', { name: /^batch/ });
  // the usage loads after the network itself
  await full.getByText('126 of 128').waitFor();
  expect(await full.innerText()).toContain('126 of 128');
  await page.goto(`http://${small.address}/ui/#/networks/web`);
  await page.getByRole('row', { name: 'db allowed' }).waitFor();
  await page.getByRole('row', { name: 'dcos denied' }).waitFor();
  // the path of two pods: clicks as a person who has never seen the page
  await page.getByRole('link', { name: 'Data path', exact: true }).click();
  await page.getByLabel('From', { exact: true }).fill('shop/web-0');
  await page.getByLabel('To', { exact: true }).fill('billing/api-1');
  await page.getByRole('button', { name: 'Follow the packet' }).click();
  await page.getByText('Nothing on the way stops it.').waitFor();
  await context.close();
});

test('1,000 nodes are one grid with their states, and the list shows the worst first', async () => {
  const { page, context } = await shown(large, '#/agents');
  await page.getByRole('list', { name: 'Grid' }).getByRole('link').nth(999).waitFor();
  expect(await page.locator('[role="row"]').nth(1).innerText()).toContain('Failed');
  expect(await accessibility(page)).toEqual([]);
  await page.getByRole('link', { name: 'node229 Failed' }).click();
  await page.getByRole('heading', { name: 'node229 Failed' }).waitFor();
  await context.close();
});

test('50,000 containers scroll to the end, are sorted and saved, and few of them are in the document', async () => {
  const { page, errors, context } = await shown(large, '#/containers');
  const table = page.getByRole('table', { name: 'Containers' });
  expect(await table.getAttribute('aria-rowcount')).toBe('50001');
  const rows = page.locator('[role="row"].body');
  expect(await rows.count()).toBeLessThan(80);
  await page.locator('.scroller').evaluate((element) => {
    element.scrollTop = element.scrollHeight;
  });
  const last = page.locator('[role="row"][aria-rowindex="50001"]');
  // a row that is not drawn yet is drawn without data first
  await last
    .getByText(/\d+\.\d+\.\d+\.\d+/)
    .first()
    .waitFor({ timeout: 60_000 });
  expect(await last.innerText()).toMatch(/\d+\.\d+\.\d+\.\d+/);
  expect(await rows.count()).toBeLessThan(80);
  // the operator sorts, so that the first of all rows appears, wherever it was
  await page.locator('.scroller').evaluate((element) => {
    element.scrollTop = 0;
  });
  await page.getByRole('button', { name: /^Container/ }).click();
  await page.locator('[role="row"][aria-rowindex="2"]', { hasText: 'api-19' }).waitFor();
  const download = page.waitForEvent('download', { timeout: 100_000 });
  await page.getByRole('button', { name: 'Save as CSV' }).click();
  const lines = readFileSync(await (await download).path(), 'utf8')
    .trimEnd()
    .split('\r\n');
  expect(lines).toHaveLength(50_001);
  await page.getByRole('searchbox').fill('worker-4');
  await page.getByText(/^[\d,]+ containers$/).waitFor();
  expect(await line(page, 'worker-4')).toContain('worker-4');
  expect(errors).toEqual([]);
  await context.close();
});

test('a change among 50,000 containers appears at every scroll position', async () => {
  const { page, context } = await shown(moving, '#/containers');
  const row = page.locator('[role="row"][aria-rowindex="30001"]');
  await page.locator('.scroller').evaluate((element) => {
    element.scrollTop = 29_995 * 36;
  });
  await row.getByText(/02:/).waitFor();
  const [changed] = containerPage(fifty.containers, { limit: 1, offset: 29_999 }).items;
  fifty = {
    ...fifty,
    containers: fifty.containers.map((one) => (one === changed ? { ...one, mac: '02:00:00:00:be:ef' } : one)),
  };
  await row.getByText('02:00:00:00:be:ef').waitFor({ timeout: 60_000 });
  await context.close();
});

test.each([
  ['dcos', '9.0.0.0/8', /^9\.\d+\.\d+\.0\/24, 1 block$/],
  ['dcos6', 'fd01:b::/64', /^fd01:b:[0-9a-f:]*\/80, 1 block$/],
])('the address space of %s goes from all blocks down to one', async (name, cidr, block) => {
  const { page, context } = await shown(large, `#/networks/${name}`);
  const picture = page.getByRole('img', { name: `Address space ${cidr}` });
  await picture.waitFor();
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByText(`${cidr}, 65,536 blocks`).waitFor();
  await picture.focus();
  for (let at = 0; at < 8; at++) await page.keyboard.press('Enter');
  await page.getByText(block).waitFor();
  // a used block and a free block have different colours
  const colours = await picture.evaluate((element) => {
    const { data } = (element as HTMLCanvasElement).getContext('2d')!.getImageData(250, 250, 1, 1);
    return [...data];
  });
  expect(colours).toEqual([0x2f, 0x6f, 0x9f, 255]);
  await context.close();
});

test('a Chinese browser gets the page in Chinese', async () => {
  const context = await browser.newContext({ locale: 'zh-CN' });
  const page = await context.newPage();
  await page.goto(`http://${small.address}/ui/`);
  await page.getByRole('heading', { name: '概览' }).waitFor();
  expect(await page.evaluate('document.documentElement.lang')).toBe('zh');
  expect(await accessibility(page)).toEqual([]);
  await context.close();
});
