import { expect } from '@jest/globals';
import { OwnRanges } from '../../src/host/ranges.ts';
import type { OverlayAgentSpec } from '../../src/api/types.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { hostSpace } from '../../src/linux/ranges.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

let node: Netns;

async function link(name: string, ...addresses: string[]): Promise<void> {
  await node.sh(`ip link add ${name} type veth peer name ${name}-other`);
  await node.sh(`ip link set ${name}-other up`);
  await node.sh(`ip link set ${name} up`);
  for (const address of addresses)
    await node.sh(`ip addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
}

/** The uplink eth0 with the registered addresses. */
beforeEach(async () => {
  node = await Netns.create();
  await node.sh('sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0');
  await link('eth0', '172.17.0.2/16', 'fd00:17::2/64');
  await node.sh('ip route add default via 172.17.0.1');
});
afterEach(() => node.delete());

const uplink = [
  { cidr: '172.17.0.0/16', kind: 'Subnet', link: 'eth0' },
  { cidr: 'fd00:17::/64', kind: 'Subnet', link: 'eth0' },
] as const;
const own = () => new OwnRanges({ read: () => hostSpace(node.run), addresses: ['172.17.0.2', 'fd00:17::2'] });

/** Returns the reported ranges without those of the uplink. */
async function said(): Promise<Omit<OverlayAgentSpec, 'addresses' | 'uplinkMTU'>> {
  const { ranges = [], ...rest } = await own().toRegister();
  const isUplink = (cidr: string) => uplink.some((range) => range.cidr === cidr);
  return { ...rest, ranges: ranges.filter(({ cidr }) => !isUplink(cidr)) };
}

test('a node with one uplink reports its subnets, but not loopback, link-local or the default route', async () => {
  await node.sh('ip addr add 169.254.3.1/16 dev eth0');
  expect(await own().toRegister()).toEqual({ ranges: uplink });
});

test("a node reports a second LAN, Docker's bridges, an address on lo, and routes of any table and metric, of both families", async () => {
  await link('eth1', '10.100.0.2/16', 'fd99::2/64');
  await node.sh('ip link add docker0 type bridge');
  await node.sh('ip addr add 172.30.0.1/16 dev docker0');
  await node.sh('ip addr add 10.255.0.3/32 dev lo');
  await node.sh('ip route add 10.8.0.0/16 via 10.100.0.1 metric 100');
  await node.sh('ip route add 10.7.0.0/24 via 10.100.0.1 table 52');
  await node.sh('ip route add 10.6.0.0/24 dev eth1');
  await node.sh('ip -6 route add fd98::/64 via fd99::1');
  await node.sh('ip route add 10.5.0.0/24 nexthop via 10.100.0.1 nexthop via 172.17.0.9');
  await node.sh('ip route add unreachable 10.4.0.0/16');
  const subnet = (cidr: string, link: string) => ({ cidr, kind: 'Subnet', link });
  const route = (cidr: string) => ({ cidr, kind: 'Route', link: 'eth1' });
  expect(await said()).toEqual({
    ranges: [
      ...[subnet('10.100.0.0/16', 'eth1'), subnet('172.30.0.0/16', 'docker0')],
      ...[subnet('10.6.0.0/24', 'eth1'), subnet('10.255.0.3/32', 'lo'), subnet('fd99::/64', 'eth1')],
      ...[route('10.8.0.0/16'), route('10.5.0.0/24'), route('10.7.0.0/24'), route('fd98::/64')],
    ],
    furtherAddresses: ['10.100.0.2', '10.255.0.3', '172.30.0.1', 'fd99::2'],
  });
});

test('ranges behind a node’s own tunnel are reported as routes, and the tunnel’s addresses as its own', async () => {
  await node.sh('ip tuntap add tun0 mode tun');
  await node.sh('ip link set tun0 up');
  await node.sh('ip addr add 10.8.0.2/24 dev tun0');
  await node.sh('ip route add 10.0.0.0/8 dev tun0');
  expect((await said()).ranges).toEqual([
    { cidr: '10.8.0.0/24', kind: 'Subnet', link: 'tun0' },
    { cidr: '10.0.0.0/8', kind: 'Route', link: 'tun0' },
  ]);
});

test("objects of overlaynet and addresses of Services do not count as the node's ranges", async () => {
  const { failures } = await new DataPath({ log: silent, run: node.run }).reconcile(cluster(3, 0));
  expect(failures).toEqual([]);
  // as Docker makes it
  await node.sh('ip link add d-dcos type bridge');
  await node.sh('ip addr add 9.0.0.129/25 dev d-dcos');
  for (const name of ['kube-ipvs0', 'nodelocaldns']) {
    await node.sh(`ip link add ${name} type bridge`);
    await node.sh(`ip addr add 10.96.0.10/32 dev ${name}`);
  }
  expect(await own().toRegister()).toEqual({ ranges: uplink });
});

test('a link of any name can be registered', async () => {
  await link('a$b;c', '10.100.0.2/16');
  expect((await said()).ranges).toEqual([{ cidr: '10.100.0.0/16', kind: 'Subnet', link: 'a_b_c' }]);
});

describe('an overlay in force over a LAN that came later', () => {
  const problems = async () => {
    const ranges = own();
    await ranges.look();
    return ranges.problems(cluster(3, 0)).map(({ message }) => message);
  };

  test.each([
    ['the whole of it', '9.0.0.2/8', '9.0.0.0/8'],
    ['a part of it, by a route of another metric', '9.0.7.2/24', '9.0.7.0/24'],
  ])('%s is reported with link and range', async (_what, address, range) => {
    await link('eth1', address);
    await node.sh(`ip route del ${range} dev eth1`);
    await node.sh(`ip route add ${range} dev eth1 metric 100`);
    expect(await problems()).toEqual([
      expect.stringContaining(`${range}, a subnet of this node on eth1, overlaps 9.0.0.0/8 of network dcos`),
    ]);
  });

  test.each([
    ['9.0.1.7/24', '9.0.1.0/24', 4],
    ['fd01:b:0:0:1::7/80', 'fd01:b:0:0:1::/80', 6],
  ])('its route in the place of ours, %s, is reported and stays', async (address, block, family) => {
    await link('eth1', address);
    if (family === 6) {
      await node.sh(`ip -6 route del ${block} dev eth1`);
      await node.sh(`ip -6 route add ${block} dev eth1 metric 1024`);
    }
    const { failures } = await new DataPath({ log: silent, run: node.run }).reconcile(cluster(3, 0));
    expect(failures).toMatchObject([
      {
        network: family === 4 ? 'dcos' : 'dcos6',
        message: expect.stringMatching(
          new RegExp(
            `File exists \\(route add ${block} .*\\): the node has a route of its own there, ${block} dev eth1`,
          ),
        ),
      },
    ]);
    expect(await node.sh(`ip -${family} route show exact ${block}`)).toContain('dev eth1');
    expect(await problems()).toHaveLength(1);
  });
});
