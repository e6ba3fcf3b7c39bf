import { expect, jest, test } from '@jest/globals';
import { parseFlags } from '../../../src/operator/flags.ts';

const parse = (...flags: string[]) => parseFlags(['node', 'operator', ...flags]);

test("the Lease's times are Go durations, with client-go's own defaults", () => {
  expect(parse()).toMatchObject({ leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 });
  expect(
    parse('--lease-duration', '1m30s', '--renew-deadline', '1.5s', '--retry-period', '200ms'),
  ).toMatchObject({ leaseDuration: 90_000, renewDeadline: 1_500, retryPeriod: 200 });
});

test.each([
  [
    ['--renew-deadline', '15s'],
    '--renew-deadline (15000 ms) must be shorter than --lease-duration (15000 ms)',
  ],
  [['--retry-period', '10s'], '--retry-period (10000 ms) must be shorter than --renew-deadline (10000 ms)'],
])("the Lease's times must fit together: %j", (flags, message) => {
  const said = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const exit = jest.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit ${code ?? 0}`);
  });
  try {
    expect(() => parse(...flags)).toThrow('exit 1');
    expect(String(said.mock.calls[0]?.[0])).toContain(message);
  } finally {
    said.mockRestore();
    exit.mockRestore();
  }
});

test('the page is beside the program, unless another directory is named', () => {
  expect(parseFlags(['node', '/app/operator.mjs']).page).toBe('/app/ui');
  expect(parse('--page', '/srv/page').page).toBe('/srv/page');
});
