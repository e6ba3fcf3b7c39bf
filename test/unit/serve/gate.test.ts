import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectPlain } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Gate } from '../../../src/serve/gate.ts';
import { json, serve } from '../../../src/serve/http.ts';
import type { Client } from '../../../src/kube/client.ts';
import { Reviews } from '../../../src/serve/review.ts';
import { silent } from '../../../src/log.ts';
import { askSecurely } from '../../support/https.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** A server of /state that asks an API server which knows viewers alone; `asked` has each token that it was asked for. */
async function served() {
  const asked: string[] = [];
  const raw: Client['raw'] = async ({ body }) => {
    const { token } = (body as { spec: { token?: string } }).spec;
    if (token !== undefined) asked.push(token);
    await sleep(5);
    const authenticated = token?.startsWith('viewer');
    const status = { authenticated, user: { username: 'viewer' }, allowed: true };
    return JSON.stringify({ status });
  };
  const server = await serve({
    listen: '0.0.0.0:0',
    routes: { '/state': () => json(200, {}) },
    log: silent,
    secure: { certificate: { commonName: 'test', names: [] }, reviewer: new Reviews({ raw }) },
  });
  undo.push(() => server.close());
  return { at: server.address.replace('0.0.0.0', '127.0.0.1'), asked };
}

/** Pipelines requests, each with a new token, over one connection at a time, until the test ends. */
function flood(at: string, localAddress: string) {
  const [host, port] = at.split(':');
  let answers = '';
  let sent = 0;
  let socket: TLSSocket;
  const open = () => {
    const plain = connectPlain({ host, port: Number(port), localAddress });
    socket = connect({ socket: plain, rejectUnauthorized: false });
    socket.on('error', () => undefined).on('data', (text: Buffer) => (answers += text.toString('latin1')));
    // Node cuts off who pipelines on while answers are held back
    socket.once('close', open);
  };
  open();
  const ask = () => `GET /state HTTP/1.1\r\nhost: x\r\nauthorization: Bearer garbage-${sent++}\r\n\r\n`;
  const timer = setInterval(() => {
    if (!socket.writableNeedDrain) socket.write(Array.from({ length: 40 }, ask).join(''));
  }, 5);
  undo.push(() => {
    clearInterval(timer);
    socket.off('close', open).destroy();
  });
  return {
    statuses: () =>
      new Set([...answers.matchAll(/^HTTP\/1.1 ([0-9]+)/gm)].map(([, status]) => Number(status))),
  };
}

test.each([
  ['another address', '127.0.0.2'],
  ['the same address', '127.0.0.1'],
])('garbage without end from %s: a viewer notices nothing, the API server hardly', async (_, from) => {
  const { at, asked } = await served();
  const ask = async () => (await askSecurely(at, '/state', { token: 'viewer' })).status;
  expect(await ask()).toBe(200);
  const start = performance.now();
  const flooding = flood(at, from);
  const seen: number[] = [];
  for (let i = 0; i < 30; i++) {
    seen.push(await ask());
    await sleep(50);
  }
  const seconds = (performance.now() - start) / 1_000;
  expect(seen).toEqual(seen.map(() => 200));
  expect(asked.filter((token) => token === 'viewer')).toHaveLength(1);
  expect(asked.length - 1).toBeLessThanOrEqual(4 * Math.ceil(seconds));
  expect(flooding.statuses()).toContain(429);
});

test('new viewers get in while another address sends garbage', async () => {
  const { at, asked } = await served();
  flood(at, '127.0.0.2');
  while (asked.length < 4) await sleep(10);
  for (let i = 0; i < 30; i++) {
    expect((await askSecurely(at, '/state', { token: `viewer-${i}` })).status).toBe(200);
  }
});

test('consecutive requests are never too many: each waits for its answer', async () => {
  const { at, asked } = await served();
  for (let i = 0; i < 3; i++) {
    expect((await askSecurely(at, '/state', { token: `garbage-${i}` })).status).toBe(401);
  }
  expect(asked).toHaveLength(3);
});

test('a right to /api/… has another name, because Kubernetes lets every user get /api/*', async () => {
  const asked: string[] = [];
  const gate = new Gate({
    authenticate: () => Promise.resolve(undefined),
    allows: (_, verb, path) => {
      asked.push(`${verb} ${path}`);
      return Promise.resolve(false);
    },
  });
  const refusals = await Promise.all(
    ['/api/v1/networks', '/api/v1/containers', '/api/v1/trace', '/overlay-agent/kernel', '/metrics'].map(
      (path) => gate.authorize({ username: 'eve' }, 'GET', path),
    ),
  );
  expect(asked).toEqual([
    'get /overlay-master/api/v1/networks',
    'get /overlay-master/api/v1/containers',
    'get /overlay-master/api/v1/trace',
    'get /overlay-agent/kernel',
    'get /metrics',
  ]);
  expect(refusals.map((refusal) => refusal?.error.replace(/.*ClusterRole /, ''))).toEqual([
    'overlaynet-viewer to that user',
    'overlaynet-inspector to that user',
    'overlaynet-inspector to that user',
    'overlaynet-inspector to that user',
    'overlaynet-viewer to that user',
  ]);
});
