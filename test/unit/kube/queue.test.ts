import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { silent } from '../../../src/log.ts';
import { KeyedQueue, type KeyedQueueOptions, type Result } from '../../../src/kube/queue.ts';

/** A queue whose runs take `ms` and are recorded as [key, start]. */
const recorded = (ms: number, options: Partial<KeyedQueueOptions<string>> = {}) => {
  const runs: [string, number][] = [];
  const state = { running: 0, most: 0 };
  const start = performance.now();
  const queue = new KeyedQueue({
    log: silent,
    reconcile: async (key) => {
      runs.push([key, Math.round(performance.now() - start)]);
      state.most = Math.max(state.most, ++state.running);
      await new Promise((resolve) => setTimeout(resolve, ms));
      state.running--;
    },
    ...options,
  });
  return { queue, runs, state };
};

describe('KeyedQueue', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('reports how many keys wait, since when, and how many runs failed', async () => {
    const { queue } = recorded(1_000);
    expect(queue.load).toEqual({ depth: 0, oldestMs: 0, retries: 0 });
    await jest.advanceTimersByTimeAsync(5_000);
    queue.add('busy');
    queue.add('a');
    queue.add('busy');
    await jest.advanceTimersByTimeAsync(400);
    const { depth, oldestMs } = queue.load;
    expect(depth).toBe(2);
    expect(Math.round(oldestMs)).toBe(400);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(queue.load).toEqual({ depth: 0, oldestMs: 0, retries: 0 });
    const failing = new KeyedQueue({ log: silent, reconcile: () => Promise.reject(new Error('no')) });
    failing.add('a');
    await jest.advanceTimersByTimeAsync(1);
    expect(failing.load).toEqual({ depth: 0, oldestMs: 0, retries: 1 });
    await failing.stop();
  });

  test('runs a key that is added many times once', async () => {
    const { queue, runs } = recorded(10);
    queue.add('busy');
    for (let i = 0; i < 5; i++) queue.add('a');
    await jest.advanceTimersByTimeAsync(100);
    expect(runs).toEqual([
      ['busy', 0],
      ['a', 10],
    ]);
  });

  test('runs a key once more, after the run, when it is added during its run', async () => {
    const { queue, runs, state } = recorded(10, { concurrency: 4 });
    queue.add('a');
    await jest.advanceTimersByTimeAsync(5);
    queue.add('a');
    queue.add('a');
    await jest.advanceTimersByTimeAsync(100);
    expect(runs).toEqual([
      ['a', 0],
      ['a', 10],
    ]);
    expect(state.most).toBe(1);
  });

  test('runs different keys side by side, as many as allowed', async () => {
    const { queue, runs, state } = recorded(10, { concurrency: 2 });
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    await jest.advanceTimersByTimeAsync(100);
    expect(runs.map(([key]) => key)).toEqual(['a', 'b', 'c', 'd']);
    expect(state.most).toBe(2);
  });

  test('runs the first of a burst at once, then at most one per interval', async () => {
    const { queue, runs } = recorded(1, { minIntervalMs: 100 });
    for (let i = 0; i < 25; i++) {
      queue.add('a');
      await jest.advanceTimersByTimeAsync(10);
    }
    await jest.advanceTimersByTimeAsync(1000);
    expect(runs.map(([, at]) => at)).toEqual([0, 100, 200, 300]);
    queue.add('a');
    await jest.advanceTimersByTimeAsync(10);
    expect(runs.length).toBe(5);
  });

  test('keeps the interval after a run that took longer than it', async () => {
    const { queue, runs } = recorded(250, { minIntervalMs: 100 });
    queue.add('a');
    await jest.advanceTimersByTimeAsync(50);
    queue.add('a');
    await jest.advanceTimersByTimeAsync(1000);
    expect(runs.map(([, at]) => at)).toEqual([0, 250]);
  });

  test('repeats a failed run with growing delays, and starts over after a success', async () => {
    const at: number[] = [];
    const failing = { now: true };
    const { queue } = recorded(0, {
      backoff: { baseMs: 100, maxMs: 400 },
      reconcile: () => {
        at.push(performance.now());
        return failing.now ? Promise.reject(new Error('no')) : Promise.resolve();
      },
    });
    queue.add('a');
    await jest.advanceTimersByTimeAsync(2000);
    const gaps = at.slice(1).map((time, i) => time - at[i]!);
    expect(gaps.length).toBeGreaterThanOrEqual(5);
    [100, 200, 400, 400].forEach((full, i) => {
      expect(gaps[i]).toBeGreaterThanOrEqual(full / 2);
      expect(gaps[i]).toBeLessThanOrEqual(full + 1);
    });
    failing.now = false;
    await jest.advanceTimersByTimeAsync(500);
    const done = at.length;
    await jest.advanceTimersByTimeAsync(5000);
    expect(at.length).toBe(done);
    failing.now = true;
    queue.add('a');
    await jest.advanceTimersByTimeAsync(101);
    expect(at.length).toBe(done + 2);
  });

  test('runs at once a key that waits for its retry when it is added', async () => {
    let runs = 0;
    const { queue } = recorded(0, {
      backoff: { baseMs: 10_000, maxMs: 10_000 },
      reconcile: () => (++runs === 1 ? Promise.reject(new Error('no')) : Promise.resolve()),
    });
    queue.add('a');
    await jest.advanceTimersByTimeAsync(10);
    queue.add('a');
    await jest.advanceTimersByTimeAsync(10);
    expect(runs).toBe(2);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(runs).toBe(2);
  });

  test('keeps the soonest of several times', async () => {
    const { queue, runs } = recorded(1);
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 300);
    await jest.advanceTimersByTimeAsync(2000);
    expect(runs).toEqual([['a', 100]]);
  });

  test('runs a key again when its reconcile asks for it', async () => {
    const at: number[] = [];
    const start = performance.now();
    const { queue } = recorded(0, {
      reconcile: (): Promise<Result | undefined> => {
        at.push(performance.now() - start);
        return Promise.resolve(at.length < 3 ? { requeueAfterMs: 200 } : undefined);
      },
    });
    queue.add('a');
    await jest.advanceTimersByTimeAsync(5000);
    expect(at).toEqual([0, 200, 400]);
  });

  test('stops: fires the signal of the run under way, waits for it, starts nothing more', async () => {
    const seen: string[] = [];
    const { queue } = recorded(0, {
      reconcile: (key, signal) =>
        new Promise((resolve) => {
          seen.push(`start ${key}`);
          signal.addEventListener('abort', () => {
            seen.push(`end ${key}`);
            resolve();
          });
        }),
    });
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 50);
    await jest.advanceTimersByTimeAsync(10);
    await queue.stop();
    queue.add('d');
    await jest.advanceTimersByTimeAsync(1000);
    expect(seen).toEqual(['start a', 'end a']);
  });
});
