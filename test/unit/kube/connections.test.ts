import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createTCPServer, type AddressInfo, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connections, type Call } from '../../../src/kube/connections.ts';
import { selfSigned } from '../../../src/serve/x509.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

const get: Call = { method: 'GET', path: '/a?b=c', headers: { accept: 'application/json' } };
const never = new AbortController().signal;

/** Connections to a server that listens at `host` and shows how many it has accepted. */
const connected = async (
  server: Server,
  scheme = 'http',
  tls = {},
  host = '127.0.0.1',
  connectMs = 5_000,
) => {
  const seen = { accepted: 0, closed: 0 };
  server.on('connection', (socket) => {
    seen.accepted++;
    socket.on('close', () => seen.closed++);
    undo.push(() => socket.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const origin = new URL(`${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`);
  const connections = new Connections({ origin, tls, connectMs });
  undo.push(() => {
    connections.destroy();
    server.close();
  });
  return { connections, seen };
};

const echo: RequestListener = (request, response) => {
  const length = request.headers['content-length'] ?? 'none';
  void text(request).then((body) =>
    response.end(`${request.method ?? ''} ${request.url ?? ''} ${length} ${body}`),
  );
};

const answer = async (connections: Connections, call: Call, signal = never) =>
  text(await connections.send(call, signal));

test('one connection serves one request after the other', async () => {
  const { connections, seen } = await connected(createServer(echo));
  expect(await answer(connections, get)).toBe('GET /a?b=c none ');
  expect(await answer(connections, { ...get, method: 'POST', body: 'é' })).toBe('POST /a?b=c 2 é');
  expect(await answer(connections, { ...get, method: 'DELETE', body: '{}' })).toBe('DELETE /a?b=c 2 {}');
  expect(seen.accepted).toBe(1);
});

test('an IPv6 address is reached', async () => {
  const { connections } = await connected(createServer(echo), 'http', {}, '::1');
  expect(await answer(connections, get)).toBe('GET /a?b=c none ');
});

test('a server is trusted only through its CA', async () => {
  const [from, until] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)];
  const pair = selfSigned({ commonName: 'api', names: ['127.0.0.1'], from, until });
  const trusting = await connected(createSecureServer(pair, echo), 'https', { ca: pair.cert });
  expect(await answer(trusting.connections, get)).toBe('GET /a?b=c none ');
  const strange = await connected(createSecureServer(pair, echo), 'https');
  await expect(answer(strange.connections, get)).rejects.toThrow('self-signed certificate');
});

test('a read over a connection that was closed meanwhile is sent again, and a write is not', async () => {
  const used = new Set<unknown>();
  const server = createServer((request, response) => {
    // the second request on a connection meets its end
    if (used.has(request.socket)) request.socket.destroy();
    else echo(request, response);
    used.add(request.socket);
  });
  const { connections, seen } = await connected(server);
  await answer(connections, get);
  expect(await answer(connections, get)).toBe('GET /a?b=c none ');
  expect(seen.accepted).toBe(2);
  await expect(answer(connections, { ...get, method: 'PUT', body: '{}' })).rejects.toThrow('socket hang up');
  expect(seen.accepted).toBe(2);
});

test('a read whose answer has begun is not sent again', async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    if (++requests === 1) {
      echo(request, response);
      return;
    }
    response.writeHead(200).write('half');
    setTimeout(() => request.socket.resetAndDestroy(), 50);
  });
  const { connections } = await connected(server);
  await answer(connections, get);
  await expect(answer(connections, get)).rejects.toThrow();
  await sleep(100);
  expect(requests).toBe(2);
});

test('a read that a new connection loses is not sent again', async () => {
  const { connections, seen } = await connected(createServer(({ socket }) => socket.destroy()));
  await expect(answer(connections, get)).rejects.toThrow('socket hang up');
  expect(seen.accepted).toBe(1);
});

test('a handshake without an answer ends the request', async () => {
  const { connections } = await connected(createTCPServer(), 'https', {}, '127.0.0.1', 50);
  await expect(answer(connections, get)).rejects.toThrow('no connection within 50 ms');
});

test('the signal ends an answer that has begun', async () => {
  const { connections } = await connected(createServer((_, response) => void response.write('half')));
  const cut = new AbortController();
  const begun = await connections.send(get, cut.signal);
  cut.abort();
  await expect(text(begun)).rejects.toThrow('aborted');
});

test('a retired pool closes idle connections at once, and others when they become idle', async () => {
  let finish = (): void => undefined;
  const { connections, seen } = await connected(
    createServer((request, response) => {
      response.flushHeaders();
      if (request.url === '/slow') finish = () => void response.end('done');
      else response.end();
    }),
  );
  const slow = await connections.send({ ...get, path: '/slow' }, never);
  await answer(connections, get);
  expect(seen).toEqual({ accepted: 2, closed: 0 });
  connections.retire();
  while (seen.closed < 1) await new Promise(setImmediate);
  finish();
  expect(await text(slow)).toBe('done');
  while (seen.closed < 2) await new Promise(setImmediate);
});
