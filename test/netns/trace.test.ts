import { trace } from '../../src/linux/trace.ts';
import { Bed, type Pod } from '../support/bed.ts';
import { nodeAddresses } from '../support/cluster.ts';

// Compares trace's answer with what packets do, on two nodes.

const bed = new Bed();
const pods: Record<'a0' | 'a1' | 'b1', Pod> = {} as never;

beforeAll(async () => {
  await bed.up([
    Bed.network(1, 'a'),
    Bed.network(2, 'b', { isolation: { mode: 'Isolated', hosts: 'Allow' } }),
  ]);
  pods.a0 = await bed.pod('a', 0);
  pods.a1 = await bed.pod('a', 1);
  pods.b1 = await bed.pod('b', 1);
});
afterAll(() => bed.down());

type Side = 'out' | 'in';
const ask = (node: number, side: Side, from: Pod, to: string, family: 4 | 6 = 4) =>
  trace(bed.node(node).run, 'vtep1024', {
    family,
    from: from.ip[family]!,
    to,
    protocol: 'icmp',
    side,
    ...(side === 'in' ? { peer: nodeAddresses(0)[0]! } : {}),
  });
const answers = async (to: string) => (await pods.a0.netns.try(`ping -n -q -c 1 -w 2 ${to}`)).code === 0;
const ends = (hops: Awaited<ReturnType<typeof trace>>) => hops.map(({ what, is }) => `${what} ${is}`);

test.each([4, 6] as const)(
  'a packet of IPv%s that arrives passes every step, on both nodes',
  async (family) => {
    const to = pods.a1.ip[family]!;
    expect(await answers(to)).toBe(true);
    const out = await ask(0, 'out', pods.a0, to, family);
    expect(ends(out)).toEqual([
      'bridge OK',
      'route OK',
      'isolation OK',
      'NAT OK',
      'neighbour OK',
      'FDB OK',
      'underlay OK',
    ]);
    expect(out.find(({ what }) => what === 'NAT')?.evidence).toContain('keeps its source');
    expect(out.find(({ what }) => what === 'FDB')?.evidence).toContain(`behind ${nodeAddresses(1)[0]!}`);
    const into = await ask(1, 'in', pods.a0, to, family);
    expect(ends(into)).toEqual(['member OK', 'route OK', 'isolation OK', 'NAT OK', 'container OK']);
  },
);

test('trace names isolation with the rule that drops', async () => {
  const to = pods.b1.ip[4]!;
  expect(await answers(to)).toBe(false);
  const hops = await ask(0, 'out', pods.a0, to);
  expect(hops.at(-1)).toMatchObject({ what: 'isolation', is: 'Wrong' });
  expect(hops.at(-1)?.evidence).toMatch(/^DROP by mangle OVERLAYNET-FORWARD: .*overlaynet-net-b-4 dst/);
});

test('a packet that leaves the overlay gets the node’s address', async () => {
  const hops = await ask(0, 'out', pods.a0, '172.17.9.9');
  expect(ends(hops)).toEqual(['bridge OK', 'route OK', 'isolation OK', 'NAT OK']);
  expect(hops.at(-1)?.evidence).toContain('MASQUERADE');
});

describe('trace finds each break at its place, and the packet does not arrive', () => {
  afterEach(() =>
    bed.apply([
      Bed.network(1, 'a'),
      Bed.network(2, 'b', { isolation: { mode: 'Isolated', hosts: 'Allow' } }),
    ]),
  );

  test.each<[what: string, node: number, side: Side, damage: string]>([
    ['route', 0, 'out', 'ip route del 9.1.1.0/24'],
    ['neighbour', 0, 'out', 'ip neigh del 44.128.0.2 dev vtep1024'],
    ['FDB', 0, 'out', 'bridge fdb del 70:b3:d5:80:00:02 dev vtep1024'],
    ['isolation', 0, 'out', 'iptables-nft -t mangle -I OVERLAYNET-FORWARD -j DROP'],
    ['member', 1, 'in', `ipset del overlaynet-members-4 ${nodeAddresses(0)[0]!}`],
    ['route', 1, 'in', 'ip addr del 9.1.1.1/25 dev m-a'],
  ])('%s on node%s', async (what, node, side, damage) => {
    await bed.node(node).sh(damage);
    const to = pods.a1.ip[4]!;
    const hops = await ask(node, side, pods.a0, to);
    expect(hops.at(-1)).toMatchObject({ what, is: 'Wrong' });
    expect(await answers(to)).toBe(false);
  });
});

test('trace reports a source on no bridge, and a target that does not answer', async () => {
  const nobody = { ...pods.a0, ip: { 4: '172.17.9.9' } };
  expect((await ask(0, 'out', nobody, pods.a1.ip[4]!)).at(-1)).toMatchObject({ what: 'bridge', is: 'Wrong' });
  const silent = pods.a1.ip[4]!.replace(/\d+$/, '99');
  expect((await ask(1, 'in', pods.a0, silent)).at(-1)).toMatchObject({ what: 'container', is: 'Unknown' });
  await pods.a0.netns.try(`ping -n -q -c 2 -w 4 ${silent}`);
  expect(['Wrong', 'Unknown']).toContain((await ask(1, 'in', pods.a0, silent)).at(-1)?.is);
});
