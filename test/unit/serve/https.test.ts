import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectSecurely, TLSSocket } from 'node:tls';
import { serve, type Server } from '../../../src/serve/http.ts';
import { silent } from '../../../src/log.ts';
import { selfSigned } from '../../../src/serve/x509.ts';
import { askSecurely } from '../../support/https.ts';
import { scratch } from '../../support/fixture.ts';
import { reviewer, routes, secure } from './served.ts';

let server: Server;
let at: string;
beforeAll(async () => {
  server = await serve({ listen: ':0', routes, log: silent, secure });
  at = `127.0.0.1:${/[0-9]+$/.exec(server.address)![0]}`;
});
afterAll(() => server.close());
const ask = (path: string, options?: Parameters<typeof askSecurely>[2]) => askSecurely(at, path, options);
const port = () => Number(at.split(':')[1]);

test('an address that is not loopback is never served in the clear', async () => {
  await expect(serve({ listen: '0.0.0.0:0', routes, log: silent })).rejects.toThrow(
    'cannot listen on 0.0.0.0:0: only loopback is served in the clear',
  );
  await expect(fetch(`http://${at}/healthz`)).rejects.toThrow();
  for (const listen of ['0.0.0.0:0', '[::]:0', ':0', 'localhost:0']) {
    const one = await serve({ listen, routes, log: silent, secure });
    const where = `127.0.0.1:${/[0-9]+$/.exec(one.address)![0]}`;
    expect({ listen, status: (await askSecurely(where, '/state')).status }).toEqual({ listen, status: 401 });
    await one.close();
  }
});

test(':PORT is bound for both families', async () => {
  expect(server.address).toMatch(/^\[::\]:/);
  for (const host of ['127.0.0.1', '[::1]']) {
    expect((await askSecurely(`${host}:${port()}`, '/healthz')).status).toBe(200);
  }
});

test('health needs no token, by GET and HEAD', async () => {
  expect([(await ask('/healthz')).status, (await ask('/readyz')).status]).toEqual([200, 503]);
  expect((await ask('/healthz', { method: 'HEAD' })).status).toBe(200);
  expect((await ask('/healthz', { method: 'POST' })).status).toBe(405);
});

test('without a token that the API server knows, the answer is 401 with the challenge, even on unknown paths', async () => {
  for (const path of ['/state', '/secret', '/nothing', '/healthz/', '/state?x=/healthz', '//healthz']) {
    const { status, headers } = await ask(path);
    expect({ path, status, challenge: headers['www-authenticate'] }).toEqual({
      path,
      status: 401,
      challenge: 'Bearer realm="overlaynet"',
    });
  }
  for (const authorization of [
    'Bearer nobody',
    'Bearer',
    'Bearer a b',
    'Basic dmlld2Vy',
    'viewer',
    'Bearer \u00e4',
  ]) {
    const { status, headers } = await ask('/state', { authorization });
    expect({ authorization, status, challenge: headers['www-authenticate'] }).toEqual({
      authorization,
      status: 401,
      challenge: 'Bearer realm="overlaynet", error="invalid_token"',
    });
  }
});

test('an authorised user gets the same answer as without TLS, HEAD gets its headers, and a refusal names user, verb and path', async () => {
  const { status, body, headers } = await ask('/state', { token: 'viewer' });
  expect([status, JSON.parse(body)]).toEqual([200, { a: 1 }]);
  const head = await ask('/state', { token: 'viewer', method: 'HEAD' });
  expect([head.status, head.headers['content-length'], head.body]).toEqual([
    200,
    headers['content-length'],
    '',
  ]);
  for (const [token, path] of [
    ['other', '/state'],
    ['viewer', '/secret'],
  ] as const) {
    const refused = await ask(path, { token });
    expect(refused.status).toBe(403);
    expect(refused.body).toContain(`"error": "user ${token} may not get ${path}: `);
  }
  expect((await ask('/nothing', { token: 'viewer' })).status).toBe(404);
  expect((await ask('/state', { token: 'viewer', method: 'DELETE' })).status).toBe(405);
});

test('a POST of an authorised user is handled with the user’s name, and every other is refused', async () => {
  const post = { method: 'POST', body: '{}' };
  const { status, body } = await ask('/take', { token: 'other', ...post });
  expect([status, JSON.parse(body)]).toEqual([200, { body: '{}', by: 'other' }]);
  const refused = await ask('/take', { token: 'viewer', ...post });
  expect([refused.status, refused.body]).toEqual([
    403,
    expect.stringContaining(
      'user viewer may not post /take: bind the ClusterRole overlaynet-operator-admin to that user',
    ),
  ]);
  expect((await ask('/take', post)).status).toBe(401);
  expect((await ask('/take', { token: 'other' })).status).toBe(405);
  expect((await ask('/take', { token: 'away', ...post })).status).toBe(503);
});

test('while the API server does not answer, every request is refused', async () => {
  for (const [token, words] of [
    ['away', 'connect ECONNREFUSED'],
    ['unlucky', 'no answer within 5000 ms'],
  ] as const) {
    const { status, body, headers } = await ask('/state', { token });
    expect([status, headers['retry-after']]).toEqual([503, '5']);
    expect(body).toContain(words);
  }
});

test('a client with too many requests at once gets 429', async () => {
  const { status, body, headers } = await ask('/state', { token: 'crowded' });
  expect([status, headers['retry-after']]).toEqual([429, '1']);
  expect(body).toContain('4 reviews are under way');
});

test('TLS 1.1 is refused, 1.2 and 1.3 are spoken', async () => {
  const speak = async (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') => {
    const socket = connectSecurely({
      port: port(),
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      // else OpenSSL 3 would not even offer it
      ciphers: 'ALL:@SECLEVEL=0',
    });
    await once(socket, 'secureConnect');
    const protocol = socket.getProtocol();
    socket.destroy();
    return protocol;
  };
  expect(await speak('TLSv1.2')).toBe('TLSv1.2');
  expect(await speak('TLSv1.3')).toBe('TLSv1.3');
  await expect(speak('TLSv1.1')).rejects.toThrow(/alert protocol version/i);
});

/** Resolves to the time in ms from now until the socket is closed, in whatever way. */
const closed = (socket: Socket): Promise<number> => {
  const start = performance.now();
  socket.on('error', () => undefined);
  socket.resume();
  return new Promise((resolve) => {
    socket.once('close', () => {
      resolve(performance.now() - start);
    });
  });
};
const say = (words: string, over: Socket) => {
  over.once(over instanceof TLSSocket ? 'secureConnect' : 'connect', () => over.write(words));
  return closed(over);
};
const plain = () => connectPlain(port(), '127.0.0.1');
const tls = () => connectSecurely({ port: port(), host: '127.0.0.1', rejectUnauthorized: false });

test('silent and slow clients are disconnected within seconds, and garbage does no harm', async () => {
  const slow = tls();
  const drip = setInterval(() => slow.write('x-a: b\r\n'), 300);
  const times = await Promise.all([
    say('', plain()),
    say('', tls()),
    say('GET /state HTTP/1.1\r\nhost: x\r\n', slow),
    say('POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n', tls()),
    say('\x00\xffgarbage\r\n\r\n'.repeat(1_000), plain()),
    say('\x00\xffgarbage\r\n\r\n', tls()),
    say(`GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ${'b'.repeat(70_000)}\r\n\r\n`, tls()),
  ]);
  clearInterval(drip);
  for (const ms of times) expect(ms).toBeLessThan(12_000);
  expect((await ask('/healthz')).status).toBe(200);
});

test('a certificate from files is shown, and the next one when they are replaced', async () => {
  const dir = scratch();
  const until = new Date(Date.now() + 86_400_000);
  const made = (name: string) => {
    const pair = selfSigned({
      commonName: name,
      names: ['127.0.0.1'],
      from: new Date(Date.now() - 60_000),
      until,
    });
    writeFileSync(dir.path('tls.crt'), pair.cert);
    writeFileSync(dir.path('tls.key'), pair.key);
    return pair;
  };
  const first = made('first');
  const certificate = {
    files: { cert: dir.path('tls.crt'), key: dir.path('tls.key') },
    commonName: '',
    names: [],
    lookMs: 100,
  };
  const other = await serve({ listen: '0.0.0.0:0', routes, log: silent, secure: { certificate, reviewer } });
  try {
    const where = other.address.replace('0.0.0.0', '127.0.0.1');
    // verified, as a client does who trusts it
    expect((await askSecurely(where, '/healthz', { ca: first.cert })).certificate.subject.CN).toBe('first');
    const second = made('second');
    const end = Date.now() + 20_000;
    let shown = 'first';
    while (shown === 'first' && Date.now() < end) {
      await sleep(200);
      shown = (await askSecurely(where, '/healthz')).certificate.subject.CN as string;
    }
    expect(shown).toBe('second');
    expect((await askSecurely(where, '/healthz', { ca: second.cert })).status).toBe(200);
  } finally {
    await other.close();
    dir.drop();
  }
});

test('closing does not wait for connected clients', async () => {
  const one = await serve({ listen: '0.0.0.0:0', routes, log: silent, secure });
  const socket = connectPlain(Number(one.address.split(':')[1]), '127.0.0.1');
  await once(socket, 'connect');
  const start = performance.now();
  await Promise.all([one.close(), closed(socket)]);
  expect(performance.now() - start).toBeLessThan(1_000);
});

test("a client that opens hundreds of connections does not keep other clients' probes out", async () => {
  const crowd: Socket[] = [];
  const open = () => {
    const socket = connectPlain({ port: port(), host: '127.0.0.1', localAddress: '127.0.0.2' });
    // cut off, it comes again
    socket.on('error', () => undefined);
    crowd.push(socket);
  };
  for (let i = 0; i < 700; i++) open();
  for (let i = 0; i < 8; i++) expect((await ask('/healthz')).status).toBe(200);
  for (const socket of crowd) socket.destroy();
});

test('however many addresses fill the connections, the node’s own probes get in', async () => {
  const crowd: Socket[] = [];
  const open = async (localAddress: string) => {
    const socket = connectPlain({ port: port(), host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    crowd.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  for (let of = 0; of < 16; of++) {
    await Promise.all(Array.from({ length: 32 }, () => open(`127.0.1.${of}`)));
  }
  // less than the 5 s after which any that says nothing is cut off, more than a busy machine takes to refuse one
  const kept = async () =>
    Promise.race([closed(await open('127.0.1.99')).then(() => false), sleep(2_000, true)]);
  expect(await kept()).toBe(false);
  // as kubelet's: from the address that it asks
  for (let i = 0; i < 8; i++) expect((await ask('/healthz')).status).toBe(200);
  for (const socket of crowd) socket.destroy();
  // gone, they make room
  while (!(await kept())) await sleep(50);
  for (const socket of crowd) socket.destroy();
});
