import { createServer } from 'node:net';
import { once } from 'node:events';
import { Engine, unsupported } from '../../../src/docker/engine.ts';
import { engineContract } from '../../support/engine-contract.ts';
import { FakeEngine } from '../../support/fakeengine.ts';

let fake: FakeEngine;
beforeEach(async () => {
  fake = new FakeEngine();
  await fake.up();
});
afterEach(() => fake.drop());

const done = Promise.resolve();

describe('the fake engine', () => {
  engineContract(() => ({
    socket: fake.socket,
    run: (name, network) => {
      fake.containers.set(name, { network, running: true, address: '9.0.0.130' });
      return done;
    },
    stop: (name) => {
      fake.containers.get(name)!.running = false;
      return done;
    },
    removeContainer: (name) => {
      fake.containers.delete(name);
      return done;
    },
  }));
});

test.each([
  ['1.41', '1.12', 41],
  ['1.48', '1.24', 48],
  ['1.60', '1.44', 49],
  ['1.70', '1.52', 52],
])('with API %s, at least %s, 1.%i is spoken', async (ApiVersion, MinAPIVersion, minor) => {
  fake.version = { Version: '99', ApiVersion, MinAPIVersion };
  const engine = new Engine(fake.socket);
  expect(await engine.facts()).toMatchObject({ version: '99', minor });
  await engine.networks();
  expect(fake.requests).toEqual(['GET /version', `GET /v1.${minor}/info`, `GET /v1.${minor}/networks`]);
});

test('an engine that was stopped, or gives an answer that cannot be parsed, is an error and not a crash', async () => {
  await fake.down();
  const server = createServer((socket) => socket.end('SSH-2.0-x\r\n')).listen(fake.socket);
  await once(server, 'listening');
  await expect(new Engine(fake.socket).facts()).rejects.toMatchObject({ name: 'EngineError' });
  server.close();
});

const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
test.each([
  [
    'ends in the midst of its answer',
    `${head}Content-Length: 99\r\n\r\n{"Ver`,
    true,
    /^aborted \(GET \/version\)/,
  ],
  [
    'is late in the midst of its answer',
    `${head}Content-Length: 99\r\n\r\n{"Ver`,
    false,
    /^no answer within 0.5 s \(GET \/version\)/,
  ],
  [
    'is late with why it refuses',
    'HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n{"mess',
    false,
    /^no answer within 0.5 s \(GET \/version\)/,
  ],
  ['answers no JSON', `${head}Content-Length: 4\r\n\r\n<ht>`, true, /^its answer cannot be understood: /],
])('an engine that %s has failed, and it is told in what', async (_, answer, ends, words) => {
  await fake.down();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      if (ends) socket.end(answer);
      else socket.write(answer);
    });
  }).listen(fake.socket);
  await once(server, 'listening');
  const told: unknown = await new Engine(fake.socket, 500).facts().catch((error: unknown) => error);
  server.close();
  expect(told).toMatchObject({ name: 'EngineError', message: expect.stringMatching(words) });
});

/** Part of what Docker 29 says with `"firewall-backend": "nftables"`. */
const info29 = {
  ServerVersion: '29.0.0',
  SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
  FirewallBackend: { Driver: 'nftables', Info: [] },
};

test('an engine whose configuration names no pools has those that are built in; an invalid range is not a pool', async () => {
  for (const DefaultAddressPools of [undefined, null, []]) {
    fake.info = { DefaultAddressPools };
    const { pools } = await new Engine(fake.socket).facts();
    expect(pools).toContain('172.20.0.0/14');
    expect(pools).toContain('192.168.0.0/16');
  }
  fake.info = { DefaultAddressPools: [{ Base: '10.70.1.0/16' }, { Base: 'x' }] };
  expect((await new Engine(fake.socket).facts()).pools).toEqual(['10.70.0.0/16']);
});

test('an engine whose firewall is nftables, or that is rootless, is unsupported, and that says what to do', () => {
  expect(unsupported(info29)).toContain('set "firewall-backend": "iptables" in its daemon.json');
  expect(unsupported({ ...info29, FirewallBackend: { Driver: 'nftables+firewalld' } })).toContain('nftables');
  for (const Driver of ['iptables', 'iptables+firewalld'])
    expect(unsupported({ ...info29, FirewallBackend: { Driver } })).toBeUndefined();
  expect(unsupported({ SecurityOptions: ['name=rootless'] })).toContain('rootless');
  expect(unsupported({ SecurityOptions: null, FirewallBackend: null })).toBeUndefined();
});
