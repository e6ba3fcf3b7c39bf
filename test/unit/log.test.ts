import { afterEach, expect, jest, test } from '@jest/globals';
import { createLog, line } from '../../src/log.ts';

const format = process.env.LOG_FORMAT;
afterEach(() => {
  jest.restoreAllMocks();
  if (format === undefined) delete process.env.LOG_FORMAT;
  else process.env.LOG_FORMAT = format;
});

/** What a log of `level` writes to stderr of one call of each, least important first; the time as T. */
const written = (level: 'error' | 'warn' | 'info' | 'debug'): string[] => {
  const lines: string[] = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, 'T'));
    return true;
  });
  const log = createLog({ level, component: 'agent' });
  log.debug('seen', { peers: 3 });
  log.info('done');
  log.warn('refused', { error: new Error('no right') });
  log.error('gone', { link: undefined });
  return lines;
};

test('a line is time, level, component, message and fields, quoted where needed', () => {
  const fields = {
    node: 'n1',
    none: undefined,
    error: new Error('no route to host'),
    count: 3,
    list: ['a'],
    empty: '',
  };
  expect(line('T', 'warn', 'agent', 'two\nlines', fields)).toBe(
    String.raw`T warn agent two\nlines node=n1 error="no route to host" count=3 list="[\"a\"]" empty=""`,
  );
});

test('a log writes its level, and what is more important, to stderr, one line a call', () => {
  delete process.env.LOG_FORMAT;
  const lines = [
    'T debug agent seen peers=3\n',
    'T info agent done\n',
    'T warn agent refused error="no right"\n',
    'T error agent gone\n',
  ];
  expect(written('debug')).toEqual(lines);
  expect(written('warn')).toEqual(lines.slice(2));
  expect(written('error')).toEqual(lines.slice(3));
});

test('LOG_FORMAT=json makes each line an object, an error its message', () => {
  process.env.LOG_FORMAT = 'json';
  expect(written('warn')).toEqual([
    '{"time":"T","level":"warn","component":"agent","message":"refused","error":"no right"}\n',
    '{"time":"T","level":"error","component":"agent","message":"gone"}\n',
  ]);
});
