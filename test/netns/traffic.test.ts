import type { Underlay } from '../../src/api/types.ts';
import { nodeAddresses } from '../support/cluster.ts';
import { capture, type Netns } from '../support/netns.ts';
import { ping, sourceSeen, Wire } from '../support/wire.ts';

describe.each<Underlay>(['IPv4', 'IPv6'])('two nodes over %s', (underlay) => {
  const wire = new Wire();
  let node0: Netns, node1: Netns, c0: Netns, c1: Netns, d0: Netns, d1: Netns;

  beforeAll(async () => {
    await wire.up(underlay);
    [node0, node1] = wire.nodes as [Netns, Netns];
    c0 = await wire.container(node0, 'm-dcos', '9.0.0.2/25', '9.0.0.1');
    c1 = await wire.container(node1, 'm-dcos', '9.0.1.2/25', '9.0.1.1');
    d0 = await wire.container(node0, 'm-dcos6', 'fd01:b::2/81', 'fd01:b::1');
    d1 = await wire.container(node1, 'm-dcos6', 'fd01:b::1:0:0:2/81', 'fd01:b::1:0:0:1');
  });
  afterAll(() => wire.down());

  test.each(['44.128.0.2', 'fd01:a::2', '9.0.1.1', 'fd01:b::1:0:0:1'])(
    'a node reaches %s of the other',
    async (to) => {
      await ping(node0, to);
    },
  );

  test("the tunnel's packets make no connections, and also pass if another program disables tracking of that port", async () => {
    const [iptables, member] = underlay === 'IPv4' ? ['iptables-nft', 4] : ['ip6tables-nft', 6];
    const talk = async () => {
      for (const node of [node0, node1]) await node.sh('conntrack -F');
      await ping(c0, '9.0.1.2');
      await ping(d0, 'fd01:b::1:0:0:2');
      await ping(node0, '9.0.1.2');
      for (const node of [node0, node1])
        expect(await node.sh(`conntrack -L -f ipv${member} -p udp --dport 64000`)).toBe('');
    };
    await talk();
    const untracked = '-p udp --dport 64000 -j CT --notrack';
    for (const hook of ['OUTPUT', 'PREROUTING']) await node0.sh(`${iptables} -t raw -I ${hook} ${untracked}`);
    await talk();
    for (const hook of ['OUTPUT', 'PREROUTING']) await node0.sh(`${iptables} -t raw -D ${hook} ${untracked}`);
  });

  test("containers of two nodes see each other's own addresses", async () => {
    expect(await sourceSeen(c0, '9.0.1.2', c1, 'eth0')).toBe('9.0.0.2');
    expect(await sourceSeen(d0, 'fd01:b::1:0:0:2', d1, 'eth0')).toBe('fd01:b::2');
  });

  test("a container reaches the other node's own address untranslated, through the tunnel", async () => {
    const [ip = '', ip6 = ''] = nodeAddresses(1);
    expect(await sourceSeen(c0, ip, node1, 'vtep1024')).toBe('9.0.0.2');
    expect(await sourceSeen(d0, ip6, node1, 'vtep1024')).toBe('fd01:b::2');
  });

  test('a node reaches a container of the other from its VTEP address', async () => {
    expect(await sourceSeen(node0, '9.0.1.2', c1, 'eth0')).toBe('44.128.0.1');
    expect(await sourceSeen(node0, 'fd01:b::1:0:0:2', d1, 'eth0')).toBe('fd01:a::1');
  });

  test('a packet from a node’s registered address is not translated either', async () => {
    const [ip = ''] = nodeAddresses(0);
    const seen = await capture(c1, 'eth0', 'icmp[icmptype] = icmp-echo');
    await node0.sh(`ping -n -q -c 1 -w 5 -I ${ip} 9.0.1.2`);
    expect(await seen.packet()).toContain(`IP ${ip} > 9.0.1.2`);
  });

  test("a node's other addresses are masqueraded into the tunnel, and get their replies", async () => {
    await node0.sh('ip addr add 10.99.0.1/32 dev lo');
    const seen = await capture(c1, 'eth0', 'icmp[icmptype] = icmp-echo');
    await node0.sh('ping -n -q -c 1 -w 5 -I 10.99.0.1 9.0.1.2');
    expect(await seen.packet()).toContain('IP 44.128.0.1 > 9.0.1.2');
  });

  test("a container reaches outside hosts with its node's address", async () => {
    const [ip, ip6] = nodeAddresses(0);
    expect(await sourceSeen(c0, '172.17.9.9', wire.outside, 'eth0')).toBe(ip);
    expect(await sourceSeen(d0, 'fd00:17::99', wire.outside, 'eth0')).toBe(ip6);
  });

  test('unallocated overlay addresses are unreachable, with and without a default route', async () => {
    await node0.sh('ip route add default via 172.17.9.9');
    const { stdout, code } = await c0.try('ping -n -c 1 -W 2 9.77.0.1');
    expect(code).not.toBe(0);
    expect(stdout).toContain('Destination Host Unreachable');
    expect(await node0.sh('ip route get 9.77.0.1 from 9.0.0.2 iif m-dcos').catch(String)).toContain(
      'No route to host',
    );
  });

  test('a tunnel packet of a non-member is dropped, and that of a member is not', async () => {
    const [ip = '', ip6 = ''] = nodeAddresses(0);
    const [own, remote] = underlay === 'IPv4' ? ['172.17.9.9', ip] : ['fd00:17::99', ip6];
    await wire.outside.sh(`ip link add vx type vxlan id 1024 dstport 64000 local ${own} nolearning`);
    await wire.outside.sh('ip addr add 44.128.9.9/20 dev vx');
    await wire.outside.sh('ip link set vx up');
    await wire.outside.sh('ip neigh add 44.128.0.1 lladdr 70:b3:d5:80:00:01 dev vx nud permanent');
    await wire.outside.sh(`bridge fdb add 70:b3:d5:80:00:01 dev vx dst ${remote} self permanent`);
    const received = async () => {
      await wire.outside.try('ping -n -q -c 1 -W 1 44.128.0.1');
      const [link] = JSON.parse(await node0.sh('ip -s -j link show vtep1024')) as [
        { stats64: { rx: { packets: number } } },
      ];
      return link.stats64.rx.packets;
    };
    const before = await received();
    expect(await received()).toBe(before);
    await node0.sh(`ipset add overlaynet-members-${underlay === 'IPv4' ? 4 : 6} ${own}`);
    expect(await received()).toBeGreaterThan(before);
  });

  test('no process and no container can inject tunnel packets; containers use that port among themselves', async () => {
    const [ip = '', ip6 = ''] = nodeAddresses(1);
    const remote = underlay === 'IPv4' ? ip : ip6;
    const send = (from: Netns, to: string) =>
      from.run('bash', ['-c', 'exec 3>/dev/udp/$0/64000; echo forged >&3', to]);
    expect((await send(node0, remote)).stderr).toContain('Operation not permitted');
    const [forger, friend, address] = underlay === 'IPv4' ? [c0, c1, '9.0.1.2'] : [d0, d1, 'fd01:b::1:0:0:2'];
    const forged = await capture(node1, 'eth0', `udp port 64000 and dst host ${remote} and len < 80`);
    await send(forger, remote);
    expect(await forged.packet()).toBeUndefined();
    const wanted = await capture(friend, 'eth0', 'udp port 64000');
    expect((await send(forger, address)).code).toBe(0);
    expect(await wanted.packet()).toContain(`${address}.64000`);
  });
});
