import { afterEach, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createLog, line, sayFatal } from '../../src/log.ts';
import { filesBelow, textOf } from '../support/source.ts';

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
  log.warn('refused', { object: 'nodes/n1', command: 'apply nodes/n1', output: new Error('no right') });
  log.error('gone', { object: 'vtep1024', command: 'ip link show', output: '', link: undefined });
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
    'T warn agent refused object=nodes/n1 command="apply nodes/n1" output="no right"\n',
    'T error agent gone object=vtep1024 command="ip link show" output=""\n',
  ];
  expect(written('debug')).toEqual(lines);
  expect(written('warn')).toEqual(lines.slice(2));
  expect(written('error')).toEqual(lines.slice(3));
});

test('LOG_FORMAT=json makes each line an object, an error its message', () => {
  process.env.LOG_FORMAT = 'json';
  expect(written('warn')).toEqual([
    '{"time":"T","level":"warn","component":"agent","message":"refused","object":"nodes/n1","command":"apply nodes/n1","output":"no right"}\n',
    '{"time":"T","level":"error","component":"agent","message":"gone","object":"vtep1024","command":"ip link show","output":""}\n',
  ]);
});

test('a given format overrides LOG_FORMAT', () => {
  process.env.LOG_FORMAT = 'json';
  const lines: string[] = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  createLog({ level: 'info', component: 'agent', format: 'text' }).info('done', { peers: 3 });
  createLog({ level: 'info', component: 'agent', format: 'json' }).info('done', { peers: 3 });
  expect(lines[0]).toMatch(/^\S+ info agent done peers=3\n$/);
  expect(JSON.parse(lines[1]!)).toMatchObject({ level: 'info', message: 'done', peers: 3 });
});

test('SIGUSR1 switches a log to debug and back, and opens no debugger', async () => {
  const source = new URL('../../src/log.ts', import.meta.url).href;
  const script = `
    import { createLog, followSignal } from '${source}';
    const log = createLog({ level: 'warn', component: 'agent', format: 'text' });
    followSignal(log);
    process.on('SIGUSR1', () => { log.debug('detail'); process.stdout.write('.'); });
    setInterval(() => {}, 1_000);
    process.stdout.write('.');
  `;
  const env = { ...process.env, NODE_OPTIONS: '' };
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const dot = () => once(child.stdout, 'data');
  try {
    await dot();
    for (let turn = 0; turn < 2; turn++) {
      child.kill('SIGUSR1');
      await dot();
    }
  } finally {
    child.kill('SIGKILL');
  }
  await once(child, 'close');
  expect(said.replace(/^\S+ /gm, '').split('\n')).toEqual([
    'info agent log level changed by SIGUSR1 level=debug',
    'debug agent detail',
    'info agent log level changed by SIGUSR1 level=warn',
    '',
  ]);
});

test.each(['text', 'json'] as const)('a value in a %s line cannot control a terminal', (format) => {
  const lines: string[] = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  createLog({ level: 'info', component: 'agent', format }).info('seen', { path: '/\u001b[2J\u009b2J\u202e' });
  expect(lines[0]).toContain('/\\u001b[2J\\u009b2J\\u202e');
});

test('no line tells a fault by other fields than object, command and output', () => {
  const files = filesBelow('src', '.ts').filter((file) => !/^src\/(page|cli)\//.test(file));
  const calls = files.flatMap((file) =>
    [...textOf(file).matchAll(/\blog(?:\.(?:debug|info)|\[\w+\])\([^;]*;/g)].map(
      ([call]) => `${file}: ${call}`,
    ),
  );
  expect(calls.length).toBeGreaterThan(30);
  expect(
    calls.filter((call) => /[{,]\s*(?:error|why)\s*[:,}]/.test(call) && !call.includes('faultOf(')),
  ).toEqual([expect.stringContaining('no longer leading')]);
});

test.each([
  [[], undefined, 'agent: no such file\n'],
  [['--log-format', 'text'], 'json', 'agent: no such file\n'],
  [['--log-format', 'json'], undefined, undefined],
  [['--log-format=json'], undefined, undefined],
  [[], 'json', undefined],
])(
  'the last line of a process that cannot go on, with %j and LOG_FORMAT=%s, has the format that was asked for',
  (argv, env, text) => {
    if (env === undefined) delete process.env.LOG_FORMAT;
    else process.env.LOG_FORMAT = env;
    const lines: string[] = [];
    jest.spyOn(process.stderr, 'write').mockImplementation((said) => lines.push(String(said)) > 0);
    sayFatal('agent', new Error('no such file'), argv);
    expect(lines).toHaveLength(1);
    if (text !== undefined) expect(lines[0]).toBe(text);
    else
      expect(JSON.parse(lines[0]!)).toMatchObject({
        ...{ level: 'error', component: 'agent', object: 'agent', command: 'run', output: 'no such file' },
      });
  },
);
