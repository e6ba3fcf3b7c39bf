import { expect } from '@jest/globals';
import { uplinkMTU } from '../../src/linux/uplink.ts';
import { Netns } from '../support/netns.ts';

let node: Netns;

/** Two uplinks: eth0 with MTU 1500 and 192.0.2.1, and eth1 with MTU 1400 and 198.51.100.1. */
beforeEach(async () => {
  node = await Netns.create();
  await node.sh('sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0');
  for (const [link, mtu, address, address6] of [
    ['eth0', 1500, '192.0.2.1/24', '2001:db8::1/64'],
    ['eth1', 1400, '198.51.100.1/24', '2001:db8:1::1/64'],
  ]) {
    await node.sh(`ip link add ${link} mtu ${mtu} type veth peer name ${link}-other`);
    await node.sh(`ip link set ${link} up`);
    await node.sh(`ip link set ${link}-other up`);
    await node.sh(`ip addr add ${address} dev ${link}`);
    await node.sh(`ip addr add ${address6} dev ${link} nodad`);
  }
});
afterEach(() => node.delete());

const measure = (addresses: string[], peers: string[] = []) => uplinkMTU(addresses, peers, node.run);

test('an address has the MTU of its link until a peer is known', async () => {
  expect(await measure(['192.0.2.1'])).toBe(1500);
  expect(await measure(['192.0.2.1'], ['192.0.2.9'])).toBe(1500);
  expect(await measure(['198.51.100.1', '2001:db8::1'])).toBe(1400);
});

test('a link with the address is not the uplink if packets to peers leave by another link', async () => {
  await node.sh('ip route add 203.0.113.0/24 via 198.51.100.9');
  expect(await measure(['192.0.2.1'], ['203.0.113.7'])).toBe(1400);
  expect(await measure(['192.0.2.1'], ['192.0.2.9', '203.0.113.7'])).toBe(1400);
});

describe.each([
  ['10.9.9.1', '10.9.9.7', '192.0.2.9', '198.51.100.9'],
  ['2001:db8:9::1', '2001:db8:9::7', '2001:db8::9', '2001:db8:1::9'],
])('a node whose address, %s, is on lo', (own, peer, router0, router1) => {
  const six = own.includes(':');
  const route = (to: string, by: string) => node.sh(`ip ${six ? '-6 ' : ''}route add ${to} ${by}`);
  beforeEach(async () => {
    await node.sh(`ip addr add ${own}/${six ? 128 : 32} dev lo`);
  });

  test('uses the link of its route to peers', async () => {
    await route('default', `via ${router0}`);
    await route(`${peer}/${six ? 128 : 32}`, `via ${router1}`);
    expect(await measure([own])).toBe(1500);
    expect(await measure([own], [peer])).toBe(1400);
    // its own address does not count as a peer
    expect(await measure([own], [own])).toBe(1500);
  });

  test('uses all links of a multipath route, and the route’s own MTU', async () => {
    const both = `nexthop via ${router0} dev eth0 nexthop via ${router1} dev eth1`;
    await route('default', both);
    expect(await measure([own])).toBe(1400);
    expect(await measure([own], [peer])).toBe(1400);
    await route(`${peer}/${six ? 128 : 32}`, `via ${router0} mtu 1350`);
    expect(await measure([own], [peer])).toBe(1350);
  });

  test('uses any router if there is no default route, and ignores peers without a route', async () => {
    await route(six ? '2001:db8:9::/64' : '10.9.0.0/16', `via ${router1}`);
    expect(await measure([own])).toBe(1400);
    expect(await measure([own], [six ? '3fff::1' : '203.0.113.1', peer])).toBe(1400);
  });

  test('fails with an error that names the address if there is no route', async () => {
    await expect(measure([own], [peer])).rejects.toThrow(
      `the address ${own} is on lo, by which no packet leaves, and no route leads from it to other nodes`,
    );
  });

  test('ignores our own links', async () => {
    await node.sh('ip link add vtep7 mtu 1280 type veth peer name vtep7-other');
    await node.sh('ip link set vtep7 alias overlaynet up');
    await route(six ? '2001:db8:42::/48' : '10.42.0.0/16', 'dev vtep7');
    await node.sh(`ip addr add ${six ? '2001:db8:77::1/64' : '10.77.0.1/24'} dev vtep7`);
    await route(six ? '2001:db8:43::/48' : '10.43.0.0/16', `via ${six ? '2001:db8:77::2' : '10.77.0.2'}`);
    await expect(measure([own])).rejects.toThrow('no route leads from it');
  });
});

test('policy rules by source address count, because the kernel itself is asked', async () => {
  await node.sh('ip addr add 10.9.9.1/32 dev lo');
  await node.sh('ip route add default via 192.0.2.9');
  await node.sh('ip route add default via 198.51.100.9 table 77');
  await node.sh('ip rule add from 10.9.9.1 lookup 77');
  expect(await measure(['10.9.9.1'], ['10.9.9.7'])).toBe(1400);
});
