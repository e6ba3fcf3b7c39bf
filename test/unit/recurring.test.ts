import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Fault } from '../../src/log.ts';
import { Recurring } from '../../src/recurring.ts';
import { recordingLog } from '../support/fixture.ts';

let log: ReturnType<typeof recordingLog>;
let watch: Recurring;
beforeEach(() => {
  jest.useFakeTimers();
  log = recordingLog();
  watch = new Recurring(log, 'cannot follow', 'follows again');
});
afterEach(() => {
  jest.useRealTimers();
});

const fault = (output: string, object = 'nodes'): Fault => ({ object, command: `list ${object}`, output });
const warned = () => log.lines.filter((line) => line.startsWith('warn'));

test('a fault that lasts is logged at once and each minute, at other times for those who ask for details', () => {
  for (let second = 0; second < 180; second += 4) {
    watch.failed([fault('no answer')]);
    jest.advanceTimersByTime(4_000);
  }
  expect(warned()).toEqual([
    'warn cannot follow object="nodes" command="list nodes" output="no answer"',
    'warn cannot follow object="nodes" command="list nodes" output="no answer" attempts=16',
    'warn cannot follow object="nodes" command="list nodes" output="no answer" attempts=31',
  ]);
  expect(log.lines.filter((line) => line.startsWith('debug cannot follow')).length).toBe(42);
});

test('another fault is news, and two that take turns are not', () => {
  for (let times = 0; times < 5; times++)
    for (const words of ['no answer', 'refused']) watch.failed([fault(words)]);
  expect(warned()).toHaveLength(2);
});

test('the end is logged once, with the number of attempts, and a fault that flaps floods nothing', () => {
  watch.succeeded('nodes');
  expect(log.lines).toEqual([]);
  for (let times = 0; times < 10; times++) {
    watch.failed([fault('no answer')]);
    watch.failed([fault('no answer')]);
    watch.succeeded('nodes');
    jest.advanceTimersByTime(1_000);
  }
  expect(log.lines.filter((line) => !line.startsWith('debug'))).toEqual([
    'warn cannot follow object="nodes" command="list nodes" output="no answer"',
    'info follows again object="nodes" attempts=2',
  ]);
});

test('of many faults at once each has its own line, up to ten, and the rest is counted', () => {
  watch.failed(
    Array.from({ length: 14 }, (_, at) => fault('File exists', `route${at}`)),
    { retryMs: 200 },
  );
  expect(warned()).toHaveLength(11);
  expect(warned()[3]).toBe(
    'warn cannot follow object="route3" command="list route3" output="File exists" retryMs=200',
  );
  expect(warned().at(-1)).toContain('output="4 more faults like these"');
});

test('of faults whose words are new each time a hundred a minute are logged, and they are not kept for ever', () => {
  for (let at = 0; at < 1_000; at++) watch.failed([fault(`no answer within ${at} ms`)]);
  expect(warned()).toHaveLength(100);
  expect(log.lines).toHaveLength(1_000);
  jest.advanceTimersByTime(60_000);
  watch.failed([fault('no answer within 5 ms')]);
  expect(warned()).toHaveLength(101);
});
