import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Responder, type End } from '../../../src/probe/responder.ts';
import { mostText, readAnswer, renderRequest, type FaultKind } from '../../../src/verdict/wire.ts';
import { freeUDPPort, ownLoopback } from '../../support/loopback.ts';

const end = (address: string, layer: End['layer'] = 'underlay'): End => ({ layer, family: 4, address });
const [here, hereVTEP, at1, vtep1, at2, stray] = [0, 1, 2, 3, 4, 5].map(ownLoopback) as [
  ...[string, string, string],
  ...[string, string, string],
];
const own = [end(here), end(hereVTEP, 'overlay')];
const members = new Map([
  [at1, 'node1'],
  [vtep1, 'node1'],
  [at2, 'node2'],
]);
const check = '0123456789abcdef';
const request = (changes: Partial<Parameters<typeof renderRequest>[0]> = {}, bytes = 448) =>
  renderRequest({ check, path: 'u4s', attempt: 0, ...changes }, { family: 4, bytes });

let port = 0;
let now = 0;
let faults: FaultKind[] | undefined = [];
let looks = 0;
let responder: Responder;
const sockets: Socket[] = [];

/** A socket at an address, and what came to it. */
async function at(
  address: string,
): Promise<{ socket: Socket; got: Buffer[]; send: (data: Uint8Array, to?: string) => void }> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  const got: Buffer[] = [];
  socket.on('message', (data) => got.push(data));
  socket.on('error', () => undefined);
  socket.bind({ address, port: 0 });
  await once(socket, 'listening');
  return {
    socket,
    got,
    send: (data, to = here) => {
      socket.send(data, port, to);
    },
  };
}

beforeEach(async () => {
  port = await freeUDPPort(here);
  now = 1_000_000;
  faults = [];
  looks = 0;
  responder = new Responder({
    port,
    membership: () => ({
      own,
      members,
      vtepOf: (node, family) => (node === 'node1' && family === 4 ? vtep1 : undefined),
    }),
    look: () => {
      looks++;
      return Promise.resolve(faults);
    },
    checksums: () => Promise.resolve(7),
    without6: () => Promise.resolve(false),
    now: () => now,
  });
  await responder.refresh();
});
afterEach(() => {
  responder.stop();
  for (const socket of sockets.splice(0)) socket.close();
});

/** Long enough for an answer on the loopback; what must not come is waited for. */
const settle = () => sleep(150);

test.each([448, 1_400])(
  'a member’s request of %d bytes is answered with as many bytes, and no more',
  async (bytes) => {
    const node1 = await at(at1);
    const data = request({}, bytes);
    node1.send(data);
    await once(node1.socket, 'message');
    await settle();
    expect(node1.got.map(({ length }) => length)).toEqual([data.length]);
    expect(readAnswer(node1.got[0]!)).toMatchObject({
      check,
      path: 'u4s',
      view: { arrived: ['u4s'], checksums: 7 },
    });
  },
);

test('a stranger is not answered: another cluster’s agent, or anybody else', async () => {
  const stranger = await at(stray);
  stranger.send(request());
  await settle();
  expect(stranger.got).toEqual([]);
  expect(responder.hasHeardFrom('node1', 1)).toBe(false);
  expect(looks).toBe(0);
});

test('a request that is shorter than the longest answer is not answered, nor is rubbish of any length', async () => {
  const node1 = await at(at1);
  node1.send(request().subarray(0, mostText - 1));
  node1.send(new Uint8Array(mostText));
  node1.send(Buffer.alloc(1_400, 'a'));
  await settle();
  expect(node1.got).toEqual([]);
});

test('an answer through the tunnel goes to that member’s own VTEP, wherever the request says that it came from', async () => {
  const node1 = await at(at1);
  const vtep = await at(vtep1);
  const other = await at(at2);
  node1.send(request({ cross: { family: 4, port: vtep.socket.address().port } }));
  await once(vtep.socket, 'message');
  // node2 has no VTEP of that family: nothing is sent anywhere
  other.send(request({ cross: { family: 4, port: vtep.socket.address().port } }));
  await settle();
  expect([node1.got.length, vtep.got.length, other.got.length]).toEqual([0, 1, 0]);
});

test('who speaks with a member’s address has at most 200 answers sent to it at once, and 40 a second after that', async () => {
  const node1 = await at(at1);
  const flood = async (count: number) => {
    for (let sent = 0; sent < count; sent++) {
      node1.send(request({ attempt: sent }));
      if (sent % 50 === 49) await sleep(5);
    }
    await settle();
    return node1.got.splice(0).length;
  };
  expect(await flood(400)).toBe(200);
  now += 1_000;
  expect(await flood(100)).toBe(40);
  // a container that speaks with its node's address takes nothing from the node's VTEP
  const vtep = await at(vtep1);
  vtep.send(request());
  await once(vtep.socket, 'message');
});

test('from 2,000 packets of a second on it closes its sockets, and opens them again ten seconds later', async () => {
  const stranger = await at(stray);
  for (let sent = 0; sent < 6_000 && responder.listening.length > 0; sent++) {
    stranger.send(request());
    if (sent % 50 === 49) await sleep(1);
  }
  await settle();
  expect(responder.listening).toEqual([]);
  now += 5_000;
  await responder.refresh();
  expect(responder.listening).toEqual([]);
  now += 6_000;
  await responder.refresh();
  expect(responder.listening.toSorted()).toEqual([here, hereVTEP]);
});

test('what it remembers is bounded: some checks of each member, and no node that is gone', async () => {
  const node1 = await at(at1);
  for (let one = 0; one < 50; one++) node1.send(request({ check: one.toString(16).padStart(16, '0') }));
  await settle();
  expect(responder.remembered).toEqual({ members: 1, addresses: 1, checks: 4 });
  members.delete(at1);
  members.delete(vtep1);
  await responder.refresh();
  expect(responder.remembered).toEqual({ members: 0, addresses: 0, checks: 0 });
  members.set(at1, 'node1').set(vtep1, 'node1');
});

test('its kernel is looked at once for a check, 16 times at once and twice a second after that, and what it shows comes with later answers', async () => {
  faults = ['RouteMissing'];
  const node1 = await at(at1);
  for (let attempt = 0; attempt < 20; attempt++) node1.send(request({ attempt }));
  await settle();
  node1.send(request({ attempt: 20 }));
  await settle();
  expect(readAnswer(node1.got.at(-1)!)?.view.faults).toEqual(['RouteMissing']);
  expect(looks).toBe(1);
  const checks = async (count: number) => {
    for (let one = 0; one < count; one++) {
      // a look that began in the same millisecond would serve
      now += 1;
      node1.send(request({ check: (now + one).toString(16).padStart(16, 'f') }));
      await sleep(10);
    }
    await settle();
  };
  await checks(30);
  expect(looks).toBe(16);
  now += 1_000;
  await checks(10);
  expect(looks).toBe(18);
});
