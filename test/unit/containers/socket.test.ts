import { lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import type { Ask } from '../../../src/containers/ask.ts';
import type { Choice } from '../../../src/containers/choose.ts';
import type { Done } from '../../../src/containers/done.ts';
import { AgentSocket } from '../../../src/containers/socket.ts';
import { untoldBeside } from '../../../src/host/directories.ts';
import { recordingLog, scratch } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
let log: ReturnType<typeof recordingLog>;
let open: AgentSocket[];
let clients: Socket[];
beforeEach(() => {
  at = scratch();
  log = recordingLog();
  open = [];
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await Promise.all(open.map((socket) => socket.close()));
  at.drop();
});

const path = () => at.path('run', 'agent.sock');
const untold = () => untoldBeside(path());
async function listening(
  answer: (ask: Ask) => Promise<Choice> = () => Promise.resolve({ networks: [] }),
  usage = () => '',
  onDone: (done: Done) => void = () => undefined,
) {
  const socket = new AgentSocket({ path: path(), answer, usage, onDone, log });
  open.push(socket);
  await socket.listen();
  return socket;
}

const good = JSON.stringify({ containerID: 'cafe', ifname: 'eth0', namespace: 'default', pod: 'web-0' });

function post(body: string, options: { url?: string; method?: string } = {}) {
  const { url = '/v1/networks', method = 'POST' } = options;
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const asking = request({ socketPath: path(), path: url, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
      });
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

function client(): Socket {
  const socket = connect(path());
  clients.push(socket);
  return socket.on('error', () => undefined);
}

/** What comes back for bytes that are no HTTP; empty if the connection was cut. */
async function raw(bytes: string | Buffer): Promise<string> {
  const socket = client();
  let text = '';
  socket.on('data', (part) => (text += part.toString()));
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

test('a plugin that finds a network full gets the use of all the node’s networks', async () => {
  await listening(undefined, () => 'dcos 9.0.1.0/25 (CNI): 125 of 125 used');
  expect(await post('{}', { url: '/v1/usage' })).toEqual({
    status: 200,
    body: { usage: 'dcos 9.0.1.0/25 (CNI): 125 of 125 used' },
  });
});

test('the socket accepts reports of ended commands, and nothing else', async () => {
  const ended: Done[] = [];
  await listening(undefined, undefined, (done) => ended.push(done));
  const done = { command: 'ADD', code: 105, seconds: 0.02 };
  expect(await post(JSON.stringify(done), { url: '/v1/done' })).toEqual({ status: 200, body: {} });
  const internal = { command: 'DEL', code: 999, seconds: 0 };
  expect((await post(JSON.stringify(internal), { url: '/v1/done' })).status).toBe(200);
  for (const [wrong, why] of [
    ['', 'not JSON'],
    ['null', 'command: "" is not one of ADD'],
    ['[]', 'command: "" is not one of ADD'],
    ['{"command":"X","code":0,"seconds":1}', 'command: "\\"X\\"" is not one of ADD'],
    // each would be a time series of its own
    ['{"command":"ADD","code":1000,"seconds":1}', 'code: 1000 is not a whole number from 0 to 999'],
    ['{"command":"ADD","code":-1,"seconds":1}', 'code: -1 is not'],
    ['{"command":"ADD","code":1.5,"seconds":1}', 'code: 1.5 is not'],
    ['{"command":"ADD","code":"7","seconds":1}', 'code: "\\"7\\"" is not'],
    ['{"command":"ADD","code":0,"seconds":-1}', 'seconds: -1 is not a number from 0 to 86400'],
    ['{"command":"ADD","code":0,"seconds":1e999}', 'seconds: Infinity is not'],
  ] as const)
    expect(await post(wrong, { url: '/v1/done' })).toEqual({
      status: 400,
      body: { code: 104, msg: expect.stringContaining(why) },
    });
  expect(ended).toEqual([done, internal]);
});

test('what the plugin could not tell an agent is counted once, when one listens and at each repair', async () => {
  const ended: Done[] = [];
  const add = { command: 'ADD', code: 11, seconds: 0.02 };
  const del = { command: 'DEL', code: 0, seconds: 0.01 };
  mkdirSync(at.path('run'), { recursive: true });
  // a plugin that was killed left half a line
  writeFileSync(untold(), `${JSON.stringify(add)}\n{"command":"A\n${JSON.stringify(del)}\n`);
  const socket = await listening(undefined, undefined, (done) => ended.push(done));
  expect(ended).toEqual([add, del]);
  await socket.repair();
  expect(ended).toHaveLength(2);
  writeFileSync(untold(), `${JSON.stringify(del)}\n`);
  await socket.repair();
  expect(ended).toEqual([add, del, del]);
  expect(readdirSync(at.path('run'))).toEqual(['agent.sock']);
});

test('untold ends that cannot be read are logged once, and disturb nothing', async () => {
  const uncounted = 'ended commands of the CNI plugin are not counted';
  mkdirSync(untold(), { recursive: true });
  const socket = await listening();
  mkdirSync(untold());
  await socket.repair();
  await socket.repair();
  expect(log.lines).toEqual([
    expect.stringMatching(`^warn ${uncounted} object=.*untold" command="read .* output="it is not a regular`),
    expect.stringMatching(`^debug ${uncounted} .* attempts=2$`),
    expect.stringMatching('^info ended commands of the CNI plugin are counted again '),
  ]);
});

const said = (level: string) => log.lines.filter((line) => line.startsWith(level));

test('only root can reach it, from its first moment', async () => {
  await listening();
  expect(lstatSync(path()).isSocket()).toBe(true);
  expect(lstatSync(path()).mode & 0o777).toBe(0o600);
  expect(lstatSync(at.path('run')).mode & 0o777).toBe(0o700);
});

test('a question is answered with what was chosen', async () => {
  const asked: Ask[] = [];
  await listening((ask) => {
    asked.push(ask);
    return Promise.resolve({ networks: [] });
  });
  expect(await post(good)).toEqual({ status: 200, body: { networks: [] } });
  expect(asked).toEqual([JSON.parse(good)]);
});

test.each([
  [11, 503],
  [100, 403],
  [104, 400],
])('a refusal with code %i comes with status %i', async (code, status) => {
  await listening(() => Promise.resolve({ code, msg: 'no', details: 'because' }));
  expect(await post(good)).toEqual({ status, body: { code, msg: 'no', details: 'because' } });
  expect(said('info')).toHaveLength(code === 11 ? 0 : 1);
});

test('fifty concurrent questions all get their own answers', async () => {
  await listening(async ({ containerID }) => {
    await sleep(5);
    return { code: 100, msg: containerID };
  });
  const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
  const answers = await Promise.all(
    names.map((containerID) => post(JSON.stringify({ containerID, ifname: 'eth0' }))),
  );
  expect(answers.map(({ body }) => (body as { msg: string }).msg)).toEqual(names);
  expect(said('info').join()).toContain('object="containers/c7"');
});

test('garbage is refused with one line at debug, and the next question is answered', async () => {
  await listening();
  expect(await post('{"containerID":')).toEqual({
    status: 400,
    body: { code: 104, msg: 'the request is not JSON' },
  });
  expect(said('debug')).toHaveLength(1);
  expect(await raw('\u0016\u0003\u0001 garbage\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
  expect(said('debug')).toHaveLength(2);
  const cut = client();
  cut.end('POST /v1/networks HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{');
  await once(cut.resume(), 'close');
  expect(await post(good)).toMatchObject({ status: 200 });
  expect([...said('info'), ...said('warn'), ...said('error')]).toEqual([]);
});

test('the answer to another path or method lists the valid ones', async () => {
  await listening();
  expect(await post(good, { url: '/v1/other' })).toMatchObject({ status: 404 });
  expect(await post('', { method: 'GET' })).toMatchObject({ status: 405 });
});

test('a body over 64 KiB is refused without being read', async () => {
  await listening();
  const answer = await post(JSON.stringify({ annotation: 'x'.repeat(64 * 1024) }));
  expect(answer).toEqual({ status: 413, body: { code: 104, msg: 'the request has more than 65536 bytes' } });
  const endless = client();
  endless.write('POST /v1/networks HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
  const pouring = setInterval(() => endless.write(chunk), 1);
  try {
    // a write that meets the closed end is an error first
    endless.on('error', () => undefined).resume();
    await new Promise((resolve) => endless.once('close', resolve));
  } finally {
    clearInterval(pouring);
  }
  expect(await post(good)).toMatchObject({ status: 200 });
});

test('a client that sends headers or body too slowly is disconnected', async () => {
  await listening();
  const started = Date.now();
  const slow = ['POST /v1/netw', `POST /v1/networks HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{`];
  const answers = await Promise.all(slow.map(raw));
  expect(Date.now() - started).toBeLessThan(9_000);
  expect(answers[0]).toMatch(/^(HTTP\/1.1 4|$)/);
  expect(await post(good)).toMatchObject({ status: 200 });
  expect(said('error')).toEqual([]);
});

test('a failing answer is an error only for its question', async () => {
  let fail = true;
  await listening(() => {
    if (fail) throw new Error('boom');
    return Promise.resolve({ networks: [] });
  });
  expect(await post(good)).toEqual({ status: 500, body: { code: 11, msg: 'the agent failed: boom' } });
  fail = false;
  expect(await post(good)).toMatchObject({ status: 200 });
});

test('the socket of a killed agent is replaced; a stopped agent leaves no socket', async () => {
  mkdirSync(at.path('run'));
  const script = `require('net').createServer().listen(${JSON.stringify(path())}, () => console.log('up'))`;
  const dead = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const gone = once(dead, 'exit');
  try {
    await once(dead.stdout, 'data');
  } finally {
    dead.kill('SIGKILL');
  }
  await gone;
  expect(lstatSync(path()).isSocket()).toBe(true);
  const socket = await listening();
  expect(await post(good)).toMatchObject({ status: 200 });
  await socket.close();
  expect(readdirSync(at.path('run'))).toEqual([]);
});

test('the socket of another living agent is kept, even if that is too busy to answer', async () => {
  await listening();
  await expect(listening()).rejects.toThrow(`another agent listens at ${path()}`);
  expect(await post(good)).toMatchObject({ status: 200 });
});

test('a file that is not a socket is kept', async () => {
  mkdirSync(at.path('run'));
  writeFileSync(path(), 'mine');
  await expect(listening()).rejects.toThrow(`${path()} exists and is no socket; it is left as it is`);
});

test('a path too long for a socket is an error, and is not cut', async () => {
  const long = at.path('x'.repeat(120));
  const socket = new AgentSocket({ path: long, answer: () => Promise.resolve({ networks: [] }), log });
  await expect(socket.listen()).rejects.toThrow(
    `cannot listen at ${long}: a socket's path has at most 107 bytes`,
  );
});

test('a socket that was removed is made again', async () => {
  const socket = await listening();
  await socket.repair();
  expect(log.lines).toEqual([]);
  rmSync(path());
  await socket.repair();
  expect(await post(good)).toMatchObject({ status: 200 });
  expect(lstatSync(path()).mode & 0o777).toBe(0o600);
  rmSync(path());
  const usurper = createServer().listen(path());
  await once(usurper, 'listening');
  await expect(socket.repair()).rejects.toThrow(`another agent listens at ${path()}`);
  usurper.close();
  await once(usurper, 'close');
  await socket.repair();
  expect(await post(good)).toMatchObject({ status: 200 });
});
