import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { json, serve, type Server } from '../../../src/serve/http.ts';
import { pageRoutes } from '../../../src/serve/page.ts';
import { silent } from '../../../src/log.ts';
import { askSecurely } from '../../support/https.ts';

const large = `// ${'long '.repeat(2_000)}`;
let directory: string;
let server: Server;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'ovt-page-'));
  writeFileSync(path.join(directory, 'index.html'), '<!doctype html>\n');
  writeFileSync(path.join(directory, 'main-ABC.js'), large);
  writeFileSync(path.join(directory, 'style-ABC.css'), 'a {}\n');
  writeFileSync(path.join(directory, 'icon-ABC.svg'), '<svg/>\n');
  writeFileSync(path.join(directory, 'secret.pem'), 'not of the page');
  server = await serve({
    listen: '127.0.0.1:0',
    routes: { '/state': () => json(200, { rows: 'x'.repeat(10_000) }), ...pageRoutes(directory) },
    log: silent,
  });
});
afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sends the path as it is; fetch would tidy it up. */
const ask = (url: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const [host, port] = server.address.split(':');
    const call = request({ host, port, path: url, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, body: Buffer.concat(chunks) });
      });
    });
    call.on('error', reject);
    call.end();
  });

test.each([
  ['/ui/', 'text/html; charset=utf-8', 'no-cache'],
  ['/ui/main-ABC.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ['/ui/style-ABC.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
  ['/ui/icon-ABC.svg', 'image/svg+xml', 'public, max-age=31536000, immutable'],
])('%s comes as %s, with what protects it', async (url, type, caching) => {
  const { status, headers } = await ask(url);
  expect({ status, headers }).toMatchObject({
    status: 200,
    headers: {
      'content-type': type,
      'cache-control': caching,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    },
  });
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:|data:/);
});

test('a large text is compressed for clients that take gzip, and only for those', async () => {
  for (const [url, text] of [
    ['/ui/main-ABC.js', large],
    ['/state', JSON.stringify({ rows: 'x'.repeat(10_000) }, undefined, 2) + '\n'],
  ] as const) {
    const plain = await ask(url);
    expect([plain.headers['content-encoding'], plain.body.toString()]).toEqual([undefined, text]);
    const packed = await ask(url, 'GET', { 'accept-encoding': 'br, gzip' });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(Number(packed.headers['content-length'])).toBe(packed.body.length);
    expect(gunzipSync(packed.body).toString()).toBe(text);
    const refused = await ask(url, 'GET', { 'accept-encoding': 'gzip;q=0' });
    expect(refused.headers['content-encoding']).toBeUndefined();
  }
});

test('HEAD has no body, other methods are not allowed, /ui leads to /ui/', async () => {
  const head = await ask('/ui/', 'HEAD');
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '16', 0]);
  const post = await ask('/ui/', 'POST');
  expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
  const bare = await ask('/ui');
  expect([bare.status, bare.headers.location]).toEqual([308, '/ui/']);
});

test.each([
  '/ui/../secret.pem',
  '/ui/secret.pem',
  '/ui/%2e%2e/%2e%2e/etc/passwd',
  '/ui/..%2fetc/passwd',
  '/ui//etc/passwd',
  '/ui/main-ABC.js/',
  '/ui/main-ABC.js%00.css',
  '/ui/index.html',
])('no other file is reached: %s', async (url) => {
  expect((await ask(url)).status).toBe(404);
});

test('answers with rows are not kept by browsers', async () => {
  expect((await ask('/state')).headers).toMatchObject({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
});

test('over HTTPS the page needs no token, and everything else does', async () => {
  const refuse = { authenticate: () => Promise.resolve(undefined), allows: () => Promise.resolve(false) };
  const secured = await serve({
    listen: '0.0.0.0:0',
    routes: { '/state': () => json(200, {}), ...pageRoutes(directory) },
    log: silent,
    secure: { certificate: { commonName: 'x', names: [] }, reviewer: refuse },
  });
  try {
    const address = secured.address.replace('0.0.0.0', '127.0.0.1');
    const status = async (url: string) => (await askSecurely(address, url)).status;
    expect(await status('/ui/')).toBe(200);
    expect(await status('/ui/main-ABC.js')).toBe(200);
    expect(await status('/ui/nothing.js')).toBe(401);
    expect(await status('/state')).toBe(401);
  } finally {
    await secured.close();
  }
});

test('an operator without the files says which command makes them', async () => {
  const without = await serve({
    listen: '127.0.0.1:0',
    routes: pageRoutes(path.join(directory, 'nothing')),
    log: silent,
  });
  try {
    const answer = await fetch(`http://${without.address}/ui/`);
    expect(answer.status).toBe(404);
    expect(((await answer.json()) as { error: string }).error).toContain('npm run build');
  } finally {
    await without.close();
  }
});
