import { emptyPool } from '../../../src/docker/pool.ts';
import { blocksLabel, blocksOf, isOurs, networkLabel, wantedNetworks } from '../../../src/docker/networks.ts';
import { formatCidr, overlaps, parseCidr } from '../../../src/net/cidr.ts';
import { cluster } from '../../support/cluster.ts';

const dual = {
  networks: [
    {
      name: 'dual',
      subnets: [
        { cidr: '10.100.0.0/16', prefix: 24 },
        { cidr: 'fd02::/48', prefix: 64 },
      ],
    },
  ],
};
const bridge = 'com.docker.network.bridge';

test('a network has its halves, the first address of each as gateway, its bridge, the MTU and our labels', () => {
  expect(wantedNetworks(cluster(2, 1, { ...dual, mtu: 1430 }), 41)).toEqual([
    {
      name: 'dual',
      draining: false,
      shape: {
        Name: 'dual',
        Driver: 'bridge',
        EnableIPv6: true,
        IPAM: {
          Config: [
            { Subnet: '10.100.1.128/25', Gateway: '10.100.1.129' },
            { Subnet: 'fd02:0:0:1:8000::/65', Gateway: 'fd02::1:8000:0:0:1' },
          ],
        },
        Options: {
          [`${bridge}.name`]: 'd-dual',
          [`${bridge}.enable_ip_masquerade`]: 'false',
          'com.docker.network.driver.mtu': '1430',
        },
        Labels: {
          'dev.overlaynet.network': 'dual',
          'dev.overlaynet.blocks': '10.100.1.0/24,fd02:0:0:1::/64',
        },
      },
    },
  ]);
});

test('from Docker 28 on it accepts packets from outside, and IPv6-only networks need no IPv4', () => {
  const [dcos, dcos6] = wantedNetworks(cluster(1, 0), 48).map(({ shape }) => shape);
  expect(dcos).toMatchObject({ EnableIPv4: true, EnableIPv6: false });
  expect(dcos?.Options).toMatchObject({ [`${bridge}.gateway_mode_ipv4`]: 'nat-unprotected' });
  expect(dcos?.Options).not.toHaveProperty([`${bridge}.gateway_mode_ipv6`]);
  expect(dcos6).toMatchObject({ EnableIPv4: false, EnableIPv6: true });
  expect(dcos6?.IPAM.Config?.map(({ Subnet }) => Subnet)).toEqual(['fd01:b::8000:0:0/81']);
  expect(dcos6?.Options).toMatchObject({ [`${bridge}.gateway_mode_ipv6`]: 'nat-unprotected' });
  expect(dcos6?.Options).not.toHaveProperty([`${bridge}.inhibit_ipv4`]);
});

test('before Docker 28 an IPv6-only network has unused IPv4 addresses, always the same', () => {
  const [, dcos6] = wantedNetworks(cluster(1, 0), 47).map(({ shape }) => shape);
  const [pool, half] = dcos6?.IPAM.Config ?? [];
  expect(half?.Subnet).toBe('fd01:b::8000:0:0/81');
  expect(pool).toEqual({ Subnet: '243.36.32.0/21', Gateway: '243.36.32.1' });
  expect(dcos6?.Options).toMatchObject({ [`${bridge}.inhibit_ipv4`]: 'true' });
});

test('a network without a Docker half, or not in force, has no Docker network', () => {
  const snapshot = cluster(1, 0);
  for (const { subnets } of snapshot.allocations[0]!.spec.networks!) {
    for (const subnet of subnets) delete subnet.bridges!.docker;
  }
  expect(wantedNetworks(snapshot, 41)).toEqual([]);
  expect(wantedNetworks({ ...cluster(1, 0), networks: [] }, 41)).toEqual([]);
});

test('it uses the active subnet; if all drain, it keeps its subnet', () => {
  const subnets = [
    { cidr: '9.0.0.0/8', prefix: 24 },
    { cidr: '10.0.0.0/8', prefix: 24 },
  ];
  const snapshot = cluster(1, 0, { networks: [{ name: 'two', subnets }] });
  const [first, second] = snapshot.networks[0]!.spec.subnets;
  const chosen = () =>
    wantedNetworks(snapshot, 41).map(({ shape, draining }) => [shape.IPAM.Config?.[0]?.Subnet, draining]);
  expect(chosen()).toEqual([['9.0.0.128/25', false]]);
  first!.state = 'Draining';
  expect(chosen()).toEqual([['10.0.0.128/25', false]]);
  second!.state = 'Draining';
  expect(chosen()).toEqual([['9.0.0.128/25', true]]);
});

test('pools of two networks never overlap', () => {
  const taken = new Set<string>();
  const pools = Array.from({ length: 500 }, () => emptyPool('same', taken));
  expect(new Set(pools.map(formatCidr)).size).toBe(500);
  expect(pools.every((pool) => overlaps(parseCidr('240.0.0.0/4'), pool))).toBe(true);
});

test('a Docker network is ours if its label has its own name and an overlay can have that name; invalid text in the label is no block', () => {
  const [{ shape }] = wantedNetworks(cluster(1, 0), 41) as [ReturnType<typeof wantedNetworks>[0]];
  const labelled = (Name: string, label: string) =>
    isOurs({ ...shape, Name, Labels: { [networkLabel]: label } });
  expect(isOurs(shape)).toBe(true);
  expect(labelled('copy', 'dcos')).toBe(false);
  expect(labelled('FOO', 'FOO')).toBe(false);
  expect(isOurs({ ...shape, Labels: null })).toBe(false);
  const blocks = (text: string) => blocksOf({ ...shape, Labels: { [blocksLabel]: text } });
  expect(blocks('9.0.1.0/24,fd01:b::/80')).toEqual(['9.0.1.0/24', 'fd01:b::/80']);
  expect(blocks('9.0.1.1/24, ,x,FD01::/80')).toEqual([]);
});
