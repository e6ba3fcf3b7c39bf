import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { record } from './recorded.ts';
import { serveRecorded } from './serve.ts';
import { emptied, prepare, reach, type State } from './states.ts';

interface Picture {
  name: string;
  nodes: 3 | 1_000;
  hash: string;
  dark?: boolean;
  /** Width of the window in pixels; 1,200 (× 760) by default. */
  width?: number;
  height?: number;
  locale?: string;
  state?: State;
}

/** The views that the documentation shows, and further ones for reviews of a change. */
export const pictures: readonly Picture[] = [
  { name: 'overview', nodes: 3, hash: '#/' },
  { name: 'overview-dark', nodes: 3, hash: '#/', dark: true },
  { name: 'overview-1000', nodes: 1_000, hash: '#/' },
  { name: 'overview-narrow', nodes: 3, hash: '#/', width: 360 },
  { name: 'overview-chinese', nodes: 3, hash: '#/', locale: 'zh-CN' },
  { name: 'agents', nodes: 3, hash: '#/agents' },
  { name: 'agents-1000', nodes: 1_000, hash: '#/agents' },
  { name: 'agents-1000-narrow', nodes: 1_000, hash: '#/agents', width: 360 },
  { name: 'agent-dark', nodes: 3, hash: '#/agents/node3', dark: true, height: 1_200 },
  { name: 'network', nodes: 3, hash: '#/networks/web', height: 1_100 },
  { name: 'network-1000', nodes: 1_000, hash: '#/networks/web', dark: true, height: 1_100 },
  { name: 'network-narrow', nodes: 3, hash: '#/networks/dcos6', width: 360, height: 1_600 },
  { name: 'containers-1000', nodes: 1_000, hash: '#/containers' },
  { name: 'containers-search', nodes: 1_000, hash: '#/containers?search=postgres-1' },
  { name: 'containers-narrow', nodes: 3, hash: '#/containers', width: 360, dark: true },
  { name: 'path', nodes: 3, hash: '#/path?from=9.0.0.2&to=9.0.1.2&port=80', height: 900 },
  { name: 'path-fails', nodes: 3, hash: '#/path?from=9.0.0.2&to=9.0.2.2', height: 900 },
  { name: 'path-fails-dark', nodes: 3, hash: '#/path?from=9.0.0.2&to=9.0.2.2', dark: true, height: 900 },
  { name: 'path-narrow', nodes: 3, hash: '#/path?from=9.0.0.2&to=9.0.1.2', width: 360, height: 1_900 },
  { name: 'path-empty', nodes: 3, hash: '#/path' },
  { name: 'signed-out', nodes: 3, hash: '#/', state: 'signed-out' },
  { name: 'refused-narrow', nodes: 3, hash: '#/', state: 'refused', width: 360, dark: true },
  { name: 'updated', nodes: 3, hash: '#/', state: 'updated' },
  { name: 'stale', nodes: 3, hash: '#/', state: 'stale' },
  { name: 'stale-narrow', nodes: 3, hash: '#/agents', state: 'stale', width: 360, dark: true },
  { name: 'loading', nodes: 3, hash: '#/', state: 'loading' },
  { name: 'empty', nodes: 3, hash: '#/', state: 'empty' },
  { name: 'empty-agents', nodes: 3, hash: '#/agents', state: 'empty', dark: true },
  { name: 'empty-containers', nodes: 3, hash: '#/containers', state: 'empty' },
  { name: 'broken', nodes: 3, hash: '#/', state: 'broken' },
  { name: 'broken-agents', nodes: 3, hash: '#/agents', state: 'broken', dark: true },
  { name: 'broken-path', nodes: 3, hash: '#/path?from=9.0.0.2&to=9.0.1.2', state: 'broken' },
  { name: 'viewer', nodes: 3, hash: '#/containers', state: 'viewer' },
  { name: 'viewer-agent', nodes: 3, hash: '#/agents/node1', state: 'viewer', height: 1_200 },
  { name: 'silent', nodes: 3, hash: '#/', state: 'silent' },
  { name: 'silent-agents', nodes: 3, hash: '#/agents', state: 'silent' },
  { name: 'silent-agent', nodes: 3, hash: '#/agents/node2', state: 'silent', height: 1_200, dark: true },
  { name: 'unknown', nodes: 3, hash: '#/agents/node99' },
  { name: 'path-chinese', nodes: 3, hash: '#/path?from=9.0.0.2&to=9.0.2.2', locale: 'zh-CN', height: 900 },
];

/**
 * Takes pictures of the page's views.
 * @param names the pictures to take; empty: all
 */
export async function takePictures(page: string, to: string, names: readonly string[]): Promise<void> {
  const clusters = {
    3: record({ nodes: 3, containers: 120 }),
    1_000: record({ nodes: 1_000, containers: 50_000 }),
  };
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  for (const picture of pictures) {
    const { name, nodes, hash, dark = false, width = 1_200, height = 760, locale = 'en-US', state } = picture;
    if (names.length > 0 && !names.includes(name)) continue;
    const cluster = state === 'empty' ? emptied(clusters[nodes]) : clusters[nodes];
    const server = await serveRecorded(page, () => cluster);
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light',
      locale,
    });
    const tab = await context.newPage();
    await prepare(tab, state);
    await tab.goto(`http://${server.address}/ui/${hash}`);
    await tab.locator('h1').waitFor();
    await reach(tab, state);
    // for the view's further requests
    await tab.waitForTimeout(1_500);
    await tab.screenshot({ path: join(to, `${name}.png`) });
    await context.close();
    await server.close();
  }
  await browser.close();
}
