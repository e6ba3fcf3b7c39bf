import { connect } from 'node:net';
import {
  ListenError,
  json,
  parseListen,
  serve,
  text,
  type Posted,
  type Server,
} from '../../../src/serve/http.ts';
import { silent } from '../../../src/log.ts';

const posted: Posted[] = [];
let server: Server;
beforeAll(async () => {
  server = await serve({
    listen: '127.0.0.1:0',
    routes: {
      '/state': () => json(200, { a: 1 }),
      '/query': (query) => json(200, { query }),
      '/healthz': () => text(200, 'ok'),
      '/broken': () => Promise.reject(new Error('out of order')),
      '/take': {
        post: (request) => {
          posted.push(request);
          return json(200, {});
        },
      },
    },
    log: silent,
  });
});
afterAll(() => server.close());

const ask = (path: string, init?: RequestInit) => fetch(`http://${server.address}${path}`, init);

test('GET answers, with a query too; HEAD has the same headers and no body', async () => {
  const got = await ask('/state?x=1');
  expect([got.status, got.headers.get('content-type')]).toEqual([200, 'application/json']);
  const body = await got.text();
  expect(JSON.parse(body)).toEqual({ a: 1 });
  const head = await ask('/state', { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(body.length)]);
  expect(await head.text()).toBe('');
});

test('a route gets the query string unchanged', async () => {
  for (const [url, query] of [
    ['/query', ''],
    ['/query?', ''],
    ['/query?a=%20b&c', 'a=%20b&c'],
  ]) {
    expect(await (await ask(url!)).json()).toEqual({ query });
  }
});

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])(
  '%s is not allowed, and Allow says what is',
  async (method) => {
    const refused = await ask('/state', { method });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  },
);

const post = (body: string, type = 'application/json') =>
  ask('/take', { method: 'POST', body, headers: { 'content-type': type } });

test('a posted body of up to 64 KiB is passed on unchanged', async () => {
  for (const body of ['{"a": "ä"}', '', `"${'x'.repeat(65_534)}"`]) {
    expect((await post(body, 'application/json; charset=utf-8')).status).toBe(200);
    expect(posted.pop()).toEqual({ body });
  }
  const large = await post('x'.repeat(65_537));
  expect([large.status, await large.json()]).toEqual([413, { error: 'the body has more than 65536 bytes' }]);
  expect(posted).toEqual([]);
});

test('requests that a web page in a browser could send by itself are refused', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'text/plain;application/json']) {
    const refused = await post('{}', type);
    expect([refused.status, await refused.json()]).toEqual([
      415,
      { error: 'content-type must be application/json' },
    ]);
  }
  expect(posted).toEqual([]);
});

test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])(
  '%s is not allowed where something is posted',
  async (method) => {
    const refused = await ask('/take', { method });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST']);
  },
);

test('a request that is cut off in its body hands nothing on, and the next is served', async () => {
  const [host, port] = server.address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => undefined);
  const head =
    'POST /take HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{';
  await new Promise<void>((resolve) =>
    socket.write(head, () => {
      resolve();
    }),
  );
  socket.destroy();
  expect((await post('{}')).status).toBe(200);
  expect(posted.splice(0)).toEqual([{ body: '{}' }]);
});

test('another path is 404, in JSON that lists the paths', async () => {
  const missing = await ask('/nothing');
  expect(missing.status).toBe(404);
  expect(await missing.json()).toEqual({
    error: 'no such path; there are /state, /query, /healthz, /broken, /take',
  });
});

test('a failing route is 500 with its message', async () => {
  const broken = await ask('/broken');
  expect([broken.status, await broken.json()]).toEqual([500, { error: 'out of order' }]);
});

test('a port in use is one clear line', async () => {
  const second = serve({ listen: server.address, routes: {}, log: silent });
  await expect(second).rejects.toThrow(`cannot listen on ${server.address}: another process listens there`);
});

test('an address that is not this machine’s is one clear line', async () => {
  await expect(serve({ listen: '192.0.2.1:0', routes: {}, log: silent })).rejects.toThrow(ListenError);
});

test('HOST:PORT and [IPv6]:PORT are understood, :PORT is every address, other text is refused', () => {
  expect(parseListen('127.0.0.1:9181')).toEqual({ host: '127.0.0.1', port: 9181 });
  expect(parseListen('[::1]:0')).toEqual({ host: '::1', port: 0 });
  expect(parseListen(':9181')).toEqual({ host: '', port: 9181 });
  for (const bad of ['', ':', '127.0.0.1', '::1:80', '[nonsense]:80', 'a:b', 'a:99999', 'a:1:2']) {
    expect(() => parseListen(bad)).toThrow(ListenError);
  }
});
