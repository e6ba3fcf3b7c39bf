import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/types.ts';
import type { Client } from '../../../src/kube/client.ts';
import { EventRecorder, type EventRecorderOptions } from '../../../src/kube/events.ts';
import type { Event } from '../../../src/kube/resources.ts';
import { silent } from '../../../src/log.ts';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
});
afterEach(() => {
  jest.useRealTimers();
});

/** A recorder, and what it sent. */
function recorder(options: Partial<EventRecorderOptions> = {}) {
  const sent: string[] = [];
  const counts: number[] = [];
  const at: number[] = [];
  const stored = new Map<string, Event>();
  let latest: Event | undefined;
  const keep = (event: Event) => {
    latest = event;
    stored.set(event.metadata.name, event);
    at.push(Date.now());
    return Promise.resolve(event);
  };
  const client = {
    create: (_: unknown, event: Event) => {
      sent.push(`${event.involvedObject.name} ${event.reason}`);
      return keep({ ...event });
    },
    patch: (_: unknown, name: string, change: { count: number }) => {
      sent.push('again');
      counts.push(change.count);
      return keep({ ...stored.get(name)!, ...change });
    },
  } as unknown as Client;
  const own = new EventRecorder({ client, component: 'ovt', instance: 'one', log: silent, ...options });
  const last = () => `${latest?.reason} ${latest?.count}`;
  return { own, sent, counts, at, last, message: () => latest?.message };
}
const object = (name: string): KubeObject => ({
  kind: 'AgentAllocation',
  metadata: { name, uid: `uid-${name}` },
});

const minute = 60_000;
const refused = { type: 'Registered', reason: 'Refused', message: 'no such address' };
const accepted = { type: 'Registered', reason: 'Accepted', message: 'its address is known' };

test('a node that flaps for an hour makes at most one Event a minute', async () => {
  const { own, sent, counts, at } = recorder();
  for (let second = 0; second < 3_600; second += 4) {
    own.event(object('node1'), 'Warning', refused);
    own.event(object('node1'), 'Normal', accepted);
    await jest.advanceTimersByTimeAsync(4_000);
  }
  // its first two Events report two changes
  expect(sent.slice(0, 2)).toEqual(['node1 Refused', 'node1 Accepted']);
  for (let index = 2; index < at.length; index++)
    expect(at[index]! - at[index - 1]!).toBeGreaterThanOrEqual(minute);
  expect(sent.length).toBeGreaterThan(50);
  // nothing is lost of the count: an Event lives for an hour, and another one begins before
  expect(Math.max(...counts)).toBeGreaterThan(700);
});

test('a node that flaps more slowly than once a minute makes no more', async () => {
  const { own, sent } = recorder();
  for (let turn = 0; turn < 50; turn++) {
    own.event(object('node1'), 'Warning', refused);
    await jest.advanceTimersByTimeAsync(minute / 2);
    own.event(object('node1'), 'Normal', accepted);
    await jest.advanceTimersByTimeAsync(minute / 2 + 5_000);
  }
  const minutes = (50 * (minute + 5_000)) / minute;
  expect(sent.length).toBeLessThanOrEqual(minutes + 2);
});

test('after the flapping, the last Event tells the last state', async () => {
  const { own, last } = recorder();
  for (const news of [refused, accepted, refused, accepted, refused]) {
    own.event(object('node1'), news === refused ? 'Warning' : 'Normal', news);
    await jest.advanceTimersByTimeAsync(1_000);
  }
  expect(last()).toBe('Accepted 1');
  await jest.advanceTimersByTimeAsync(minute);
  expect(last()).toBe('Refused 3');
  await jest.advanceTimersByTimeAsync(60 * minute);
  expect(last()).toBe('Refused 3');
});

test('what is held is written when the operator stops', async () => {
  const { own, last } = recorder();
  for (const news of [refused, accepted, refused]) {
    own.event(object('node1'), 'Warning', news);
    await jest.advanceTimersByTimeAsync(1_000);
  }
  expect(last()).toBe('Accepted 1');
  await own.stop();
  expect(last()).toBe('Refused 2');
});

test('several changes of one object are written at once, also in a minute', async () => {
  const { own, sent } = recorder();
  const reasons = ['Accepted', 'Overlap', 'Cooling', 'AllAgentsReady', 'AgentsFailed', 'Blocks', 'InUse'];
  for (const reason of reasons) own.event(object('dcos'), 'Normal', { type: 'any', reason, message: reason });
  await jest.advanceTimersByTimeAsync(1_000);
  expect(sent).toEqual(reasons.map((reason) => `dcos ${reason}`));
});

test('two conditions that flap take turns', async () => {
  const { own, message } = recorder();
  const both = ['Exhausting', 'TightBlocks'].map((type) => ({
    type,
    reason: 'Enough',
    message: `${type} no more`,
  }));
  const told: (string | undefined)[] = [];
  for (let turn = 0; turn < 9; turn++) {
    for (const news of both) own.event(object('dcos'), 'Normal', news);
    await jest.advanceTimersByTimeAsync(minute);
    told.push(message());
  }
  expect(new Set(told.slice(2))).toEqual(new Set(both.map(({ message }) => message)));
});

test('a reason that did not occur for ten minutes is a change again', async () => {
  const { own, sent } = recorder();
  own.event(object('node1'), 'Warning', refused);
  await jest.advanceTimersByTimeAsync(9.9 * minute);
  own.event(object('node1'), 'Normal', accepted);
  await jest.advanceTimersByTimeAsync(0.2 * minute);
  own.event(object('node1'), 'Warning', refused);
  await jest.advanceTimersByTimeAsync(10);
  expect(sent).toEqual(['node1 Refused', 'node1 Accepted', 'again']);
});

test('Events about a flapping node do not hold up those about another', async () => {
  const { own, sent } = recorder();
  for (let i = 0; i < 200; i++)
    own.event(object('node1'), 'Warning', { ...refused, message: `for the reason ${i}` });
  own.event(object('node2'), 'Warning', refused);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(sent).toEqual(['node1 Refused', 'node2 Refused']);
});

test('what is held for an object is sent when a thousand others have had Events since', async () => {
  const { own, message, sent } = recorder({ refillMs: 1 });
  for (const news of [refused, accepted, { ...refused, message: 'the last state' }])
    own.event(object('node1'), 'Warning', news);
  await jest.advanceTimersByTimeAsync(100);
  for (let i = 0; i < 1_000; i++) {
    own.event(object(`other${i}`), 'Normal', accepted);
    await jest.advanceTimersByTimeAsync(2);
  }
  await jest.advanceTimersByTimeAsync(1_000);
  expect(sent.length).toBe(1_003);
  expect(message()).toBe('the last state');
});

test('the count of an Event that occurs now and then goes on, whatever else occurs', async () => {
  const { own, last } = recorder({ refillMs: 1, repeatMs: 0 });
  const others = async (from: number) => {
    for (let i = from; i < from + 999; i++) own.event(object(`other${i}`), 'Normal', accepted);
    await jest.advanceTimersByTimeAsync(3_000);
  };
  own.event(object('node1'), 'Warning', refused);
  await others(0);
  own.event(object('node1'), 'Warning', refused);
  await others(1_000);
  own.event(object('node1'), 'Warning', refused);
  await jest.advanceTimersByTimeAsync(100);
  expect(last()).toBe('Refused 3');
});

test('what is new goes before what repeats, however long that has waited', async () => {
  const { own, sent } = recorder({ burst: 4, refillMs: 10 * minute });
  for (const news of [refused, accepted, refused])
    for (const name of ['node1', 'node2']) own.event(object(name), 'Warning', news);
  await jest.advanceTimersByTimeAsync(2 * minute);
  expect(sent.length).toBe(4);
  own.event(object('dcos'), 'Warning', { type: 'Exhausting', reason: 'FewBlocks', message: 'one is left' });
  await jest.advanceTimersByTimeAsync(30 * minute);
  expect(sent.slice(4)).toEqual(['dcos FewBlocks', 'again', 'again']);
});

test('at most a thousand Events wait, and the oldest beyond are dropped', async () => {
  const { own, sent } = recorder({ burst: 2_000 });
  for (let i = 0; i < 1_100; i++) own.event(object(`node${i}`), 'Warning', refused);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(sent.length).toBe(1_000);
  expect(sent[0]).toBe('node100 Refused');
});
