import { jest } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentAllocation } from '../../../src/api/types.ts';
import { bounded } from '../../../src/api/text.ts';
import { Peers } from '../../../src/operator/peers.ts';
import { fingerprint } from '../../../src/serve/certificate.ts';
import { selfSigned } from '../../../src/serve/x509.ts';
import { eventually } from '../../support/eventually.ts';
import { container } from '../rows/world.ts';

const dir = mkdtempSync(join(tmpdir(), 'ovt-peers-'));
const tokenFile = join(dir, 'token');
writeFileSync(tokenFile, 'secret\n');

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
/** What the agent at each address does; addresses of one machine are all of 127.0.0.0/8. */
const answers = new Map<string, Answer>();
const asked: { address: string; path: string; authorization: string }[] = [];
let underWay = 0;
let most = 0;
let server: Server;
/** What OverlayAgents say of the server's certificate. */
let named: string | undefined;
let shown = '';
const sockets = new Set<Socket>();

beforeAll(async () => {
  const from = new Date(Date.now() - 1_000);
  const pair = selfSigned({ commonName: 'agent', names: [], from, until: new Date(Date.now() + 3_600_000) });
  shown = fingerprint(pair.cert)!;
  server = createServer(pair, (request, response) => {
    const address = request.socket.localAddress ?? '';
    asked.push({ address, path: request.url ?? '', authorization: request.headers.authorization ?? '' });
    most = Math.max(most, ++underWay);
    response.on('close', () => underWay--);
    (answers.get(address) ?? good())(request, response);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '0.0.0.0', resolve);
  });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true });
});
beforeEach(() => {
  named = shown;
  answers.clear();
  asked.length = 0;
  most = 0;
});

const good =
  (...containers: object[]): Answer =>
  (_, response) =>
    response.end(JSON.stringify({ node: 'whoever', version: '0.1.0', containers, problems: [] }));

const addressOf = (at: number) => `127.0.${at >> 8}.${(at & 255) + 1}`;
const peersOf = (count: number, times = { all: 5_000, each: 2_500, kept: 0, keptForPages: 0 }) =>
  new Peers({
    allocations: () =>
      Array.from({ length: count }, (_, at): AgentAllocation => ({
        metadata: { name: `node${at}` },
        spec: { revision: 1, nodeUID: '', addresses: [addressOf(at)] },
      })),
    agent: (node) => ({
      metadata: { name: node },
      spec: { addresses: [], uplinkMTU: 1500 },
      status: { ...(named === undefined ? {} : { certificate: named }) },
    }),
    config: () => undefined,
    port: (server.address() as AddressInfo).port,
    tokenFile,
    times,
  });

test('every agent is asked at its address, with the token, and only its own node’s containers count', async () => {
  answers.set(addressOf(1), good(container({ node: 'node0', id: 'forged' })));
  const { rows, unanswered } = await peersOf(2).containers();
  expect(unanswered).toEqual([]);
  expect(rows).toEqual([container({ node: 'node1', id: 'forged' })]);
  expect(asked.map(({ address }) => address).sort()).toEqual([addressOf(0), addressOf(1)]);
  expect(asked[0]).toMatchObject({ path: '/overlay-agent/containers', authorization: 'Bearer secret' });
});

test('a server with another certificate than the OverlayAgent names gets no token', async () => {
  named = 'ab'.repeat(32);
  const { rows, unanswered } = await peersOf(1).containers();
  expect([rows, asked]).toEqual([[], []]);
  expect(unanswered).toEqual([
    {
      node: 'node0',
      reason: `127.0.0.1: its certificate (SHA-256 ${shown}) is not the one in status.certificate of OverlayAgent node0 (${named}); it was not asked, because another program may be listening in its place`,
    },
  ]);
});

test('an agent older than status.certificate is asked all the same', async () => {
  named = undefined;
  const { unanswered } = await peersOf(1).containers();
  expect([unanswered, asked.length]).toEqual([[], 1]);
});

test('one node alone is asked where one alone is wanted', async () => {
  await peersOf(5).containers({ node: 'node3' });
  expect(asked.map(({ address }) => address)).toEqual([addressOf(3)]);
});

test.each<[what: string, answer: Answer, reason: string]>([
  ['no JSON', (_, response) => response.end('<html>'), 'its answer is not JSON'],
  ['null', (_, response) => response.end('null'), 'its answer has no list of containers'],
  [
    'containers that are none',
    good({ network: 5 }),
    'its container 1 has no addresses that can be understood',
  ],
  [
    'an address that is none',
    good(container(), container({ addresses: ['9.0.0.1; rm'] })),
    'its container 2 has no addresses that can be understood',
  ],
  [
    'a name without end',
    good(container({ id: 'x'.repeat(600) })),
    'its container 1 has no id that can be understood',
  ],
  ['a refusal', (_, response) => response.writeHead(403).end('{"error": "no"}'), '403: {"error": "no"}'],
  ['nothing', (request) => request.socket.destroy(), 'socket hang up'],
  [
    'another protocol',
    (request) => request.socket.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    'it closed the connection',
  ],
  [
    'half an answer',
    (request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"containers": [');
      setTimeout(() => request.socket.destroy(), 50);
    },
    'its answer was cut off',
  ],
  [
    'an answer without end',
    (_, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more).on('error', () => undefined);
      more();
    },
    'its answer has more than 2097152 bytes',
  ],
])('an agent that answers with %s takes nothing from the others', async (_, answer, reason) => {
  answers.set(addressOf(0), answer);
  answers.set(addressOf(1), good(container()));
  const { rows, unanswered } = await peersOf(2).containers();
  expect(rows).toEqual([container({ node: 'node1' })]);
  expect(unanswered).toEqual([{ node: 'node0', reason: expect.stringContaining(reason) }]);
});

test('an agent that could not read all its containers counts as one that answered', async () => {
  const problems = ['Docker: no answer'];
  answers.set(addressOf(0), (_, response) =>
    response.end(JSON.stringify({ containers: [container()], problems })),
  );
  const { rows, unanswered } = await peersOf(1).containers();
  expect(rows).toHaveLength(1);
  expect(unanswered).toEqual([{ node: 'node0', reason: problems[0], answer: 'Partial' }]);
});

test('the last pass of an agent comes with the containers of its node alone', async () => {
  const pass = { endedAt: '2026-11-01T12:00:00.000Z', problem: 'x'.repeat(2_000) };
  answers.set(addressOf(0), (_, response) =>
    response.end(JSON.stringify({ containers: [], problems: [], pass })),
  );
  const said = await peersOf(1).containers({ node: 'node0' });
  expect(said.pass).toEqual({ endedAt: pass.endedAt, problem: bounded(pass.problem) });
  expect((await peersOf(1).containers()).pass).toBeUndefined();
  answers.set(addressOf(0), (_, response) =>
    response.end(JSON.stringify({ containers: [], problems: [], pass: { endedAt: 'soon', problem: '' } })),
  );
  const { unanswered } = await peersOf(1).containers({ node: 'node0' });
  expect(unanswered[0]?.reason).toContain('its last pass has no time that can be understood');
});

test('an answer serves for a while from the end of the round in which it came, and longer for the pages after the first', async () => {
  let now = Date.now();
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => now);
  const peers = peersOf(2, { all: 5_000, each: 2_500, kept: 300, keptForPages: 3_000 });
  // the agents of a large cluster need longer for their answers than an answer serves
  answers.set(addressOf(1), (request, response) => {
    now += 1_000;
    good()(request, response);
  });
  await Promise.all([peers.containers(), peers.containers()]);
  now += 280;
  await peers.containers();
  expect(asked.length).toBe(2);
  now += 40;
  await peers.containers({ following: true });
  expect(asked.length).toBe(2);
  await peers.containers();
  expect(asked.length).toBe(4);
  now += 3_020;
  await peers.containers({ following: true });
  expect(asked.length).toBe(6);
  clock.mockRestore();
});

test('agents that never answer do not hold up the others, and the request ends in time', async () => {
  // answers and handshakes share this process with the operator's side: a busy machine needs seconds for them
  const peers = peersOf(48, { all: 10_000, each: 4_000, kept: 0, keptForPages: 0 });
  for (let at = 0; at < 40; at++) answers.set(addressOf(at), () => undefined);
  const ask = async () => {
    const startedAt = performance.now();
    const { unanswered } = await peers.containers();
    return { names: unanswered.map(({ node }) => node), tookMs: performance.now() - startedAt };
  };
  await ask();
  // those that were silent come last now; a busy machine may need another round for the others
  const { names, tookMs } = await eventually(ask, (found) => found.names.length === 40, { seconds: 60 });
  expect(tookMs).toBeLessThan(20_000);
  expect(names.every((node) => Number(node.slice(4)) < 40)).toBe(true);
  expect(most).toBeLessThanOrEqual(32);
  expect(most).toBeGreaterThan(8);
});

test('an agent that had no turn was not asked, and is not among the silent ones', async () => {
  // 32 at once, in one second: two rounds of half a second, so about 36 of 100 have no turn
  const peers = peersOf(100, { all: 1_000, each: 500, kept: 0, keptForPages: 0 });
  for (let at = 0; at < 100; at++) answers.set(addressOf(at), () => undefined);
  const { unanswered } = await peers.containers();
  expect(unanswered).toHaveLength(100);
  const late = unanswered.filter(({ reason }) => reason.includes('it was not its turn'));
  expect(late.length).toBeGreaterThan(0);
  expect(unanswered.filter(({ answer }) => answer === 'NotAsked')).toEqual(late);
});

test('a trace waits for its turn no longer than for an answer', async () => {
  const peers = peersOf(40, { all: 1_000, each: 1_000, kept: 0, keptForPages: 0 });
  for (let at = 0; at < 40; at++) answers.set(addressOf(at), () => undefined);
  const startedAt = performance.now();
  // ten rounds of places: without an end each waits for the one before, ten seconds in all
  const traces = Array.from({ length: 320 }, (_, at) => peers.trace(`node${at % 40}`, 'to=9.0.1.7'));
  const problems = (await Promise.all(traces)).map((one) => one && 'problem' in one && one.problem);
  expect(performance.now() - startedAt).toBeLessThan(6_000);
  const [late, noTurn] = [/no answer within|aborted due to timeout/, /it was not its turn within 1000 ms/];
  expect(problems[0]).toMatch(late);
  // some get their turn in the last milliseconds: the first ones' places are free then
  for (const problem of problems) expect(problem).toMatch(new RegExp(`${late.source}|${noTurn.source}`));
  expect(problems.filter((problem) => problem && noTurn.test(problem)).length).toBeGreaterThan(0);
});
