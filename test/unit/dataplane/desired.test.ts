import { desired } from '../../../src/dataplane/desired.ts';
import { nexthopID } from '../../../src/dataplane/ownership.ts';
import type { Snapshot } from '../../../src/dataplane/snapshot.ts';
import type { Desired } from '../../../src/dataplane/state.ts';
import { cluster } from '../../support/cluster.ts';

const of = (snapshot: Snapshot): Desired => {
  const state = desired(snapshot);
  if (state === undefined) throw new Error('nothing is wanted');
  return state;
};

const entries = (state: Desired, set: string) =>
  [...(state.sets.get(`overlaynet-${set}`)?.entries ?? [])].sort();

const rules = (state: Desired, family: 4 | 6, table: string, hook: string) =>
  state.chains[family].find((chain) => chain.table === table && chain.hook === hook)?.rules;

test("the tunnel carries the node's VTEP, on its address of the underlay's family", () => {
  expect(of(cluster(1, 0)).links.get('vtep1024')).toMatchObject({
    mac: '70:b3:d5:80:00:01',
    addresses: ['44.128.0.1/20', 'fd01:a::1/64'],
    vxlan: { vni: 1024, port: 64000, local: '172.17.0.2', learning: false },
  });
  const overIPv6 = of(cluster(1, 0, { underlay: 'IPv6', vni: 7 }));
  expect(overIPv6.links.get('vtep7')?.vxlan?.local).toBe('fd00:17::2');
});

test('a bridge has the first usable address of the CNI half, and a MAC that stays', () => {
  const bridge = of(cluster(2, 1)).links.get('m-dcos');
  expect(bridge).toMatchObject({ network: 'dcos', addresses: ['9.0.1.1/25'], mtu: 1400 });
  expect(bridge?.mac).toMatch(/^02(:[0-9a-f]{2}){5}$/);
  expect(of(cluster(5, 1)).links.get('m-dcos')?.mac).toBe(bridge?.mac);
  expect(of(cluster(2, 0)).links.get('m-dcos')?.mac).not.toBe(bridge?.mac);
});

test('a node without bridges still reaches its peers', () => {
  const snapshot = cluster(2, 0);
  for (const { subnets } of snapshot.allocations[0]!.spec.networks!)
    for (const subnet of subnets) delete subnet.bridges;
  const state = of(snapshot);
  expect([...state.links.keys()]).toEqual(['vtep1024']);
  expect(state.routes.has('9.0.1.0/24 254 0')).toBe(true);
  expect(rules(state, 4, 'raw', 'PREROUTING')?.join()).not.toContain('-i d-');
});

test('a peer is a neighbour and a nexthop of each family, one FDB entry, a route per block and per address', () => {
  const state = of(cluster(2, 0));
  expect([...state.neighbours]).toEqual([
    ['44.128.0.2', '70:b3:d5:80:00:02'],
    ['fd01:a::2', '70:b3:d5:80:00:02'],
  ]);
  expect([...state.fdb]).toEqual([['70:b3:d5:80:00:02', '172.17.0.3']]);
  const [v4, v6] = [nexthopID('44.128.0.2'), nexthopID('fd01:a::2')];
  expect([...state.nexthops]).toEqual([
    [v4, '44.128.0.2'],
    [v6, 'fd01:a::2'],
  ]);
  expect([...state.routes.values()]).toEqual([
    { network: 'dcos', to: '9.0.0.0/8', table: 254, metric: 4294967295 },
    { network: 'dcos6', to: 'fd01:b::/64', table: 254, metric: 4294967295 },
    { network: 'dcos', to: '9.0.1.0/24', table: 254, metric: 0, nexthop: v4 },
    { network: 'dcos6', to: 'fd01:b:0:0:1::/80', table: 254, metric: 1024, nexthop: v6 },
    { to: '172.17.0.3', table: 42, metric: 0, nexthop: v4 },
    { to: 'fd00:17::3', table: 42, metric: 1024, nexthop: v6 },
  ]);
});

test('blocks of a disabled or removed network are left out', () => {
  const snapshot = cluster(2, 0);
  snapshot.networks = snapshot.networks.filter(({ metadata }) => metadata.name === 'dcos6');
  const state = of(snapshot);
  expect([...state.links.keys()]).toEqual(['vtep1024', 'm-dcos6']);
  expect([...state.routes.values()].map(({ to }) => to)).not.toContain('9.0.1.0/24');
});

test('IPv4 blocks are reached through IPv6 VTEPs if there are no others; the reverse is a failure of that network', () => {
  const only6 = of(cluster(2, 0, { vtepSubnets: ['fd01:a::/64'] }));
  expect(only6.routes.get('9.0.1.0/24 254 0')?.nexthop).toBe(nexthopID('fd01:a::2'));
  expect(only6.failures).toEqual([]);
  const only4 = of(cluster(3, 0, { vtepSubnets: ['44.128.0.0/20'] }));
  expect(only4.failures).toEqual([
    { network: 'dcos6', message: expect.stringContaining('no IPv6 VTEP subnet') as string },
  ]);
});

test('a node without a VTEP has no desired state, and a node without an underlay address is a failure', () => {
  const snapshot = cluster(2, 0);
  delete snapshot.allocations[0]!.spec.vtep;
  expect(desired(snapshot)).toBeUndefined();
  expect(desired({ ...snapshot, node: 'other' })).toBeUndefined();
  const lonely = cluster(2, 0, { underlay: 'IPv6' });
  lonely.allocations[0]!.spec.addresses = ['172.17.0.2'];
  expect(desired(lonely)?.failures).toEqual([
    { message: expect.stringContaining('no IPv6 address') as string },
  ]);
});

test('the sets hold overlays, unmasked destinations, members and own sources', () => {
  const state = of(cluster(2, 0));
  expect(entries(state, 'overlays-4')).toEqual(['9.0.0.0/8']);
  expect(entries(state, 'direct-4')).toEqual(['172.17.0.2', '172.17.0.3', '44.128.0.0/20', '9.0.0.0/8']);
  expect(entries(state, 'direct-6')).toEqual(['fd00:17::2', 'fd00:17::3', 'fd01:a::/64', 'fd01:b::/64']);
  expect(entries(state, 'members-4')).toEqual(['172.17.0.2', '172.17.0.3']);
  expect(entries(state, 'sources-6')).toEqual(['fd00:17::2', 'fd01:a::1']);
  expect(state.sets.has('overlaynet-members-6')).toBe(false);
});

test("what guards the tunnel is of the underlay's family, what masquerades and marks of both", () => {
  const state = of(cluster(2, 0, { underlay: 'IPv6' }));
  expect(rules(state, 4, 'mangle', 'INPUT')).toBeUndefined();
  const toTunnel = '-p udp -m udp --dport 64000';
  expect(rules(state, 6, 'mangle', 'INPUT')).toEqual([
    `-d fd00:17::2/128 ${toTunnel} -m conntrack ! --ctstate DNAT -m set --match-set overlaynet-members-6 src -j RETURN`,
    `${toTunnel} -j DROP`,
  ]);
  expect(rules(state, 6, 'raw', 'PREROUTING')?.slice(0, 3)).toEqual([
    `-d fd00:17::2/128 ${toTunnel} -m rpfilter --invert -j DROP`,
    `-d fd00:17::2/128 ${toTunnel} -m set --match-set overlaynet-members-6 src -j CT --notrack`,
    `! -d fd00:17::2/128 ${toTunnel} -m set --match-set overlaynet-members-6 dst -m rpfilter --invert -j DROP`,
  ]);
  for (const family of [4, 6] as const) {
    expect(rules(state, family, 'nat', 'POSTROUTING')).toHaveLength(5);
    expect(rules(state, family, 'mangle', 'POSTROUTING')).toHaveLength(family === 6 ? 3 : 1);
    // a packet that bears a mark costs a search for its route
    expect(rules(state, family, 'mangle', 'POSTROUTING')?.at(-1)).toBe(
      '-o vtep1024 -m owner --socket-exists -j MARK --set-xmark 0x1000/0x1000',
    );
  }
});

test('a cluster without IPv6 needs no IPv6', () => {
  const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] }];
  const snapshot = cluster(2, 0, { networks, vtepSubnets: ['44.128.0.0/20'] });
  for (const { spec } of snapshot.allocations) spec.addresses = spec.addresses.slice(0, 1);
  const state = of(snapshot);
  expect(state.chains[6]).toEqual([]);
  expect(
    [...state.sets.keys(), ...state.rules].filter((name) => name.endsWith('-6') || name.includes(':')),
  ).toEqual([]);
});

test('every VTEP has a different nexthop id', () => {
  const addresses = [
    '44.128.0.2',
    '44.129.0.2',
    '44.128.1.2',
    'fd01:a::2',
    'fd01:a::1:2',
    'fd01:a::',
    '::1',
    'fd01:a::1:0',
  ];
  expect(new Set(addresses.map(nexthopID)).size).toBe(addresses.length);
});

describe('Docker networks beside the networks in force', () => {
  const docker = [
    { name: 'dcos', subnets: ['9.0.0.0/24'] },
    { name: 'dcos6', subnets: ['fd01:b::/80'] },
  ];
  const guards = (state: Desired, family: 4 | 6) =>
    rules(state, family, 'raw', 'PREROUTING')?.filter((rule) => rule.startsWith('-i d-'));
  const both = ['-i d-+ -m rpfilter --invert -j DROP'];

  test('cost nothing if the node has their blocks', () => {
    expect(of({ ...cluster(2, 0), docker })).toEqual(of(cluster(2, 0)));
  });

  test('are guarded and isolated after the overlays were deleted, in both families', () => {
    const gone = { ...cluster(2, 0, { vtepSubnets: ['44.128.0.0/20'] }), networks: [] };
    const state = of({ ...gone, docker });
    for (const family of [4, 6] as const) {
      expect(guards(state, family)).toEqual(both);
      expect(rules(state, family, 'filter', 'FORWARD')?.at(-1)).toMatch(/^! -i d-\+ -o d-\+ .* -j DROP$/);
    }
    expect(entries(state, 'overlays-4')).toEqual(['9.0.0.0/24']);
    expect(entries(state, 'overlays-6')).toEqual(['fd01:b::/80']);
    expect(entries(state, 'may-dcos6-6')).toEqual(['fd01:b::/80']);
    expect(rules(state, 4, 'mangle', 'FORWARD')).toContain(
      '-m set --match-set overlaynet-net-dcos-4 src -m set ! --match-set overlaynet-may-dcos-4 dst -j DROP',
    );
    // Docker's alone: no bridge, no route
    expect([...state.links.keys()]).toEqual(['vtep1024']);
    expect(state.routes).toEqual(of(gone).routes);
  });

  test('are guarded as part of their overlay on a deselected node', () => {
    const left = cluster(2, 0);
    left.allocations[0]!.spec.networks = [];
    const state = of({ ...left, docker });
    for (const family of [4, 6] as const) expect(guards(state, family)).toEqual(both);
    expect(entries(state, 'overlays-4')).toEqual(['9.0.0.0/8']);
    expect(state.policy).toBeUndefined();
  });

  test('count as their overlay’s even if that has another subnet now', () => {
    const isolation = { mode: 'Isolated' as const };
    const networks = [{ name: 'dcos', subnets: [{ cidr: '10.0.0.0/8', prefix: 24 }], isolation }];
    const state = of({ ...cluster(2, 0, { networks }), docker: docker.slice(0, 1) });
    for (const set of ['overlays-4', 'net-dcos-4', 'may-dcos-4'])
      expect(entries(state, set)).toEqual(['10.0.0.0/8', '9.0.0.0/24']);
  });
});
