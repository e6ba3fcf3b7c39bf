import type { Run } from '../../../src/linux/run.ts';
import { uplinkMTU } from '../../../src/linux/uplink.ts';

/** `ip`: the links, the routes that it shows, and a route to every peer that it is asked for; what it was asked for. */
function answering(links: object[], routes: object[] = [], toPeer?: object) {
  const asked: string[] = [];
  const run: Run = (_, args, { input = '' } = {}) => {
    const lines = input.split('\n').filter((line) => line !== '');
    asked.push(...lines);
    const stdout = args.includes('-batch')
      ? lines.map(() => JSON.stringify(toPeer === undefined ? [] : [toPeer])).join('\n')
      : JSON.stringify(args.includes('route') ? routes : links);
    return Promise.resolve({ stdout, stderr: '', code: 0 });
  };
  return { run, asked };
}

const eth0 = { ifname: 'eth0', mtu: 9000, addr_info: [{ local: '172.17.0.2' }] };
const eth1 = { ifname: 'eth1', mtu: 1500, addr_info: [{ local: 'fd00:17::2' }] };

test('of several addresses the smallest counts; an address without a link is named', async () => {
  const { run } = answering([eth0, eth1]);
  expect(await uplinkMTU(['172.17.0.2'], [], run)).toBe(9000);
  expect(await uplinkMTU(['172.17.0.2', 'fd00:17::2'], [], run)).toBe(1500);
  await expect(uplinkMTU(['10.0.0.1'], [], run)).rejects.toThrow(
    'no link of this node has the address 10.0.0.1',
  );
});

// the reference kernel has neither
test.each(['dummy', 'vrf'])('a link of kind %s carries an address and no packets', async (kind) => {
  const holder = {
    ifname: 'x0',
    mtu: 65_575,
    linkinfo: { info_kind: kind },
    addr_info: [{ local: '10.9.9.1' }],
  };
  const { run } = answering([holder, eth0], [{ dst: 'default', gateway: '172.17.0.1', dev: 'eth0' }]);
  expect(await uplinkMTU(['10.9.9.1'], [], run)).toBe(9000);
});

test('routes to 64 of five thousand peers are read, always the same ones, from both ends and between', async () => {
  const peers = Array.from({ length: 5_000 }, (_, at) => `10.${at >> 8}.0.${at & 255}`);
  const first = answering([eth0], [], { dst: 'default', dev: 'eth0' });
  const second = answering([eth0], [], { dst: 'default', dev: 'eth0' });
  await uplinkMTU(['172.17.0.2'], peers, first.run);
  await uplinkMTU(['172.17.0.2'], peers.reverse(), second.run);
  expect(first.asked).toHaveLength(64);
  expect(second.asked).toEqual(first.asked);
  expect(new Set(first.asked.map((line) => line.split('.')[1])).size).toBeGreaterThan(10);
});
