import { writeFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import type { Known } from '../../../src/containers/choose.ts';
import { ask, deletion, joined, UseBed } from '../../support/usebed.ts';

let bed: UseBed;

beforeEach(() => {
  bed = new UseBed();
});
afterEach(() => {
  jest.useRealTimers();
  bed.drop();
});

const users = () => bed.use.reported.users.get('dcos');
const closing = (asked = ask) =>
  (
    bed.use.known({ snapshot: bed.snapshot(), idle: new Map(), failed: new Map() }, asked) as Known
  ).closing?.get('dcos');

test('a network is in use from its first container on until a minute after its last', async () => {
  jest.useFakeTimers();
  expect((await bed.use.look())?.changed).toBe(true);
  expect([...bed.use.reported.inUse!]).toEqual([]);
  bed.attach('1', 'web-0', '9.0.1.2');
  expect((await bed.use.look())?.changed).toBe(true);
  expect([...bed.use.reported.inUse!]).toEqual(['dcos']);
  bed.detach('1');
  jest.advanceTimersByTime(30_000);
  await bed.use.look();
  expect([...bed.use.reported.inUse!]).toEqual(['dcos']);
  jest.advanceTimersByTime(31_000);
  expect((await bed.use.look())?.changed).toBe(true);
  expect([...bed.use.reported.inUse!]).toEqual([]);
  expect(users()).toBeUndefined();
});

test('the users of a network that is being deleted are named: pods and Docker’s containers', async () => {
  bed.attach('1', 'web-0', '9.0.1.2');
  bed.blocks = [{ name: 'dcos', subnets: ['9.0.1.0/24'] }];
  bed.endpoints = [{ network: 'dcos', container: 'redis', addresses: ['9.0.1.130'] }];
  bed.remove();
  expect(await bed.use.look()).toEqual({ changed: true, againMs: 2_000 });
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
  bed.blocks = [{ name: 'dcos', subnets: ['9.0.1.0/24'] }];
  bed.remove();
  await bed.use.look();
  expect(users()).toMatchObject({
    count: 1,
    named: [{ container: expect.stringContaining('Docker network dcos') }],
  });
  bed.blocks = [];
  await bed.use.look();
  expect(users()?.count).toBe(0);
});

test('an engine that has not answered yet may have the network: the last answer stands', async () => {
  bed.remove();
  bed.blocks = undefined;
  await bed.use.look();
  expect(users()).toBeUndefined();
  const said = { deletion, at: '2026-01-01T00:00:01Z', count: 1, named: [{ container: 'web' }] };
  bed.status = { networks: [{ name: 'dcos', state: 'OK', users: said }] };
  bed.use = bed.agent();
  await bed.use.look();
  expect(users()).toEqual(said);
  bed.blocks = [];
  await bed.use.look();
  expect(users()?.count).toBe(0);
});

test('another interface of a container that runs counts by itself until its own port is there', async () => {
  bed.remove();
  bed.attach('1', 'web-0', '9.0.1.2');
  expect(closing({ ...ask, containerID: '1', ifname: 'net1', pod: 'web-0' })).toBeUndefined();
  bed.links.clear();
  await bed.use.look();
  expect(users()).toMatchObject({ count: 1, named: [{ pod: 'default/web-0' }] });
});

test('a record that cannot be read may be of any network', async () => {
  writeFileSync(bed.at.path('attachments', 'bad.json'), '{');
  bed.remove();
  await bed.use.look();
  expect(users()?.count).toBe(1);
});

test('with Block pods join where some are, and nowhere else; with Drain nowhere', () => {
  expect(closing()).toBeUndefined();
  bed.remove();
  expect(closing()).toBe('no pod on this node uses it any more');
  bed.attach('1', 'web-0', '9.0.1.2');
  expect(closing()).toBeUndefined();
  bed.remove('Drain');
  expect(closing({ ...ask, containerID: 'c3' })).toBe('spec.deletionPolicy is Drain');
});

test('a container that was accepted counts before its record is there, and one that was refused does not', async () => {
  bed.remove();
  bed.attach('1', 'web-0', '9.0.1.2');
  expect(closing()).toBeUndefined();
  bed.detach('1');
  await bed.use.look();
  expect(users()).toMatchObject({ count: 1, named: [{ pod: 'default/web-2' }] });
  bed.use.answered(ask, { code: 102, msg: 'no' });
  await bed.use.look();
  expect(users()?.count).toBe(0);
  bed.use.answered(ask, joined('dcos'));
  await bed.use.look();
  expect(users()?.count).toBe(1);
});

test('the answer is said again as long as there are containers, so that the agent is not taken for silent', async () => {
  jest.useFakeTimers();
  bed.remove();
  bed.attach('1', 'web-0', '9.0.1.2');
  await bed.use.look();
  const first = users()!.at;
  jest.advanceTimersByTime(59_000);
  expect((await bed.use.look())?.changed).toBe(false);
  jest.advanceTimersByTime(1_000);
  expect((await bed.use.look())?.changed).toBe(true);
  expect(users()!.at).not.toBe(first);
  bed.detach('1');
  await bed.use.look();
  const last = users()!.at;
  jest.advanceTimersByTime(600_000);
  await bed.use.look();
  expect(users()).toEqual({ deletion, at: last, count: 0 });
});

test('that nothing uses it is said only after that it is being deleted is on disk; containers are named all the same', async () => {
  bed.remove();
  bed.recorded = undefined;
  bed.attach('1', 'web-0', '9.0.1.2');
  await bed.use.look();
  expect(users()).toMatchObject({ count: 1 });
  bed.detach('1');
  expect(await bed.use.look()).toMatchObject({ againMs: 2_000 });
  expect(users()).toMatchObject({ count: 1 });
  bed.recorded = [];
  expect((await bed.use.look())?.changed).toBe(true);
  expect(users()).toMatchObject({ count: 0 });
  expect(bed.recorded).toHaveLength(1);
  await bed.use.look();
  expect(bed.recorded).toHaveLength(1);
});

test('an answer that stands because 0 cannot be said yet is said again, so that the agent is not taken for silent', async () => {
  jest.useFakeTimers();
  bed.remove();
  bed.attach('1', 'web-0', '9.0.1.2');
  await bed.use.look();
  const { at } = users()!;
  bed.detach('1');
  bed.recorded = undefined;
  jest.advanceTimersByTime(59_000);
  expect((await bed.use.look())?.changed).toBe(false);
  jest.advanceTimersByTime(1_000);
  expect((await bed.use.look())?.changed).toBe(true);
  expect(users()!.at).not.toBe(at);
});

test('in its first ten seconds an agent does not say that nothing uses it: the agent before may have let a container join', async () => {
  bed.remove();
  bed.use = bed.agent(performance.now() - 9_000);
  expect(await bed.use.look()).toMatchObject({ againMs: 2_000 });
  expect(users()).toBeUndefined();
  bed.use = bed.agent(performance.now() - 10_001);
  await bed.use.look();
  expect(users()).toMatchObject({ count: 0 });
});

test('that nothing uses it is not said while a container that asked before may still be told to join', async () => {
  bed.shown = bed.snapshot();
  closing();
  bed.remove();
  bed.shown = bed.snapshot();
  await bed.use.look();
  expect(users()).toBeUndefined();
  bed.use.answered(ask, joined('dcos', '9.0.1.0/25'));
  await bed.use.look();
  expect(users()).toMatchObject({ count: 1 });
});

test('an agent that starts anew says what the one before it said', async () => {
  bed.remove();
  await bed.use.look();
  bed.status = {
    networks: [
      { name: 'dcos', state: 'OK', users: users()!, usage: [...bed.use.reported.usage!.get('dcos')!] },
    ],
  };
  bed.use = bed.agent();
  expect((await bed.use.look())?.changed).toBe(true);
  expect(users()).toEqual(bed.status.networks![0]!.users);
});
