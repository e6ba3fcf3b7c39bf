import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { Relay } from '../../../src/cli/relay.ts';
import { eventually } from '../../support/eventually.ts';

const word = 'the-word';
/** What the operator was asked, and how it answers. */
let asked: IncomingMessage[] = [];
let status = 200;
let tokens = 0;
let forgotten = 0;
let gone = 0;
let reachable = true;

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const listen = (server: Server) =>
  new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });

const operator = createServer((incoming, response) => {
  asked.push(incoming);
  response.on('close', () => gone++);
  response.writeHead(status, {
    'content-type': 'text/event-stream',
    'set-cookie': 'a=b',
    'content-security-policy': "default-src 'none'",
  });
  if (incoming.url === '/api/v1/changes') response.write('data: 1\n\n');
  else response.end('rows');
});
const relay = new Relay(
  {
    connection: () =>
      reachable
        ? Promise.resolve(connect(portOf(operator), '127.0.0.1'))
        : Promise.reject(new Error('no operator runs')),
    freshToken: () => Promise.resolve(`token-${++tokens}`),
    forget: () => forgotten++,
  },
  (given) => given === word,
);
const front = createServer((incoming, response) => void relay.answer(incoming, response));

beforeAll(async () => {
  await Promise.all([listen(operator), listen(front)]);
});
beforeEach(() => {
  asked = [];
  status = 200;
  reachable = true;
});
afterAll(() => {
  relay.close();
  for (const server of [front, operator]) {
    server.closeAllConnections();
    server.close();
  }
});

const withWord = { authorization: `Bearer ${word}` };

/** Sends headers as they are; fetch would not let us name another host. */
const ask = (
  path: string,
  headers: Record<string, string> = withWord,
  method = 'GET',
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> =>
  new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: portOf(front), path, method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    call.on('error', reject);
    call.end();
  });

test('the operator gets its own token, and never the page’s word', async () => {
  const answer = await ask('/api/v1/networks?limit=1');
  expect([answer.status, answer.body]).toEqual([200, 'rows']);
  expect([asked[0]?.url, asked[0]?.headers.authorization]).toEqual([
    '/api/v1/networks?limit=1',
    'Bearer token-1',
  ]);
  await ask('/api/v1/agents');
  expect(asked[1]?.headers.authorization).toBe('Bearer token-1');
  expect(JSON.stringify(asked.map(({ headers }) => headers))).not.toContain(word);
});

test('files of the page need no word or token, and have only protective headers', async () => {
  const { status: code, headers } = await ask('/ui/', {});
  expect([code, headers['content-security-policy'], headers['set-cookie']]).toEqual([
    200,
    "default-src 'none'",
    undefined,
  ]);
  expect(asked[0]?.headers.authorization).toBeUndefined();
});

test.each([
  [401, '/api/v1/networks', {}, 'GET'],
  [401, '/api/v1/networks', { authorization: 'Bearer another' }, 'GET'],
  [404, '/metrics', withWord, 'GET'],
  [404, '/overlay-master/state', withWord, 'GET'],
  [405, '/api/v1/networks', withWord, 'POST'],
  // a foreign name that resolves to this address
  [421, '/api/v1/networks', { ...withWord, host: 'evil.example' }, 'GET'],
  [421, '/ui/', { host: '127.0.0.1.evil.example' }, 'GET'],
])('%i: %s with %j by %s does not reach the operator', async (code, path, headers, method) => {
  expect((await ask(path, headers, method)).status).toBe(code);
  expect(asked).toEqual([]);
});

test('a token that the operator refuses is replaced; the page asks again and stays signed in', async () => {
  status = 401;
  expect((await ask('/api/v1/networks')).status).toBe(503);
  status = 200;
  expect((await ask('/api/v1/networks')).status).toBe(200);
  expect(asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1', 'Bearer token-2']);
});

test('a file that the operator does not have is 404, and causes no new token', async () => {
  await ask('/api/v1/networks');
  status = 401;
  expect((await ask('/ui/missing.js', {})).status).toBe(404);
  status = 200;
  await ask('/api/v1/networks');
  expect(asked[2]?.headers.authorization).toBe(asked[0]?.headers.authorization);
});

test('a stream arrives while it goes on, and ends at the operator when the page has gone', async () => {
  const before = gone;
  const away = new AbortController();
  const response = await fetch(`http://127.0.0.1:${portOf(front)}/api/v1/changes`, {
    headers: withWord,
    signal: away.signal,
  });
  const { value } = await response.body!.getReader().read();
  expect(new TextDecoder().decode(value)).toBe('data: 1\n\n');
  away.abort();
  await eventually(
    () => gone,
    (count) => count > before,
  );
});

test('an operator that cannot be reached is 503 with the reason, and another is looked for', async () => {
  reachable = false;
  operator.closeAllConnections();
  const before = forgotten;
  const answer = await ask('/api/v1/networks');
  expect([answer.status, answer.body]).toEqual([503, '{"error":"no operator runs"}\n']);
  expect(forgotten).toBe(before + 1);
});
