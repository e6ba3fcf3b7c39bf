import { jest } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { watchDrift } from '../../../src/host/drift.ts';
import { recordingLog } from '../../support/fixture.ts';

/** Kernel notifications come from a real process; all waiting uses the test's clock. */
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'clearImmediate', 'nextTick', 'queueMicrotask'] });
});

let stop: () => void = () => undefined;
afterEach(() => {
  stop();
  jest.useRealTimers();
});

/** What is said of rules that were flushed. */
const gone = {
  object: '-A FORWARD -j OVERLAYNET-FORWARD',
  command: 'iptables-nft -t mangle -S FORWARD',
  output: '-P FORWARD ACCEPT',
};

/**
 * An agent that counts how often it is asked to look, after `reports` of the kernel: the program that stands for `ip monitor`
 * prints them and ends, and is started again after 5 s.
 */
async function watched(
  reports: number,
  options: {
    resyncMs?: number;
    lookMs?: number;
    ago?: number;
    compareMs?: number;
    guarded?: () => boolean;
  } = {},
) {
  const agent = {
    compared: { ms: options.compareMs ?? 60_000, endedAt: performance.now() },
    looked: { ms: options.lookMs ?? 0, endedAt: performance.now() - (options.ago ?? 0) },
    looks: 0,
    log: recordingLog(),
    at: new Set<string>(),
    reconcile: (scope = 'all') => {
      agent.looks++;
      agent.at.add(scope);
    },
  };
  const script = `for i in $(seq ${reports}); do echo link; done`;
  ({ stop } = watchDrift(agent, {
    resyncMs: options.resyncMs ?? 60_000,
    loss: () => Promise.resolve((options.guarded?.() ?? true) ? undefined : gone),
    betweenMs: 50,
    log: agent.log,
    command: ['sh', '-c', script],
  }));
  // it has read all that the program printed
  while (!agent.log.lines.some((line) => line.includes('ip monitor ended'))) await turn();
  return agent;
}

test('a burst of kernel notifications causes one pass', async () => {
  const agent = await watched(5);
  jest.advanceTimersByTime(299);
  expect(agent.looks).toBe(0);
  jest.advanceTimersByTime(4_000);
  expect(agent.looks).toBe(1);
});

test('a kernel notification causes a pass over links, without all rules', async () => {
  const agent = await watched(1);
  jest.advanceTimersByTime(300);
  expect([...agent.at]).toEqual(['links']);
});

test('the pause between passes is twenty times the cost of one', async () => {
  const agent = await watched(1, { lookMs: 1_000 });
  jest.advanceTimersByTime(19_999);
  expect(agent.looks).toBe(0);
  jest.advanceTimersByTime(1);
  expect(agent.looks).toBe(1);
});

test('the rest ends with the resync', async () => {
  const agent = await watched(1, { lookMs: 1_000, resyncMs: 10_000 });
  jest.advanceTimersByTime(9_999);
  expect(agent.looks).toBe(0);
  jest.advanceTimersByTime(1);
  expect([...agent.at]).toContain('links');
});

test('after a quiet time, a notification causes a pass at once, even an expensive one', async () => {
  const agent = await watched(1, { lookMs: 1_000, ago: 20_000 });
  jest.advanceTimersByTime(300);
  expect(agent.looks).toBe(1);
});

test('without a report it looks at everything at every resync, and after stop no more', async () => {
  const agent = await watched(0, { resyncMs: 100 });
  jest.advanceTimersByTime(300);
  expect(agent.looks).toBe(3);
  expect([...agent.at]).toEqual(['all']);
  stop();
  jest.advanceTimersByTime(300);
  expect(agent.looks).toBe(3);
});

test('missing rules cause a full pass, but only every half minute: another program may remove them each time', async () => {
  let asked = 0;
  const agent = await watched(0, { guarded: () => ++asked < 3 });
  await jest.advanceTimersByTimeAsync(150);
  expect([...agent.at]).toEqual(['all']);
  await jest.advanceTimersByTimeAsync(2_000);
  expect([agent.looks, asked]).toEqual([1, 3]);
  expect(agent.log.lines.at(-1)).toBe(
    'warn rules are gone from iptables; putting them back object="-A FORWARD -j OVERLAYNET-FORWARD" ' +
      'command="iptables-nft -t mangle -S FORWARD" output="-P FORWARD ACCEPT"',
  );
});

test('a cheap comparison runs every time, and an expensive one waits fifty times its cost', async () => {
  const cheap = await watched(0, { compareMs: 0 });
  jest.advanceTimersByTime(150);
  expect(cheap.looks).toBe(3);
  expect([...cheap.at]).toEqual(['all']);
  stop();
  const dear = await watched(0, { compareMs: 100 });
  await jest.advanceTimersByTimeAsync(4_999);
  expect(dear.looks).toBe(0);
  await jest.advanceTimersByTimeAsync(50);
  expect(dear.looks).toBe(1);
});

test('an agent that has not compared yet gets no request to compare', async () => {
  const agent = await watched(0);
  agent.compared = { ms: 0, endedAt: -Infinity };
  await jest.advanceTimersByTimeAsync(500);
  expect(agent.looks).toBe(0);
});
