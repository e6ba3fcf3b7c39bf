import { render, type KernelPlan } from '../../../src/dataplane/change.ts';
import { desired, nothing } from '../../../src/dataplane/desired.ts';
import { diff } from '../../../src/dataplane/diff.ts';
import type { Desired, Observed, ObservedLink } from '../../../src/dataplane/state.ts';
import { cluster } from '../../support/cluster.ts';

/** A kernel that shows just what is wanted. */
function showing(state: Desired): Observed {
  const links = [...state.links.values()].map((link): [string, ObservedLink] => [
    link.name,
    { ...link, ours: true, up: true, noControlLearning: link.kind === 'bridge' },
  ]);
  return {
    links: new Map(links),
    neighbours: new Map([...state.neighbours].map(([address, mac]) => [address, { mac, permanent: true }])),
    fdb: new Map([...state.fdb].map(([mac, to]) => [mac, { to, permanent: true }])),
    nexthops: new Map([...state.nexthops].map(([id, via]) => [id, { ours: true, via, link: 'vtep1024' }])),
    routes: new Map(state.routes),
    rules: {
      4: new Set([...state.rules].filter((from) => !from.includes(':'))),
      6: new Set([...state.rules].filter((from) => from.includes(':'))),
    },
    sets: new Map(
      [...state.sets].map(([name, { family, entries }]) => [name, { family, entries: new Set(entries) }]),
    ),
  };
}

const empty: Observed = {
  links: new Map(),
  neighbours: new Map(),
  fdb: new Map(),
  nexthops: new Map(),
  routes: new Map(),
  rules: { 4: new Set(), 6: new Set() },
  sets: new Map(),
};

const lines = (plan: KernelPlan) =>
  Object.fromEntries(
    Object.entries(plan).flatMap(([step, changes]) =>
      changes.length === 0 ? [] : [[step, changes.map(render)]],
    ),
  );

const wanted = (nodes = 2) => desired(cluster(nodes, 0))!;

const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] }];

test('a right kernel causes no change', () => {
  const state = wanted();
  const { plan, failures } = diff(state, showing(state));
  expect([lines(plan), failures]).toEqual([{}, []]);
});

test('a new bridge gets its containers’ ports back, except those that are not wanted or not in the kernel', () => {
  const port = { ours: true, kind: 'veth', mtu: 1450, mac: '', up: true, addresses: [] };
  const [on, off, elsewhere] = ['c-000000000001', 'c-000000000002', 'c-000000000003'] as const;
  const ports = new Map([
    [on, 'm-dcos'],
    [off, 'm-dcos'],
    [elsewhere, 'm-former'],
    ['c-000000000004', 'm-dcos'],
  ]);
  const state = { ...wanted(), ports };
  const observed = showing(state);
  observed.links?.set(on, { ...port, name: on, master: 'm-dcos', hairpin: true });
  observed.links?.set(off, { ...port, name: off, up: false });
  observed.links?.set(elsewhere, { ...port, name: elsewhere });
  const back = [`link set ${off} master m-dcos`, `link set ${off} type bridge_slave hairpin on`];
  expect(lines(diff(state, observed).plan)).toEqual({ linkLayer: [...back, `link set ${off} up`] });
  // of another kind, it is made anew, and the ports are on the one that goes
  observed.links!.get('m-dcos')!.kind = 'dummy';
  expect(lines(diff(state, observed).plan).linkLayer).toEqual(
    expect.arrayContaining([`link set ${on} master m-dcos`, `link set ${on} type bridge_slave hairpin on`]),
  );
});

test('a container’s port stays with any allocation, and is removed by a cleanup', () => {
  const state = wanted();
  const port = { ours: true, kind: 'veth', mtu: 1450, mac: '', up: true, addresses: [] };
  const observed = showing(state);
  observed.links?.set('c-0123456789ab', { ...port, name: 'c-0123456789ab' });
  observed.links?.set('t-01234567', { ...port, name: 't-01234567' });
  observed.links?.set('c-other', { ...port, name: 'c-other' });
  expect(lines(diff(state, observed).plan)).toEqual({ routing: ['link del c-other'] });
  const { plan } = diff(nothing(), observed);
  expect(lines(plan).routing).toContain('link del c-0123456789ab');
});

test('on an empty kernel everything is made in the order of dependencies', () => {
  const state = desired(cluster(2, 0, { networks, vtepSubnets: ['44.128.0.0/20'] }))!;
  const { sets, ...rest } = lines(diff(state, empty).plan);
  expect(rest).toEqual({
    linkLayer: [
      'link add vtep1024 address 70:b3:d5:80:00:01 type vxlan id 1024 dstport 64000 local 172.17.0.2 nolearning',
      'link set vtep1024 alias overlaynet',
      'link set vtep1024 mtu 1400',
      'link set vtep1024 addrgenmode none',
      'link set vtep1024 up',
      'addr add 44.128.0.1/20 dev vtep1024',
      expect.stringMatching(/^link add m-dcos address 02:\S+ type bridge$/),
      'link set m-dcos alias overlaynet',
      'link set m-dcos mtu 1400',
      'link set m-dcos type bridge no_linklocal_learn 1',
      'link set m-dcos addrgenmode none',
      'link set m-dcos up',
      'addr add 9.0.0.1/25 dev m-dcos',
      'neigh replace 44.128.0.2 lladdr 70:b3:d5:80:00:02 dev vtep1024 nud permanent',
      'nexthop add id 1870659586 via 44.128.0.2 dev vtep1024 protocol 142',
    ],
    fdb: ['fdb replace 70:b3:d5:80:00:02 dev vtep1024 dst 172.17.0.3 self permanent'],
    routing: [
      'route add unreachable 9.0.0.0/8 table 254 metric 4294967295 proto 142',
      'route add 9.0.1.0/24 table 254 metric 0 proto 142 nhid 1870659586',
      'route add 172.17.0.3 table 42 metric 0 proto 142 nhid 1870659586',
      'rule add to 9.0.0.0/8 lookup 254 pref 142 protocol 142',
      'rule add from 9.0.0.0/8 fwmark 0/0x800 lookup 42 pref 143 protocol 142',
      'rule add to 44.128.0.0/20 lookup 254 pref 142 protocol 142',
    ],
  });
  expect(sets?.slice(0, 2)).toEqual([
    'create overlaynet-overlays-4 hash:net family inet maxelem 1048576 -exist',
    'add overlaynet-overlays-4 9.0.0.0/8 -exist',
  ]);
});

test('a departed peer is no member at once; its other objects are removed in reverse order: routes, nexthops, neighbours, FDB, sets', () => {
  const of = (nodes: number) => desired(cluster(nodes, 0, { networks, vtepSubnets: ['44.128.0.0/20'] }))!;
  expect(lines(diff(of(1), showing(of(2))).plan)).toEqual({
    routing: [
      'route del 9.0.1.0/24 table 254 metric 0 proto 142 nhid 1870659586',
      'route del 172.17.0.3 table 42 metric 0 proto 142 nhid 1870659586',
      'nexthop del id 1870659586',
      'neigh del 44.128.0.2 dev vtep1024',
    ],
    staleFDB: ['fdb del 70:b3:d5:80:00:02 dev vtep1024 self'],
    sets: ['del overlaynet-members-4 172.17.0.3 -exist'],
    staleSets: ['del overlaynet-direct-4 172.17.0.3 -exist'],
  });
});

test('a block that moved to another node: the old route makes room for the new one', () => {
  const state = wanted(3);
  const observed = showing(state);
  const route = state.routes.get('9.0.1.0/24 254 0')!;
  observed.routes!.set('9.0.1.0/24 254 0', { ...route, nexthop: 1870659587 });
  expect(lines(diff(state, observed).plan)).toEqual({
    routing: [
      'route del 9.0.1.0/24 table 254 metric 0 proto 142 nhid 1870659587',
      'route add 9.0.1.0/24 table 254 metric 0 proto 142 nhid 1870659586',
    ],
  });
});

test('a recreated tunnel loses its dependent objects, which are not deleted once more', () => {
  const state = wanted();
  const observed = showing(wanted(3));
  const link = observed.links!.get('vtep1024')!;
  observed.links!.set('vtep1024', { ...link, vxlan: { ...link.vxlan!, port: 8472 } });
  const { linkLayer: links, routing: routes, fdb, staleFDB } = lines(diff(state, observed).plan);
  expect(links?.slice(0, 2)).toEqual(['link del vtep1024', expect.stringMatching(/^link add vtep1024/)]);
  expect(links).toContain('nexthop add id 1870659586 via 44.128.0.2 dev vtep1024 protocol 142');
  expect(routes?.filter((line) => line.includes(' del '))).toEqual([]);
  expect(routes).toHaveLength(4);
  expect(fdb).toHaveLength(1);
  expect(staleFDB).toBeUndefined();
});

test('a foreign tunnel link is named and not used; bridges and rules are still made', () => {
  const state = wanted();
  const foreign: ObservedLink = {
    name: 'vtep1024',
    ours: false,
    kind: 'bridge',
    mtu: 1500,
    mac: '',
    up: true,
    addresses: [],
  };
  const { plan, failures } = diff(state, { ...empty, links: new Map([['vtep1024', foreign]]) });
  expect(failures).toEqual([{ message: expect.stringContaining('vtep1024 (bridge)') as string }]);
  expect(
    Object.values(lines(plan))
      .flat()
      .filter((line) => line.includes('vtep1024') || line.includes('nhid')),
  ).toEqual([]);
  expect(lines(plan).linkLayer).toContain('addr add 9.0.0.1/25 dev m-dcos');
});

test('a foreign nexthop of our id is named, and its routes wait', () => {
  const state = wanted();
  const observed = showing(state);
  observed.nexthops!.set(1870659586, { ours: false, via: '10.0.0.1', link: 'eth0' });
  observed.routes = new Map();
  const { plan, failures } = diff(state, observed);
  expect(failures).toEqual([{ message: expect.stringContaining('nexthop 1870659586') as string }]);
  expect(lines(plan).routing?.some((line) => line.includes('1870659586'))).toBe(false);
});

test('objects that could not be read are not changed', () => {
  const unknown: Observed = {
    links: undefined,
    neighbours: undefined,
    fdb: undefined,
    nexthops: undefined,
    routes: undefined,
    rules: { 4: undefined, 6: undefined },
    sets: undefined,
  };
  expect(lines(diff(wanted(), unknown).plan)).toEqual({});
  const partly = { ...showing(wanted(3)), neighbours: undefined, nexthops: undefined };
  const { routing: routes, linkLayer: links } = lines(diff(wanted(2), partly).plan);
  expect([links, routes]).toEqual([undefined, undefined]);
});

test('cleanup deletes only our objects, and with a link everything that depends on it', () => {
  const observed = showing(wanted());
  const foreign: ObservedLink = {
    name: 'm-other',
    ours: false,
    kind: 'bridge',
    mtu: 1500,
    mac: '',
    up: true,
    addresses: [],
  };
  observed.links!.set('m-other', foreign);
  observed.nexthops!.set(5, { ours: false, via: '10.0.0.1', link: 'eth0' });
  expect(lines(diff(nothing(), observed).plan)).toEqual({
    linkLayer: ['link del vtep1024'],
    routing: [
      'route del unreachable 9.0.0.0/8 table 254 metric 4294967295 proto 142',
      'route del unreachable fd01:b::/64 table 254 metric 4294967295 proto 142',
      'rule del to 9.0.0.0/8 lookup 254 pref 142 protocol 142',
      'rule del from 9.0.0.0/8 fwmark 0/0x800 lookup 42 pref 143 protocol 142',
      'rule del to 44.128.0.0/20 lookup 254 pref 142 protocol 142',
      'link del m-dcos',
      'link del m-dcos6',
    ],
    rules6: [
      'rule del to fd01:b::/64 lookup 254 pref 142 protocol 142',
      'rule del from fd01:b::/64 fwmark 0/0x800 lookup 42 pref 143 protocol 142',
      'rule del to fd01:a::/64 lookup 254 pref 142 protocol 142',
    ],
    staleSets: expect.arrayContaining(['destroy overlaynet-overlays-4']) as unknown,
  });
});

test("the kernel's own link-local addresses are removed from the tunnel, and from bridges, which have ours", () => {
  const state = wanted();
  const observed = showing(state);
  for (const link of observed.links!.values()) link.addresses = [...link.addresses, 'fe80::1/64'];
  expect(lines(diff(state, observed).plan)).toEqual({
    linkLayer: ['vtep1024', 'm-dcos', 'm-dcos6'].map((name) => `link set ${name} addrgenmode none`),
    routing: ['vtep1024', 'm-dcos', 'm-dcos6'].map((name) => `addr del fe80::1/64 dev ${name}`),
  });
});
