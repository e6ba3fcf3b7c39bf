import { faultsOf, isRead, wantedOf, type SeenOfPeer, type Way } from '../../../src/verdict/faults.ts';
import { cluster } from '../../support/cluster.ts';

const wanted = wantedOf(cluster(2, 0), 'node1')!;
const tunnel = 'vtep1024';
const ways = (changes: Record<string, Way | undefined> = {}): Map<string, Way> => {
  const all: Record<string, Way | undefined> = {
    '9.0.1.0': { link: tunnel, via: '44.128.0.2', mtu: 1400 },
    'fd01:b:0:0:1::': { link: tunnel, via: 'fd01:a::2' },
    '44.128.0.2': { link: tunnel },
    'fd01:a::2': { link: tunnel },
    '172.17.0.3': { link: 'eth0', mtu: 1500 },
    ...changes,
  };
  return new Map(Object.entries(all).flatMap(([to, way]) => (way === undefined ? [] : [[to, way] as const])));
};
const macs = { '44.128.0.2': '70:b3:d5:80:00:02', 'fd01:a::2': '70:b3:d5:80:00:02' };
const seen = (changes: Partial<SeenOfPeer> = {}): SeenOfPeer => ({
  tunnel: 'Up',
  ways: ways(),
  macs: new Map<string, string | undefined>(Object.entries(macs)),
  destination: '172.17.0.3',
  isMember: true,
  neighbour: 'REACHABLE',
  ...changes,
});

test('what is wanted of a peer: its blocks, its VTEP, its MAC, its membership', () => {
  expect(wanted).toEqual({
    tunnel,
    routes: [
      { to: '9.0.1.0', via: '44.128.0.2' },
      { to: 'fd01:b:0:0:1::', via: 'fd01:a::2' },
    ],
    vteps: ['44.128.0.2', 'fd01:a::2'],
    mac: '70:b3:d5:80:00:02',
    address: '172.17.0.3',
    outer: 4,
    membersSet: 'overlaynet-members-4',
    largest: 1450,
  });
  expect(wantedOf(cluster(2, 0), 'node0')).toBeUndefined();
  expect(wantedOf(cluster(2, 0), 'node7')).toBeUndefined();
});

test('a kernel as it should be has no fault, nor has one that could not be read', () => {
  expect(faultsOf(wanted, seen())).toEqual([]);
  const unread = { tunnel: undefined, destination: undefined, isMember: undefined, neighbour: undefined };
  expect(faultsOf(wanted, { ...unread, ways: new Map(), macs: new Map() })).toEqual([]);
});

test.each<[kind: string, evidence: string, changes: Partial<SeenOfPeer>]>([
  ['TunnelDown', "the tunnel's link vtep1024 is down", { tunnel: 'Down' }],
  ['TunnelDown', "the tunnel's link vtep1024 does not exist", { tunnel: 'Missing' }],
  [
    'NotAMember',
    '172.17.0.3 is not in the set overlaynet-members-4: its tunnel packets are dropped',
    { isMember: false },
  ],
  [
    'MACMismatch',
    'vtep1024 has no neighbour entry for 44.128.0.2, which should say 70:b3:d5:80:00:02',
    { macs: new Map([['44.128.0.2', undefined]]) },
  ],
  [
    'MACMismatch',
    'the neighbour entry of 44.128.0.2 on vtep1024 says 70:b3:d5:80:00:99, and should say 70:b3:d5:80:00:02',
    { macs: new Map([['44.128.0.2', '70:b3:d5:80:00:99']]) },
  ],
  [
    'MACMismatch',
    'vtep1024 has no forwarding entry for 70:b3:d5:80:00:02, which should lead to 172.17.0.3',
    { destination: '' },
  ],
  [
    'MACMismatch',
    'the forwarding entry of 70:b3:d5:80:00:02 on vtep1024 leads to 172.17.9.9, and should lead to 172.17.0.3',
    { destination: '172.17.9.9' },
  ],
  [
    'RouteMissing',
    'no route leads to 9.0.1.0: RTNETLINK answers: No route to host',
    { ways: ways({ '9.0.1.0': { why: 'RTNETLINK answers: No route to host' } }) },
  ],
  [
    'RouteMissing',
    'the route to 9.0.1.0 is via 172.17.0.1 dev eth0, and should be via 44.128.0.2 dev vtep1024',
    { ways: ways({ '9.0.1.0': { link: 'eth0', via: '172.17.0.1' } }) },
  ],
  [
    'RouteMissing',
    'the route to 44.128.0.2 is dev eth0, and should be dev vtep1024',
    { ways: ways({ '44.128.0.2': { link: 'eth0' } }) },
  ],
])('%s: %s', (kind, evidence, changes) => {
  expect(faultsOf(wanted, seen(changes))).toEqual([{ kind, evidence }]);
});

test.each<[what: string, changes: Partial<SeenOfPeer>]>([
  ['the tunnel', { tunnel: undefined }],
  ['the forwarding entry', { destination: undefined }],
  ['the set of members', { isMember: undefined }],
  ['a neighbour entry', { macs: new Map([['44.128.0.2', '70:b3:d5:80:00:02']]) }],
  ['a route', { ways: ways({ '9.0.1.0': undefined }) }],
  ['the way to a VTEP', { ways: ways({ 'fd01:a::2': undefined }) }],
])('a kernel of which %s was not read is not one that was read wholly', (_, changes) => {
  expect(isRead(wanted, seen())).toBe(true);
  expect(isRead(wanted, seen(changes))).toBe(false);
});
