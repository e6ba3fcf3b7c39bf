import { jest } from '@jest/globals';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { buildPage } from '../../hack/page/build.ts';
import { record } from '../../hack/page/recorded.ts';
import { serveRecorded } from '../../hack/page/serve.ts';
import type { Server } from '../../src/serve/http.ts';
import { launch, openTab } from '../support/chromium.ts';
import { TempDir } from '../support/kubeprocess.ts';

jest.setTimeout(240_000);

/** The page without a mouse, and as a screen reader gets it. */
const temp = new TempDir('ovt-keys-');
const directory = path.join(temp.path, 'ui');
let browser: Browser;
let small: Server;
let large: Server;

beforeAll(async () => {
  await buildPage(directory);
  browser = await launch();
  const three = record({ nodes: 3, containers: 9 });
  small = await serveRecorded(directory, () => three);
  const thousand = record({ nodes: 1_000, containers: 50_000 });
  large = await serveRecorded(directory, () => thousand);
});
afterAll(async () => {
  await browser.close();
  await small.close();
  await large.close();
  await temp.remove();
});

async function shown(server: Server, hash: string, width = 1_200) {
  const tab = await openTab(browser, `http://${server.address}/ui/${hash}`, { width });
  await tab.page.getByRole('heading', { level: 1 }).waitFor();
  return tab;
}

/** What has the focus: how it is called, and why its outline cannot be seen as a whole; undefined: nothing has it. */
const focused = `(() => {
  const one = document.activeElement;
  if (one === document.body) return undefined;
  const box = one.getBoundingClientRect();
  const { outlineStyle, outlineWidth, outlineOffset } = getComputedStyle(one);
  const edge = parseFloat(outlineWidth) + parseFloat(outlineOffset);
  const faults = [];
  if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2) faults.push('no outline');
  if (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth) faults.push('out of sight');
  for (let at = one.parentElement; at !== null && at !== document.body; at = at.parentElement) {
    if (getComputedStyle(at).overflow === 'visible') continue;
    const around = at.getBoundingClientRect();
    const cut = [around.left - box.left, around.top - box.top, box.right - around.right, box.bottom - around.bottom];
    if (cut.some((by) => by + edge > 0.5)) faults.push('cut off by ' + at.outerHTML.slice(0, 60));
    break;
  }
  return { name: one.outerHTML.slice(0, 120), faults };
})()`;

const mostStops = 300;

/** Presses Tab until the focus leaves the document. */
async function stops(page: Page): Promise<string[]> {
  const faults: string[] = [];
  for (let at = 0; at < mostStops; at++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate<{ name: string; faults: string[] } | undefined>(focused);
    if (stop === undefined) return faults;
    faults.push(...stop.faults.map((fault) => `${stop.name}: ${fault}`));
  }
  return [...faults, `the focus did not leave the page after ${mostStops} stops`];
}

/** What takes the focus and has no name in the tree that a screen reader gets. */
async function nameless(page: Page): Promise<unknown[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  return nodes
    .filter(({ ignored, role, properties = [] }) => {
      const takesFocus = properties.some(({ name, value }) => name === 'focusable' && value.value === true);
      // the content as a whole takes it from the link that skips the header
      return !ignored && takesFocus && role?.value !== 'RootWebArea' && role?.value !== 'main';
    })
    .filter(({ name, role }) => role?.value !== 'generic' && String(name?.value ?? '').trim() === '')
    .map(({ role, backendDOMNodeId }) => [role?.value, backendDOMNodeId]);
}

test.each([
  ['#/', 1_200],
  ['#/networks/web', 1_200],
  ['#/agents', 1_200],
  ['#/agents/node3', 1_200],
  ['#/agents/node3', 360],
  ['#/containers', 1_200],
  ['#/path?from=9.0.0.2&to=9.0.2.2', 360],
])('%s at %i px: Tab leads through and out, the focus is seen, and all has a name', async (hash, width) => {
  const { page, errors, context } = await shown(small, hash, width);
  await page.locator('[role="row"].body, tbody tr, .hops li').nth(1).waitFor();
  expect(await stops(page)).toEqual([]);
  expect(await nameless(page)).toEqual([]);
  expect(errors).toEqual([]);
  await context.close();
});

/** Presses Tab until this has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  const wanted = page.getByRole('button', { name, exact: true });
  await wanted.waitFor();
  for (let at = 0; at < mostStops; at++) {
    await page.keyboard.press('Tab');
    if (await wanted.evaluate((one) => one === document.activeElement)) return;
  }
  throw new Error(`Tab does not come to ${name}`);
}

const active = (page: Page) => page.evaluate('document.activeElement.textContent');

test('one key leads past 50,000 rows, and past a grid of 1,000 nodes', async () => {
  const { page, context } = await shown(large, '#/containers');
  await tabTo(page, 'Skip past: Containers');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  expect(await active(page)).toBe('Save as CSV');
  await page.goto(`http://${large.address}/ui/#/agents`);
  await tabTo(page, 'Skip past: Grid');
  await page.keyboard.press('Space');
  await page.keyboard.press('Tab');
  expect(await active(page)).toBe('Skip past: List');
  await context.close();
});

test('a link leads to the heading of its view, Escape empties a search, and Enter follows the packet', async () => {
  const { page, context } = await shown(small, '#/agents');
  await page.keyboard.press('Tab');
  expect(await active(page)).toBe('Skip to the content');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.type('node2');
  const cells = page.getByRole('list', { name: 'Grid' }).getByRole('link');
  await cells.nth(1).waitFor({ state: 'detached' });
  expect(await cells.count()).toBe(1);
  await page.keyboard.press('Escape');
  await cells.nth(2).waitFor();
  await cells.first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'node1 Ready' }).waitFor();
  expect(await active(page)).toContain('node1');
  await page.getByRole('link', { name: 'Data path', exact: true }).press('Enter');
  await page.getByLabel('From', { exact: true }).fill('9.0.0.2');
  await page.getByLabel('To', { exact: true }).fill('9.0.1.2');
  await page.getByLabel('To', { exact: true }).press('Enter');
  await page.getByText('Nothing on the way stops it.').waitFor();
  await context.close();
});

test('a screen reader is told when the operator is gone, and when it is back', async () => {
  const three = record({ nodes: 3, containers: 9 });
  const first = await serveRecorded(directory, () => three);
  const { page, context } = await shown(first, '#/agents');
  const status = page.getByRole('status').filter({ hasText: /Live|Connecting/ });
  await status.filter({ hasText: 'Live' }).waitFor();
  await status.evaluate((one) => {
    one.setAttribute('data-kept', '');
  });
  await first.close();
  const alert = page.getByRole('alert').filter({ hasText: /^No word from the operator for \d+m?s?/ });
  await alert.waitFor({ timeout: 60_000 });
  const second = await serveRecorded(directory, () => three, first.address);
  await alert.waitFor({ state: 'detached', timeout: 60_000 });
  // a status is only read aloud if its element was there before its text changed
  await page.locator('[role="status"][data-kept]', { hasText: 'Live' }).waitFor();
  await page.getByRole('link', { name: 'node1', exact: true }).waitFor();
  await context.close();
  await second.close();
});
