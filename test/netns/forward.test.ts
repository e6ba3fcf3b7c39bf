import { eventually } from '../support/eventually.ts';
import { capture, type Netns } from '../support/netns.ts';
import { ping, Wire } from '../support/wire.ts';

describe('if FORWARD drops by default, as with Docker and ufw', () => {
  const wire = new Wire();
  let node0: Netns, c0: Netns, c1: Netns, d0: Netns, d1: Netns, second: Netns;

  beforeAll(async () => {
    await wire.up('IPv4');
    for (const node of wire.nodes) {
      for (const program of ['iptables', 'ip6tables']) await node.sh(`${program} -P FORWARD DROP`);
    }
    [node0] = wire.nodes as [Netns, Netns];
    c0 = await wire.container(node0, 'm-dcos', '9.0.0.2/25', '9.0.0.1');
    c1 = await wire.container(wire.nodes[1]!, 'm-dcos', '9.0.1.2/25', '9.0.1.1');
    d0 = await wire.container(node0, 'm-dcos6', 'fd01:b::2/81', 'fd01:b::1');
    d1 = await wire.container(wire.nodes[1]!, 'm-dcos6', 'fd01:b::1:0:0:2/81', 'fd01:b::1:0:0:1');
    second = await wire.container(node0, 'm-dcos', '9.0.0.3/25', '9.0.0.1');
  });
  afterAll(() => wire.down());

  test('containers reach each other on one node and on two, the nodes, and outside hosts', async () => {
    await ping(c0, '9.0.1.2');
    await ping(c1, '9.0.0.2');
    await ping(c0, '9.0.0.3');
    await ping(d0, 'fd01:b::1:0:0:2');
    await ping(d1, 'fd01:b::2');
    await ping(c0, '172.17.0.3');
    await ping(node0, '9.0.1.2');
    await ping(c0, '172.17.9.9');
    await ping(d0, 'fd00:17::99');
  });

  test('a port published on a node reaches its container', async () => {
    await node0.sh('iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 9.0.0.3:80');
    const server = second.spawn(process.execPath, [
      '-e',
      'process.stdin.resume().on("end", () => process.exit()); ' +
        'require("net").createServer((c) => c.end("hello")).listen(80, "0.0.0.0", () => console.log("up"))',
    ]);
    await server.ready;
    const ask = ['5', 'bash', '-c', 'exec 3<>/dev/tcp/172.17.0.2/8080; cat <&3'];
    await eventually(
      async () => (await wire.outside.run('timeout', ask)).stdout,
      (text) => text === 'hello',
    );
    await server.stop();
  });

  test('no further outside host gets in, even with a forged source address', async () => {
    await wire.outside.sh('ip route add 9.0.0.0/8 via 172.17.0.2');
    await wire.outside.sh('ip addr add 9.0.77.1/32 dev lo');
    await node0.sh('sysctl -qw net.ipv4.conf.all.rp_filter=0');
    const arrives = async (source: string) => {
      const seen = await capture(c0, 'eth0', 'icmp[icmptype] = icmp-echo');
      await wire.outside.try(`ping -n -q -c 1 -w 1 -I ${source} 9.0.0.2`);
      return (await seen.packet()) !== undefined;
    };
    for (const source of ['172.17.9.9', '9.0.77.1']) {
      expect(await arrives(source)).toBe(false);
      await node0.sh('iptables -P FORWARD ACCEPT');
      expect(await arrives(source)).toBe(true);
      await node0.sh('iptables -P FORWARD DROP');
    }
  });
});
