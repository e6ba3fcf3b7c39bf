import { CommandError, run } from '../../../src/linux/run.ts';

test('a program gets its input and gives output, error and status', async () => {
  const result = await run('sh', ['-c', 'cat; echo "$OVT" >&2; exit 3'], {
    input: 'in',
    env: { OVT: 'word' },
  });
  expect(result).toEqual({ stdout: 'in', stderr: 'word\n', code: 3 });
});

test('arguments are not for a shell', async () => {
  expect((await run('printf', ['%s', '$(id); `id`'])).stdout).toBe('$(id); `id`');
});

test('a missing program is named with its package', async () => {
  const env = { PATH: '/nowhere' };
  await expect(run('ip', [], { env })).rejects.toThrow(CommandError);
  await expect(run('ip', [], { env })).rejects.toThrow('ip: not found; install iproute2');
  await expect(run('ip6tables-nft-save', [], { env })).rejects.toThrow('not found; install iptables');
  await expect(run('ovt-none', [])).rejects.toThrow('ovt-none: not found');
});

test('a program that may not be run says so', async () => {
  await expect(run('/dev/null', [])).rejects.toThrow('/dev/null: may not be run (EACCES)');
});

test('a program that takes too long, or is killed, is a failure with that reason', async () => {
  await expect(run('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow(
    'sleep: no answer within 0.05 s (sleep 60)',
  );
  await expect(run('sh', ['-c', 'kill -9 $$'])).rejects.toThrow('sh: killed by SIGKILL');
});

test('a program that ends without reading a long input is no failure', async () => {
  expect((await run('true', [], { input: 'x'.repeat(1_000_000) })).code).toBe(0);
});

test('output can be read line by line, also if it is longer than a string can be', async () => {
  const seen = { lines: 0, last: '' };
  const onLine = (line: string) => {
    seen.lines++;
    seen.last = line;
  };
  const line = 'x'.repeat(9_999);
  const script = `yes "$0" | head -n 60000; printf end; echo words >&2`;
  expect(await run('sh', ['-c', script, line], { onLine })).toEqual({
    stdout: '',
    stderr: 'words\n',
    code: 0,
  });
  expect(seen).toEqual({ lines: 60_001, last: 'end' });
});

test('too much output is a failure with that reason, and ends the program', async () => {
  await expect(run('yes', ['x'.repeat(9_999)])).rejects.toThrow(/^yes: printed more than 256 MB/);
});
