import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import { Use } from '../../../src/agent/use.ts';
import { inUseFinalizer } from '../../../src/api/inuse.ts';
import type { DeletionPolicy, OverlayAgentStatus, OverlayNetwork } from '../../../src/api/types.ts';
import type { Ask } from '../../../src/containers/ask.ts';
import type { Known } from '../../../src/containers/choose.ts';
import type { Endpoint } from '../../../src/docker/engine.ts';
import { networksInForce } from '../../../src/belief/snapshot.ts';
import { scratch } from '../../support/fixture.ts';

const deletion = '2026-01-01T00:00:00Z';
const ask: Ask = { containerID: 'c2', ifname: 'eth0', namespace: 'default', pod: 'web-2' };
const joined = (name: string) => ({ networks: [{ name }] }) as never;

let at: ReturnType<typeof scratch>;
let network: OverlayNetwork;
let status: OverlayAgentStatus | undefined;
let links: Set<string>;
let blocks: { name: string; subnets: string[] }[] | undefined;
let endpoints: Endpoint[] | undefined;
let use: Use;

beforeEach(() => {
  at = scratch();
  mkdirSync(at.path('attachments'), { recursive: true });
  links = new Set();
  status = undefined;
  blocks = [];
  endpoints = [];
  network = {
    metadata: { name: 'dcos', uid: 'u', finalizers: [inUseFinalizer] },
    spec: {
      enabled: true,
      containerizers: ['CNI', 'Docker'],
      subnets: [{ cidr: '9.0.0.0/8', prefix: 24, state: 'Active' }],
    },
    status: {
      capacity: [
        { cidr: '9.0.0.0/8', blocks: 1, held: 1, releasing: 0, cooling: 0, quarantined: 0, free: 0 },
      ],
    },
  };
  use = agent();
});
afterEach(() => {
  jest.useRealTimers();
  at.drop();
});

const snapshot = () => ({ networks: networksInForce([network]) }) as Known['snapshot'];

function agent(): Use {
  return new Use({
    stateDir: at.path('.'),
    leaseDir: at.path('leases'),
    links: () => links,
    docker: {
      endpoints: () => Promise.resolve(endpoints),
      get blocks() {
        return blocks;
      },
      finding: { type: 'Docker', status: 'True', reason: 'Applied', message: 'Docker 28 has dcos' },
    },
    caches: {
      agents: { hasSynced: true },
      get agent() {
        return { metadata: { name: 'node1' }, status };
      },
      networks: { list: () => [network] },
      configs: { get: () => ({ spec: { staleAfter: '3m' } }) },
    } as never,
    pass: {
      applied: {},
      get snapshot() {
        return snapshot();
      },
      held: {
        networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24', bridges: { cni: '9.0.1.0/25' } }] }],
      },
    } as never,
    onCount: () => undefined,
  });
}

function remove(deletionPolicy?: DeletionPolicy): void {
  network = {
    ...network,
    metadata: { ...network.metadata, deletionTimestamp: deletion },
    spec: { ...network.spec, ...(deletionPolicy && { deletionPolicy }) },
  };
}

/** A pod's record, and its port in the kernel. */
function attach(id: string, pod: string, address: string): void {
  const host = `c-${id.padStart(12, '0')}`;
  const one = {
    network: 'dcos',
    name: 'eth0',
    host,
    mac: '',
    bridge: 'm-dcos',
    addresses: ['fe80::1', address],
  };
  const record = {
    version: 1,
    conflist: 'overlaynet',
    containerID: id,
    ifname: 'eth0',
    netns: '/run/netns/x',
    namespace: 'default',
    pod,
    interfaces: [one],
  };
  writeFileSync(at.path('attachments', `${id}.json`), JSON.stringify(record));
  links.add(host);
}

function detach(id: string): void {
  rmSync(at.path('attachments', `${id}.json`));
  links.delete(`c-${id.padStart(12, '0')}`);
}

const users = () => use.said.users.get('dcos');
const closing = (asked = ask) =>
  (use.known({ snapshot: snapshot(), idle: new Map(), failed: new Map() }, asked) as Known).closing?.get(
    'dcos',
  );

test('a network is in use from its first container on until a minute after its last', async () => {
  jest.useFakeTimers();
  expect((await use.look())?.news).toBe(true);
  expect([...use.said.inUse!]).toEqual([]);
  attach('1', 'web-0', '9.0.1.2');
  expect((await use.look())?.news).toBe(true);
  expect([...use.said.inUse!]).toEqual(['dcos']);
  detach('1');
  jest.advanceTimersByTime(30_000);
  await use.look();
  expect([...use.said.inUse!]).toEqual(['dcos']);
  jest.advanceTimersByTime(31_000);
  expect((await use.look())?.news).toBe(true);
  expect([...use.said.inUse!]).toEqual([]);
  expect(users()).toBeUndefined();
});

test('who uses a network that somebody deletes is named, pods and Docker’s containers', async () => {
  attach('1', 'web-0', '9.0.1.2');
  blocks = [{ name: 'dcos', subnets: ['9.0.1.0/24'] }];
  endpoints = [{ network: 'dcos', container: 'redis', addresses: ['9.0.1.130'] }];
  remove();
  expect(await use.look()).toEqual({ news: true, againMs: 2_000 });
  expect(users()).toEqual({
    deletion,
    at: expect.any(String),
    count: 2,
    named: [
      { pod: 'default/web-0', address: '9.0.1.2' },
      { container: 'redis', address: '9.0.1.130' },
    ],
  });
});

test('as long as Docker has the network, a container may start on it', async () => {
  blocks = [{ name: 'dcos', subnets: ['9.0.1.0/24'] }];
  remove();
  await use.look();
  expect(users()).toMatchObject({
    count: 1,
    named: [{ container: expect.stringContaining('Docker network dcos') }],
  });
  blocks = [];
  await use.look();
  expect(users()?.count).toBe(0);
});

test('an engine that has not answered yet may have the network: the last answer stands', async () => {
  remove();
  blocks = undefined;
  await use.look();
  expect(users()).toBeUndefined();
  const said = { deletion, at: '2026-01-01T00:00:01Z', count: 1, named: [{ container: 'web' }] };
  status = { networks: [{ name: 'dcos', state: 'OK', users: said }] };
  use = agent();
  await use.look();
  expect(users()).toEqual(said);
  blocks = [];
  await use.look();
  expect(users()?.count).toBe(0);
});

test('another interface of a container that runs counts by itself until its own port is there', async () => {
  remove();
  attach('1', 'web-0', '9.0.1.2');
  expect(closing({ ...ask, containerID: '1', ifname: 'net1', pod: 'web-0' })).toBeUndefined();
  links.clear();
  await use.look();
  expect(users()).toMatchObject({ count: 1, named: [{ pod: 'default/web-0' }] });
});

test('a record that cannot be read may be of any network', async () => {
  writeFileSync(at.path('attachments', 'bad.json'), '{');
  remove();
  await use.look();
  expect(users()?.count).toBe(1);
});

test('with Block pods join where some are, and nowhere else; with Drain nowhere', () => {
  expect(closing()).toBeUndefined();
  remove();
  expect(closing()).toBe('no pod on this node uses it any more');
  attach('1', 'web-0', '9.0.1.2');
  expect(closing()).toBeUndefined();
  remove('Drain');
  expect(closing({ ...ask, containerID: 'c3' })).toBe('spec.deletionPolicy is Drain');
});

test('a container that was told to join counts before its record is there, and does not when it was refused', async () => {
  remove();
  attach('1', 'web-0', '9.0.1.2');
  expect(closing()).toBeUndefined();
  detach('1');
  await use.look();
  expect(users()).toMatchObject({ count: 1, named: [{ pod: 'default/web-2' }] });
  use.answered(ask, { code: 102, msg: 'no' });
  await use.look();
  expect(users()?.count).toBe(0);
  use.answered(ask, joined('dcos'));
  await use.look();
  expect(users()?.count).toBe(1);
});

test('the answer is said again as long as there are containers, so that the agent is not taken for silent', async () => {
  jest.useFakeTimers();
  remove();
  attach('1', 'web-0', '9.0.1.2');
  await use.look();
  const first = users()!.at;
  jest.advanceTimersByTime(59_000);
  expect((await use.look())?.news).toBe(false);
  jest.advanceTimersByTime(1_000);
  expect((await use.look())?.news).toBe(true);
  expect(users()!.at).not.toBe(first);
  detach('1');
  await use.look();
  const last = users()!.at;
  jest.advanceTimersByTime(600_000);
  await use.look();
  expect(users()).toEqual({ deletion, at: last, count: 0 });
});

test('an agent that starts anew says what the one before it said', async () => {
  remove();
  await use.look();
  status = {
    networks: [{ name: 'dcos', state: 'OK', users: users()!, usage: [...use.said.usage!.get('dcos')!] }],
  };
  use = agent();
  expect((await use.look())?.news).toBe(true);
  expect(users()).toEqual(status.networks![0]!.users);
});
