import { expect, jest } from '@jest/globals';
import { uplinkMTU } from '../../src/linux/uplink.ts';
import { Netns } from '../support/netns.ts';

// a busy machine takes its time to start a hundred programs
jest.setTimeout(30_000);

let node: Netns;

/** Two uplinks: eth0 carries 1500 bytes and has 192.0.2.1, eth1 1400 and has 198.51.100.1. */
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

test('an address on an uplink is measured by that link until a peer is known', async () => {
  expect(await measure(['192.0.2.1'])).toBe(1500);
  expect(await measure(['192.0.2.1'], ['192.0.2.9'])).toBe(1500);
  expect(await measure(['198.51.100.1', '2001:db8::1'])).toBe(1400);
});

test('a link that has the address is not the uplink where packets to peers leave by another', async () => {
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

  test('has the uplink that its route to peers names', async () => {
    await route('default', `via ${router0}`);
    await route(`${peer}/${six ? 128 : 32}`, `via ${router1}`);
    expect(await measure([own])).toBe(1500);
    expect(await measure([own], [peer])).toBe(1400);
    // its own address is no peer
    expect(await measure([own], [own])).toBe(1500);
  });

  test('has all uplinks that such a route names, and what the route says', async () => {
    const both = `nexthop via ${router0} dev eth0 nexthop via ${router1} dev eth1`;
    await route('default', both);
    expect(await measure([own])).toBe(1400);
    expect(await measure([own], [peer])).toBe(1400);
    await route(`${peer}/${six ? 128 : 32}`, `via ${router0} mtu 1350`);
    expect(await measure([own], [peer])).toBe(1350);
  });

  test('goes by any router where there is no default route, and peers that nothing leads to count for nothing', async () => {
    await route(six ? '2001:db8:9::/64' : '10.9.0.0/16', `via ${router1}`);
    expect(await measure([own])).toBe(1400);
    expect(await measure([own], [six ? '3fff::1' : '203.0.113.1', peer])).toBe(1400);
  });

  test('is told so where nothing leads out', async () => {
    await expect(measure([own], [peer])).rejects.toThrow(
      `the address ${own} is on lo, by which no packet leaves, and no route leads from it to other nodes`,
    );
  });

  test('never counts a link of ours', async () => {
    await node.sh('ip link add vtep7 mtu 1280 type veth peer name vtep7-other');
    await node.sh('ip link set vtep7 alias overlaynet up');
    await route(six ? '2001:db8:42::/48' : '10.42.0.0/16', 'dev vtep7');
    await node.sh(`ip addr add ${six ? '2001:db8:77::1/64' : '10.77.0.1/24'} dev vtep7`);
    await route(six ? '2001:db8:43::/48' : '10.43.0.0/16', `via ${six ? '2001:db8:77::2' : '10.77.0.2'}`);
    await expect(measure([own])).rejects.toThrow('no route leads from it');
  });
});

test('a rule by source counts: the kernel itself is asked', async () => {
  await node.sh('ip addr add 10.9.9.1/32 dev lo');
  await node.sh('ip route add default via 192.0.2.9');
  await node.sh('ip route add default via 198.51.100.9 table 77');
  await node.sh('ip rule add from 10.9.9.1 lookup 77');
  expect(await measure(['10.9.9.1'], ['10.9.9.7'])).toBe(1400);
});
