import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { collect, Garbage } from '../../../src/host/garbage.ts';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance'] });
});
afterEach(() => {
  jest.useRealTimers();
});

const megabytes = (count: number) => () => count * 2 ** 20;

test('consecutive passes are followed by one collection', () => {
  const collecting = jest.fn();
  const garbage = new Garbage({ collect: collecting, resident: megabytes(140), afterMs: 1_000 });
  garbage.passEnded();
  jest.advanceTimersByTime(900);
  garbage.passEnded();
  jest.advanceTimersByTime(900);
  expect(collecting).not.toHaveBeenCalled();
  jest.advanceTimersByTime(100);
  expect(collecting).toHaveBeenCalledTimes(1);
  jest.advanceTimersByTime(10_000);
  expect(collecting).toHaveBeenCalledTimes(1);
});

test('a small process is not collected', () => {
  const collecting = jest.fn();
  const garbage = new Garbage({ collect: collecting, resident: megabytes(80), afterMs: 1_000 });
  garbage.passEnded();
  jest.advanceTimersByTime(10_000);
  expect(collecting).not.toHaveBeenCalled();
});

test('a collection frees unreferenced objects', async () => {
  const ref = new WeakRef({ some: 'garbage' });
  await turn();
  collect();
  expect(ref.deref()).toBeUndefined();
});
