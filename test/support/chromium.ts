import axe from 'axe-core';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

/** A tab, and its unwanted actions. */
export interface Tab {
  page: Page;
  context: BrowserContext;
  /** Origins of all requests. */
  origins: Set<string>;
  /** Errors on the console: of scripts, and of the content security policy. */
  errors: string[];
}

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });

/** Opens a tab with empty storage in a window of that width. */
export async function openTab(
  browser: Browser,
  url: string,
  options: { width?: number; dark?: boolean } = {},
): Promise<Tab> {
  const { width = 1_280, dark = false } = options;
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-US',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const tab: Tab = { page, context, origins: new Set(), errors: [] };
  page.on('request', (request) => {
    if (!request.url().startsWith('blob:')) tab.origins.add(new URL(request.url()).origin);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') tab.errors.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => tab.errors.push(String(error)));
  page.on('dialog', (dialog) => {
    tab.errors.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return tab;
}

/** Returns axe's findings on the page with their places. */
export async function accessibility(page: Page): Promise<string[]> {
  // evaluated, because the page's policy forbids a further script element
  const found = await page.evaluate(`${axe.source}; axe.run({ resultTypes: ['violations'] })`);
  const { violations } = found as {
    violations: { id: string; help: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${help}: ${html}: ${failureSummary}`),
  );
}
