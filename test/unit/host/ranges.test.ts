import fc from 'fast-check';
import { merged, OwnRanges } from '../../../src/host/ranges.ts';
import { clashes, confirmOverlap } from '../../../src/api/ranges.ts';
import type { HostRange } from '../../../src/api/types.ts';
import type { HostSpace } from '../../../src/linux/ranges.ts';
import { cidrOf, formatCidr, parseCidr } from '../../../src/net/cidr.ts';
import { dcos, snapshot } from '../../support/fixture.ts';

const lan: HostRange = { cidr: '10.100.0.0/16', kind: 'Subnet', link: 'eth1' };

/** Of few addresses, so that many lie in one another. */
const cidr = fc
  .record({ value: fc.bigInt({ min: 0n, max: 63n }), length: fc.integer({ min: 26, max: 32 }) })
  .map(({ value, length }) => formatCidr(cidrOf({ family: 4, value: (10n << 24n) + value }, length)));
const range = fc.record({
  cidr,
  kind: fc.constantFrom('Subnet' as const, 'Route' as const, 'Pool' as const),
  link: fc.constantFrom('eth0', 'eth1'),
});

test('merged ranges clash with the same overlays as all single ones, in any order, and each one is needed', () => {
  const hit = (ranges: readonly HostRange[], subnet: string) =>
    ranges.some(({ cidr, kind }) => clashes(parseCidr(subnet), parseCidr(cidr), kind));
  fc.assert(
    fc.property(
      fc.array(range, { maxLength: 12 }),
      fc.array(cidr, { minLength: 20, maxLength: 20 }),
      (all, subnets) => {
        const few = merged(all);
        for (const subnet of subnets) expect(hit(few, subnet)).toBe(hit(all, subnet));
        expect(merged([...all].reverse())).toEqual(few);
        expect(merged(few)).toEqual(few);
      },
    ),
  );
});

test('ten thousand routes are merged within a second', () => {
  const routes = Array.from({ length: 10_000 }, (_, at): HostRange => {
    const bytes = [at >> 8, at & 255].join('.');
    return { cidr: `10.${bytes}.0/24`, kind: at % 2 === 0 ? 'Route' : 'Subnet', link: 'eth1' };
  });
  const start = performance.now();
  expect(merged(routes)).toHaveLength(10_000);
  expect(performance.now() - start).toBeLessThan(5_000);
});

/** A node whose space is what the test says, and a clock. */
function node(ranges: HostRange[] = [], addresses: string[] = []) {
  const space: HostSpace = { ranges, addresses };
  const at = { ms: 0, broken: false };
  const own = new OwnRanges({
    read: () => (at.broken ? Promise.reject(new Error('ip: no')) : Promise.resolve({ ...space })),
    addresses: ['172.17.0.2'],
    now: () => at.ms,
  });
  const says = async () => {
    await own.look();
    return own.toRegister();
  };
  return { space, at, own, says };
}

test('a registration has 64 ranges, those of links first, and says how many it leaves out', async () => {
  const routes = Array.from({ length: 80 }, (_, at): HostRange => {
    return { cidr: `10.${at}.0.0/24`, kind: 'Route', link: 'eth1' };
  });
  const said = await node([...routes, lan], ['fd00::2', '10.100.0.2', '172.17.0.2', '10.9.0.1']).says();
  expect(said.ranges).toHaveLength(64);
  expect(said.ranges?.[0]).toEqual(lan);
  expect(said.rangesLeftOut).toBe(17);
  // without the registered one
  expect(said.furtherAddresses).toEqual(['10.9.0.1', '10.100.0.2', 'fd00::2']);
});

test('a node without ranges beside the overlays registers none', async () => {
  expect(await node([], ['172.17.0.2']).says()).toEqual({});
});

test('a flapping route is registered less and less often; a change after a quiet time is registered at once', async () => {
  const { space, at, says } = node();
  let writes = 0;
  let last = JSON.stringify(await says());
  for (; at.ms < 3_600_000; at.ms += 10_000) {
    space.ranges = at.ms % 20_000 === 0 ? [lan] : [];
    const next = JSON.stringify(await says());
    if (next !== last) writes++;
    last = next;
  }
  expect(writes).toBeGreaterThan(3);
  expect(writes).toBeLessThan(12);
  space.ranges = [{ ...lan, link: 'eth7' }];
  at.ms += 4_000_000;
  expect((await says()).ranges?.[0]?.link).toBe('eth7');
});

test('after a failed read, the last ranges stay, and the failure is reported', async () => {
  const { at, own, says } = node([lan]);
  const before = await says();
  at.broken = true;
  expect(await says()).toEqual(before);
  expect(own.problems(undefined)).toEqual([
    { reason: 'RangesUnread', message: "the node's own subnets and routes: ip: no" },
  ]);
  const never = node();
  never.at.broken = true;
  await expect(never.own.toRegister()).rejects.toThrow('ip: no');
});

test('an overlay in force over a range of the node is a problem, with link, range and remedy, unless it is meant', async () => {
  const { own, space, says } = node([{ ...lan, cidr: '9.0.7.0/24' }]);
  await says();
  expect(own.problems(snapshot())).toEqual([
    {
      reason: 'Overlap',
      message:
        '9.0.7.0/24, a subnet of this node on eth1, overlaps 9.0.0.0/8 of network dcos: addresses in both are reached by ' +
        'the overlay and not by eth1; change the one or the other; if it is meant so: kubectl annotate --overwrite ' +
        'overlaynetwork dcos overlaynet.dev/confirm-overlap=9.0.0.0/8',
    },
  ]);
  const annotations = { [confirmOverlap]: '9.0.0.0/8' };
  const meant = { ...dcos, metadata: { ...dcos.metadata, annotations } };
  expect(own.problems(snapshot({ networks: [meant] }))).toEqual([]);
  // the VTEP subnets are OverlayConfig's
  space.ranges = [{ ...lan, cidr: '44.128.3.0/24' }];
  await says();
  const [vtep] = own.problems(snapshot());
  expect(vtep?.message).toContain('overlaps 44.128.0.0/20 of the VTEP subnets');
  const [, command = ''] = /if it is meant so: (.*)/.exec(vtep?.message ?? '') ?? [];
  const [, subnet = ''] = / overlayconfig default overlaynet.dev\/confirm-overlap=(.*)$/.exec(command) ?? [];
  const configMetadata = { annotations: { [confirmOverlap]: subnet } };
  expect(own.problems(snapshot({ configMetadata }))).toEqual([]);
  // a route that says where everything else is
  space.ranges = [{ cidr: '8.0.0.0/7', kind: 'Route', link: 'eth0' }];
  await says();
  expect(own.problems(snapshot())).toEqual([]);
});
