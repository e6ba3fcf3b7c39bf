import { nothing } from '../../../src/dataplane/desired.ts';
import { observe } from '../../../src/linux/observe.ts';
import type { Run } from '../../../src/linux/run.ts';

/** iproute2 whose first lists of links were cut short, as it says on a node whose links come and go. */
const interruptedTimes = (times: number): Run => {
  let links = 0;
  return (program, args) => {
    const ofLinks = args.includes('address');
    const stderr = ofLinks && links++ < times ? 'Dump was interrupted and may be inconsistent.\n' : '';
    const stdout = program === 'ip' && !ofLinks && args.includes('-batch') ? '[]\n[]\n[]\n' : '[]';
    return Promise.resolve({ stdout: program === 'ipset' ? '' : stdout, stderr, code: 0 });
  };
};

test('a list that changed while it was read is read again', async () => {
  const { observed, failures } = await observe(interruptedTimes(2), nothing());
  expect(observed.links).toEqual(new Map());
  expect(failures).toEqual([]);
});

test('a list that never arrives whole is an error', async () => {
  const { observed, failures } = await observe(interruptedTimes(9), nothing());
  expect(observed.links).toBeUndefined();
  expect(failures).toEqual([
    {
      message: 'ip: Dump was interrupted and may be inconsistent. (ip -N -j -d address show)',
      command: 'ip -N -j -d address show',
    },
  ]);
});
