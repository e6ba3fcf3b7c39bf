import { parseFlags } from '../../../src/operator/flags.ts';

const parse = (...flags: string[]) => parseFlags(['node', 'operator', ...flags]);

test("the Lease's times are Go durations, with client-go's own defaults", () => {
  expect(parse()).toMatchObject({ leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 });
  expect(
    parse('--lease-duration', '1m30s', '--renew-deadline', '1.5s', '--retry-period', '200ms'),
  ).toMatchObject({ leaseDuration: 90_000, renewDeadline: 1_500, retryPeriod: 200 });
});
