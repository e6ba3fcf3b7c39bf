import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/types.ts';
import type { Client } from '../../../src/kube/client.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { silent } from '../../../src/log.ts';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
});
afterEach(() => {
  jest.useRealTimers();
});

/** A recorder, and what it sent. */
function recorder() {
  const sent: string[] = [];
  const counts: number[] = [];
  const client = {
    create: (_: unknown, event: { reason: string; involvedObject: { name: string } }) => {
      sent.push(`${event.involvedObject.name} ${event.reason}`);
      return Promise.resolve(event);
    },
    patch: (_: unknown, _name: string, { count }: { count: number }) => {
      sent.push('again');
      counts.push(count);
      return Promise.resolve({});
    },
  } as unknown as Client;
  return { own: new EventRecorder({ client, component: 'ovt', instance: 'one', log: silent }), sent, counts };
}
const object = (name: string): KubeObject => ({
  kind: 'AgentAllocation',
  metadata: { name, uid: `uid-${name}` },
});

test('a node that flaps for an hour makes at most one Event a minute after the first ten', async () => {
  const { own, sent, counts } = recorder();
  let flaps = 0;
  for (let second = 0; second < 3_600; second += 4) {
    flaps += 2;
    own.event(object('node1'), 'Warning', 'Refused', 'no such address');
    own.event(object('node1'), 'Normal', 'Accepted', 'its address is known');
    await jest.advanceTimersByTimeAsync(4_000);
  }
  expect(flaps).toBe(1_800);
  expect(sent.length).toBeLessThanOrEqual(10 + 60);
  expect(sent.length).toBeGreaterThan(60);
  // nothing is lost of the count: an Event lives for an hour, and another one begins before
  expect(Math.max(...counts)).toBeGreaterThan(700);
});

test('Events about a flapping node do not hold up those about another', async () => {
  const { own, sent } = recorder();
  for (let i = 0; i < 200; i++) own.event(object('node1'), 'Warning', 'Refused', `for the reason ${i}`);
  own.event(object('node2'), 'Warning', 'Refused', 'no such address');
  await jest.advanceTimersByTimeAsync(1_000);
  expect(sent).toHaveLength(11);
  expect(sent.at(-1)).toBe('node2 Refused');
});
