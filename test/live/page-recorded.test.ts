import { jest } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { buildPage } from '../../hack/page/build.ts';
import { record } from '../../hack/page/recorded.ts';
import { serveRecorded } from '../../hack/page/serve.ts';
import type { Server } from '../../src/serve/http.ts';
import { accessibility, launch, openTab } from '../support/chromium.ts';
import { TempDir } from '../support/kubeprocess.ts';

jest.setTimeout(120_000);

/** Recorded clusters behind the operator's own rows and server. */
const temp = new TempDir('ovt-page-');
const directory = path.join(temp.path, 'ui');
let browser: Browser;
let small: Server;
let large: Server;

beforeAll(async () => {
  await buildPage(directory);
  browser = await launch();
  const three = record({ nodes: 3, containers: 120 });
  small = await serveRecorded(directory, () => three);
  const thousand = record({ nodes: 1_000, containers: 50_000 });
  large = await serveRecorded(directory, () => thousand);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await small.close();
  await large.close();
  await temp.remove();
});

const views = ['#/', '#/networks/web', '#/agents', '#/agents/node3', '#/containers'];

/** Opens a view and waits until its rows are here. */
async function shown(server: Server, hash: string, options: { width?: number; dark?: boolean } = {}) {
  const tab = await openTab(browser, `http://${server.address}/ui/${hash}`, options);
  await tab.page.getByRole('heading', { level: 1 }).waitFor();
  await tab.page.locator('[role="row"], tbody tr').nth(1).waitFor();
  return tab;
}

test.each(views)('%s: axe finds nothing in light and in dark, and 360 px are enough', async (hash) => {
  for (const options of [{ dark: true }, { width: 360 }]) {
    const { page, errors, context } = await shown(small, hash, options);
    expect(await accessibility(page)).toEqual([]);
    const beyond = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(beyond)).toBe(0);
    expect(errors).toEqual([]);
    await context.close();
  }
});

const line = (page: Page, text: string) =>
  page.locator('[role="row"]', { hasText: text }).first().innerText();

test('a newcomer’s four questions are answered by the page alone', async () => {
  const { page, context } = await shown(small, '#/containers?search=9.0.1.7');
  await page.getByText('1 container', { exact: true }).waitFor();
  expect(await line(page, '9.0.1.7')).toMatch(/billing\/worker-|shop\/|search\/|default\/|monitoring\//);
  await page.goto(`http://${small.address}/ui/#/agents/node3`);
  await page.getByRole('heading', { name: 'node3 Failed' }).waitFor();
  await page.getByText('RTNETLINK answers: Operation not supported').first().waitFor();
  await page.goto(`http://${large.address}/ui/#/`);
  const full = page.getByRole('row', { name: /^batch/ });
  // how full it is comes after the network itself
  await full.getByText('126 of 128').waitFor();
  expect(await full.innerText()).toContain('126 of 128');
  await page.goto(`http://${small.address}/ui/#/networks/web`);
  await page.getByRole('row', { name: 'db allowed' }).waitFor();
  await page.getByRole('row', { name: 'dcos denied' }).waitFor();
  await context.close();
});

test('1,000 nodes are one grid, each with its state, and the worst are first in the list', async () => {
  const { page, context } = await shown(large, '#/agents');
  await page.getByRole('list', { name: 'Grid' }).getByRole('link').nth(999).waitFor();
  expect(await page.locator('[role="row"]').nth(1).innerText()).toContain('Failed');
  expect(await accessibility(page)).toEqual([]);
  await page.getByRole('link', { name: 'node229 Failed' }).click();
  await page.getByRole('heading', { name: 'node229 Failed' }).waitFor();
  await context.close();
});

test('50,000 containers scroll to their end, are sorted and saved, and few are in the document', async () => {
  const { page, errors, context } = await shown(large, '#/containers');
  const table = page.getByRole('table', { name: 'Containers' });
  expect(await table.getAttribute('aria-rowcount')).toBe('50001');
  const rows = page.locator('[role="row"].body');
  expect(await rows.count()).toBeLessThan(80);
  await page.locator('.scroller').evaluate((element) => {
    element.scrollTop = element.scrollHeight;
  });
  const last = page.locator('[role="row"][aria-rowindex="50001"]');
  // it may not be drawn yet, and then is drawn without its data
  await last
    .getByText(/\d+\.\d+\.\d+\.\d+/)
    .first()
    .waitFor({ timeout: 60_000 });
  expect(await last.innerText()).toMatch(/\d+\.\d+\.\d+\.\d+/);
  expect(await rows.count()).toBeLessThan(80);
  await page.getByText(/50,000 rows are loaded/).waitFor();
  await page.getByRole('button', { name: /^Container/ }).click();
  await page.getByRole('columnheader', { name: /^Container/, exact: false }).waitFor();
  const download = page.waitForEvent('download');
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

test('the address space goes from all blocks down to one', async () => {
  const { page, context } = await shown(large, '#/networks/dcos');
  const picture = page.getByRole('img', { name: /^Address space 9\.0\.0\.0\/8/ });
  await picture.waitFor();
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByText('9.0.0.0/8, 65,536 blocks').waitFor();
  await picture.focus();
  for (let at = 0; at < 8; at++) await page.keyboard.press('Enter');
  await page.getByText(/^9\.\d+\.\d+\.0\/24, 1 block$/).waitFor();
  // a held block has its colour, a free one has another
  const colours = await picture.evaluate((element) => {
    const { data } = (element as HTMLCanvasElement).getContext('2d')!.getImageData(250, 250, 1, 1);
    return [...data];
  });
  expect(colours).toEqual([0x2f, 0x6f, 0x9f, 255]);
  await context.close();
});

test('a reader of Chinese is shown Chinese', async () => {
  const context = await browser.newContext({ locale: 'zh-CN' });
  const page = await context.newPage();
  await page.goto(`http://${small.address}/ui/`);
  await page.getByRole('heading', { name: '概览' }).waitFor();
  expect(await page.evaluate('document.documentElement.lang')).toBe('zh');
  expect(await accessibility(page)).toEqual([]);
  await context.close();
});
