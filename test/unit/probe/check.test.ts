import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket as TCPSocket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkPeer } from '../../../src/probe/check.ts';
import { agentAt, closedPort, knock, signsOf } from '../../../src/probe/signs.ts';
import type { PathResult } from '../../../src/verdict/judge.ts';
import type { Code, Path } from '../../../src/verdict/paths.ts';
import { readRequest, renderAnswer, type Request } from '../../../src/verdict/wire.ts';
import { freeUDPPort, ownLoopback } from '../../support/loopback.ts';

// A peer on the loopback that answers as the test says: the same packets go over a real network in test/netns/probe.test.ts.

const [self, underlay, overlay, deserted] = [0, 1, 2, 3].map(ownLoopback) as [string, string, string, string];

const path = (code: Code, to: string, bytes: number): Path => ({
  code,
  layer: code.startsWith('u') ? 'underlay' : 'overlay',
  family: 4,
  size: code.endsWith('s') ? 'small' : 'full',
  from: self,
  to,
  bytes,
});
const paths = [
  path('u4s', underlay, 448),
  path('o4s', overlay, 448),
  path('u4f', underlay, 1_450),
  path('o4f', overlay, 1_400),
];
const times = { answer: 120, view: 1_000 };

/** Of a request: how long its answer takes, in ms; undefined: none comes. */
let answersAfter: (request: Request) => number | undefined = () => 0;
let arrived: Code[] = [];
let port = 0;
const sockets: Socket[] = [];

beforeEach(async () => {
  port = await freeUDPPort(underlay);
  arrived = [];
  answersAfter = () => 0;
  for (const address of [underlay, overlay]) {
    const socket = createSocket('udp4');
    sockets.push(socket);
    socket.on('message', (data, from) => {
      const request = readRequest(data)!;
      arrived.push(request.path);
      const after = answersAfter(request);
      const view = { arrived, checksums: 0, faults: [], without6: false };
      if (after === undefined) return;
      setTimeout(() => {
        if (sockets.includes(socket))
          socket.send(renderAnswer(request, view, data.length), from.port, from.address);
      }, after);
    });
    socket.bind({ address, port });
    await once(socket, 'listening');
  }
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

const by = (results: readonly PathResult[], code: Code) => results.find((one) => one.code === code)!;

test('a peer that answers gets one packet of each path', async () => {
  const { results, isFresh } = await checkPeer(paths, { port, slowMs: 250, times });
  expect(arrived.toSorted()).toEqual(['o4f', 'o4s', 'u4f', 'u4s']);
  expect(results.every(({ answered }) => answered === 1)).toBe(true);
  expect(isFresh).toBe(true);
});

test.each<[what: string, answers: (request: Request) => number | undefined]>([
  ['answers all', () => 0],
  ['answers nothing', () => undefined],
  ['answers nothing in the tunnel', ({ path: code }) => (code.startsWith('o') ? undefined : 0)],
  ['is slow', () => 60],
])('no packet is sent before its turn to a peer that %s', async (_, answers) => {
  answersAfter = answers;
  let turns = 0;
  // a question to the kernel counts, too: no kernel refuses it here
  let knocked = 0;
  for (const address of [underlay, overlay]) {
    const socket = createSocket('udp4');
    sockets.push(socket);
    socket.on('message', () => knocked++);
    socket.bind({ address, port: closedPort });
    await once(socket, 'listening');
  }
  const pace = async () => {
    await sleep(15);
    turns++;
    expect(arrived.length + knocked).toBeLessThanOrEqual(turns);
  };
  const { results } = await checkPeer(paths, { port, slowMs: 20, pace, times });
  const options = { outer: 4, slowMs: 20, port, times: { answer: 120, connect: 120 } } as const;
  await signsOf(paths, results, { ...options, pace });
  expect(turns).toBeGreaterThanOrEqual(arrived.length + knocked);
});

test('an answer that comes too late is slow, and not lost: the agent there was busy', async () => {
  answersAfter = ({ path: code }) => (code === 'o4s' ? 200 : 0);
  const { results } = await checkPeer(paths, { port, slowMs: 1_000, times });
  expect(by(results, 'o4s').answered).toBeGreaterThan(0);
});

test('one packet after the other, full-size ones are not sent where small ones are lost', async () => {
  answersAfter = ({ path: code }) => (code.startsWith('o') ? undefined : 0);
  await checkPeer(paths, { port, slowMs: 250, pace: () => Promise.resolve(), times });
  expect(arrived.filter((code) => code === 'o4f')).toEqual([]);
  expect(arrived.filter((code) => code === 'o4s')).toHaveLength(3);
  expect(arrived).toContain('u4f');
});

test('a peer that falls silent in the midst of a check does not show which packets were lost', async () => {
  let isGone = false;
  answersAfter = ({ path: code }) => {
    isGone ||= code !== 'u4s';
    return isGone ? undefined : 0;
  };
  const { results, isFresh } = await checkPeer(paths, { port, slowMs: 250, times });
  expect(by(results, 'u4s').answered).toBe(1);
  expect(by(results, 'o4s').answered).toBe(0);
  expect(isFresh).toBe(false);
});

test('where nobody listens the kernel says so', async () => {
  const { results } = await checkPeer(
    paths.map((one) => ({ ...one, to: deserted })),
    { port, slowMs: 250, times },
  );
  expect(results.every(({ refused, answered }) => refused && answered === 0)).toBe(true);
});

test('a closed port answers in the place of a busy process; nothing does where packets are dropped', async () => {
  expect(await knock(paths[0]!, 1_000)).toBeLessThan(1_000);
  // no link leads to documentation addresses, or what leads there has no such host
  expect(await knock({ family: 4, from: self, to: '192.0.2.1' }, 200)).toBeUndefined();
});

const taken: TCPSocket[] = [];
const tcp = createServer((socket) => taken.push(socket.on('error', () => undefined)));
const closed = async () => {
  for (const socket of taken.splice(0)) socket.destroy();
  await new Promise((resolve) => tcp.close(resolve));
};
afterAll(closed);

test('an agent’s TCP port: a process that hangs is not one that answers', async () => {
  const way = paths[0]!;
  tcp.listen({ host: underlay, port: 0 });
  await once(tcp, 'listening');
  const address = tcp.address() as { port: number };
  expect(await agentAt(way, address.port, 200)).toBe('Hangs');
  tcp.on('connection', (socket) => socket.end('no TLS\n'));
  expect(await agentAt(way, address.port, 2_000)).toBe('Answers');
  await closed();
  expect(await agentAt(way, address.port, 2_000)).toBe('Refuses');
});
