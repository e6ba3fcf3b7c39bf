import type { Run } from '../../../src/linux/run.ts';
import { lookForFaults } from '../../../src/probe/kernel.ts';
import type { WantedOfPeer } from '../../../src/verdict/faults.ts';

const mac = '70:b3:d5:80:00:02';
const stranger = '70:b3:d5:00:00:99';
const wanted: WantedOfPeer = {
  ...{ tunnel: 'vtep1024', routes: [], vteps: ['44.128.0.2'], mac, address: '172.17.0.3' },
  ...{ outer: 4, membersSet: 'overlaynet-members-4', largest: 1470 },
};

/** What `ip`, `bridge` and `ipset` print where the neighbour entry has one MAC after the other, a look each. */
function shows(...macs: string[]): Run {
  let looks = 0;
  return (program, args) => {
    const printed = (value: unknown) => `${JSON.stringify(value)}\n`;
    const batch = () => {
      const lladdr = macs[Math.min(looks++, macs.length - 1)];
      const tunnel = [{ dev: 'vtep1024' }];
      return [tunnel, [{ dev: 'eth0' }], [{ lladdr }], [{ state: ['REACHABLE'] }]].map(printed).join('');
    };
    const link = (ifname: string) => ({ ifname, mtu: 1500, flags: ['UP'] });
    const stdout =
      program === 'bridge'
        ? printed([{ mac, dst: '172.17.0.3' }])
        : args.includes('-batch')
          ? batch()
          : printed([link('vtep1024'), link('eth0')]);
    return Promise.resolve({ code: 0, stdout, stderr: '' });
  };
}

const still = { isWanted: () => true, steps: () => 4, pauseMs: 1 };
const evidence = `the neighbour entry of 44.128.0.2 on vtep1024 says ${stranger}, and should say ${mac}`;

test('a fault that two looks find is one; what the agent mends between them is none, and leaves open why packets were lost', async () => {
  expect((await lookForFaults(shows(stranger), wanted, still)).faults).toEqual([
    { kind: 'MACMismatch', evidence },
  ]);
  expect((await lookForFaults(shows(stranger, mac), wanted, still)).faults).toBeUndefined();
  expect((await lookForFaults(shows(mac), wanted, still)).faults).toEqual([]);
});

test('another program that writes again what passes mend is a fault, however many passes end meanwhile', async () => {
  let steps = 0;
  const passes = { ...still, steps: () => 2 * Math.floor(steps++ / 2) };
  expect((await lookForFaults(shows(stranger), wanted, passes)).faults).toHaveLength(1);
});

test('a pass that works hides what its node shows until it has ended, and for ever where none ends', async () => {
  const seen = [1, 1, 2, 2];
  const ends = { ...still, steps: () => seen.shift() ?? 2 };
  expect((await lookForFaults(shows(stranger), wanted, ends)).faults).toHaveLength(1);
  expect((await lookForFaults(shows(stranger), wanted, { ...still, steps: () => 1 })).faults).toBeUndefined();
});

test('nothing follows once the peer is wanted with another MAC', async () => {
  const { faults } = await lookForFaults(shows(stranger), wanted, { ...still, isWanted: () => false });
  expect(faults).toBeUndefined();
});
