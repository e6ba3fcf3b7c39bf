import type { Isolation } from '../../src/api/types.ts';
import { Bed, type Pod } from '../support/bed.ts';
import { nodeAddresses } from '../support/cluster.ts';
import { briefly, Prober, tries } from '../support/prober.ts';
import { proxy, type Service } from '../support/services.ts';

const families = [4, 6] as const;
type Family = (typeof families)[number];

const shut = (rest: Partial<Isolation> = {}) =>
  Bed.network(1, 'shut', { isolation: { mode: 'Isolated', hosts: 'Deny', ...rest } });
const blue = Bed.network(2, 'blue');

const bed = new Bed();
let shut0: Pod, shut1: Pod, blue0: Pod, docker0: Pod;
let process0: Prober, process1: Prober, outside: Prober;

const addressOf = (node: number, family: Family) => nodeAddresses(node)[family === 4 ? 0 : 1]!;
const clusterIP = (number: number, family: Family) => `${family === 4 ? '10.96.0.' : 'fd00:96::'}${number}`;
const server = { 4: '172.17.0.3', 6: 'fd00:17::3' };
const apiServers = families.map((family) => ({ address: server[family], port: 6443 }));

const service = (name: string, ip: string, port: number, to: Service['to'], nodePort?: number): Service => ({
  ...{ name, ip, protocol: 'tcp', port, to },
  ...(nodePort === undefined ? {} : { nodePort }),
});
const services = (family: Family): Service[] => [
  service(`SHUT0-${family}`, clusterIP(20, family), 8080, { ip: shut0.ip[family]!, port: 80 }, 30080),
  service(`BLUE0-${family}`, clusterIP(21, family), 8080, { ip: blue0.ip[family]!, port: 80 }, 30081),
  service(`PROCESS1-${family}`, clusterIP(22, family), 8080, { ip: addressOf(1, family), port: 80 }, 30082),
  service(`API-${family}`, clusterIP(1, family), 443, { ip: server[family], port: 6443 }),
];

beforeAll(async () => {
  await bed.up([shut(), blue]);
  shut0 = await bed.pod('shut', 0);
  shut1 = await bed.pod('shut', 1);
  blue0 = await bed.pod('blue', 0);
  docker0 = await bed.pod('shut', 0, { half: 'docker' });
  process0 = await bed.process(0);
  process1 = await bed.process(1, [80, 6443]);
  outside = await bed.outside();
  for (const node of bed.wire.nodes) await proxy(node, families.flatMap(services));
});
afterAll(() => bed.down());
beforeEach(() => bed.apply([shut(), blue]));

test('containers reach no process of another node at any of its addresses, and no packet is delivered', async () => {
  const delivered = bed.delivered[1]!;
  await delivered.reset();
  const everywhere = {
    4: [addressOf(1, 4), '44.128.0.2', '9.1.1.1', '9.2.1.1'],
    6: [addressOf(1, 6), 'fd01:a::2', 'fd01:1::1:0:0:1', 'fd01:2::1:0:0:1'],
  };
  for (const family of families) {
    const reached = await Promise.all(
      [shut0, docker0].flatMap(({ prober }) => everywhere[family].map((to) => briefly(prober, to))),
    );
    expect(reached).toEqual(reached.map(() => false));
    expect(await delivered.from(shut0.ip[family], docker0.ip[family])).toBe(0);
    expect(await tries(blue0.prober, addressOf(1, family))).toBe(true);
    expect(await delivered.from(blue0.ip[family])).toBeGreaterThan(0);
  }
});

test('no Service leads to them, on any translating node, masqueraded or not', async () => {
  const ways = (family: Family): [string, number][] => [
    [clusterIP(22, family), 8080],
    ...[0, 1].map((node): [string, number] => [addressOf(node, family), 30082]),
  ];
  await bed.delivered[1]!.reset();
  for (const family of families) {
    const reached = await Promise.all(
      [shut0, docker0].flatMap(({ prober }) =>
        ways(family).map(([to, port]) => briefly(prober, to, port, ['tcp'])),
      ),
    );
    expect(reached).toEqual(reached.map(() => false));
  }
  // masqueraded packets have their node's address; UDP packets are the tunnel's
  expect([...(await bed.delivered[1]!.seen()).keys()].filter((what) => what.endsWith(' tcp'))).toEqual([]);
  for (const family of families) {
    for (const [to, port] of ways(family)) expect(await tries(blue0.prober, to, port, ['tcp'])).toBe(true);
    // a process of the own node is still reachable
    expect(await tries(process0, clusterIP(22, family), 8080, ['tcp'])).toBe(true);
  }
});

test('no process of another node reaches containers: directly, through a Service, or a NodePort of their node', async () => {
  await shut0.delivered.reset();
  for (const family of families) {
    const reached = await Promise.all([
      briefly(process1, shut0.ip[family]!),
      briefly(process1, docker0.ip[family]!),
      bed
        .node(1)
        .try(`ping -n -q -c 1 -W 1 ${shut0.ip[family]!}`)
        .then(({ code }) => code === 0),
      briefly(process1, clusterIP(20, family), 8080, ['tcp']),
      briefly(process1, addressOf(0, family), 30080, ['tcp']),
      briefly(process1, addressOf(1, family), 30080, ['tcp']),
    ]);
    expect(reached).toEqual(reached.map(() => false));
    // an open network is reachable
    expect(await tries(process1, blue0.ip[family]!)).toBe(true);
    expect(await tries(process1, clusterIP(21, family), 8080, ['tcp'])).toBe(true);
    expect(await tries(process1, addressOf(0, family), 30081, ['tcp'])).toBe(true);
  }
  expect(await shut0.delivered.seen()).toEqual(new Map());
});

test('the own node and its containers reach each other, also through Services', async () => {
  for (const family of families) {
    for (const { prober, ip } of [shut0, docker0]) {
      expect(await tries(process0, ip[family]!)).toBe(true);
      expect(await tries(prober, addressOf(0, family))).toBe(true);
    }
    expect(await tries(process0, clusterIP(20, family), 8080, ['tcp'])).toBe(true);
  }
});

test('containers of the network reach each other on one node and on two, through Services and any NodePort', async () => {
  for (const family of families) {
    expect(await tries(shut0.prober, shut1.ip[family]!)).toBe(true);
    expect(await tries(shut1.prober, docker0.ip[family]!)).toBe(true);
    expect(await tries(shut1.prober, clusterIP(20, family), 8080, ['tcp'])).toBe(true);
    // the hairpin case
    expect(await tries(shut0.prober, clusterIP(20, family), 8080, ['tcp'])).toBe(true);
    for (const node of [0, 1]) {
      expect(await tries(shut0.prober, addressOf(node, family), 30080, ['tcp'])).toBe(true);
      expect(await tries(shut1.prober, addressOf(node, family), 30080, ['tcp'])).toBe(true);
    }
  }
});

test('a NodePort of another node does not lead to a network that is not allowed', async () => {
  await blue0.delivered.reset();
  for (const family of families) {
    for (const node of [0, 1]) {
      expect(await briefly(shut0.prober, addressOf(node, family), 30081, ['tcp'])).toBe(false);
    }
  }
  expect(await blue0.delivered.seen()).toEqual(new Map());
});

test('outside hosts are not affected: they reach the network through NodePorts of any node', async () => {
  for (const family of families) {
    expect(await tries(shut0.prober, family === 4 ? '172.17.9.9' : 'fd00:17::99')).toBe(true);
    for (const node of [0, 1]) {
      expect(await tries(outside, addressOf(node, family), 30080, ['tcp'])).toBe(true);
    }
  }
});

test("a container behind another node's NAT cannot bypass hosts: Deny", async () => {
  const [node, behind] = [bed.node(1), await bed.wire.create()];
  await node.sh('ip link add ovt-nat type bridge');
  await node.sh('ip addr add 192.168.77.1/24 dev ovt-nat');
  await node.sh('ip addr add fd00:77::1/64 dev ovt-nat nodad');
  await node.sh(`ip link add ovt-nat0 type veth peer name eth0 netns ${behind.pid}`);
  await node.sh('ip link set ovt-nat0 master ovt-nat up');
  await node.sh('ip link set ovt-nat up');
  await behind.sh('ip link set eth0 up');
  await behind.sh('ip addr add 192.168.77.2/24 dev eth0');
  await behind.sh('ip addr add fd00:77::2/64 dev eth0 nodad');
  await behind.sh('ip route add default via 192.168.77.1');
  await behind.sh('ip -6 route add default via fd00:77::1');
  const nat = (source: string) => `-t nat -A POSTROUTING -s ${source} ! -o ovt-nat -j MASQUERADE`;
  await node.sh(`iptables-nft ${nat('192.168.77.0/24')}`);
  await node.sh(`ip6tables-nft ${nat('fd00:77::/64')}`);
  const prober = await Prober.start(behind);
  try {
    await shut0.delivered.reset();
    for (const family of families) {
      expect(await tries(prober, blue0.ip[family]!)).toBe(true);
      expect(await briefly(prober, shut0.ip[family]!)).toBe(false);
      expect(await briefly(prober, docker0.ip[family]!)).toBe(false);
    }
    expect(await shut0.delivered.from('44.128.0.2', 'fd01:a::2')).toBe(0);
    // connections that were permitted end
    await bed.apply([shut({ hosts: 'Allow' }), blue]);
    for (const family of families) expect(await prober.ask('hold', shut0.ip[family]!)).toBeDefined();
    await bed.apply([shut(), blue]);
    for (const family of families)
      expect(await prober.ask('say', shut0.ip[family]!, 80, 700)).toBeUndefined();
  } finally {
    await prober.stop();
  }
});

test('another node’s ICMP errors about a connection arrive: they are related, not new', async () => {
  const { stdout } = await shut0.netns.try('ping -n -c 1 -W 5 9.1.1.100');
  expect(stdout).toMatch(/^From 44.128.0.2 .*Destination Host Unreachable/m);
});

test('nodes and containers reach each other with hosts: Allow', async () => {
  await bed.apply([shut({ hosts: 'Allow' }), blue]);
  for (const family of families) {
    expect(await tries(process1, shut0.ip[family]!)).toBe(true);
    expect(await tries(shut0.prober, addressOf(1, family))).toBe(true);
    expect(await briefly(shut0.prober, blue0.ip[family]!)).toBe(false);
  }
});

describe('allowAPIServer', () => {
  const api = async (from: Prober, family: Family, ms?: number) => [
    await tries(from, clusterIP(1, family), 443, ['tcp'], ms),
    await tries(from, server[family], 6443, ['tcp'], ms),
  ];

  test('lets containers reach the API server on another node, and nothing else there', async () => {
    for (const family of families) {
      for (const { prober } of [shut0, docker0])
        expect(await api(prober, family, 700)).toEqual([false, false]);
    }
    await bed.apply([shut({ allowAPIServer: true }), blue], { apiServers });
    for (const family of families) {
      expect(await api(shut0.prober, family)).toEqual([true, true]);
      expect(await api(docker0.prober, family)).toEqual([true, true]);
      expect(await briefly(shut0.prober, server[family], 80)).toBe(false);
      expect(await briefly(shut0.prober, server[family], 6443, ['udp'])).toBe(false);
      expect(await briefly(docker0.prober, clusterIP(22, family), 8080, ['tcp'])).toBe(false);
    }
  });

  test('when it is removed, connections to the API server end, and the own node’s probes continue', async () => {
    await bed.apply([shut({ allowAPIServer: true }), blue], { apiServers });
    for (const family of families) {
      for (const { prober } of [shut0, docker0])
        expect(await prober.ask('hold', clusterIP(1, family), 443)).toBeDefined();
      expect(await process0.ask('hold', shut0.ip[family]!)).toBeDefined();
    }
    await bed.apply([shut(), blue], { apiServers });
    for (const family of families) {
      for (const { prober } of [shut0, docker0])
        expect(await prober.ask('say', clusterIP(1, family), 443, 700)).toBeUndefined();
      expect(await process0.ask('say', shut0.ip[family]!, 80, 10_000)).toBeDefined();
    }
  });
});

test('hosts: Deny ends only the connections between containers and other nodes', async () => {
  await bed.apply([shut({ hosts: 'Allow' }), blue]);
  for (const family of families) {
    expect(await process1.ask('hold', shut0.ip[family]!)).toBeDefined();
    expect(await shut0.prober.ask('hold', addressOf(1, family))).toBeDefined();
    expect(await shut0.prober.ask('hold', addressOf(0, family))).toBeDefined();
    expect(await shut1.prober.ask('hold', shut0.ip[family]!)).toBeDefined();
  }
  await bed.apply([shut(), blue]);
  for (const family of families) {
    expect(await process1.ask('say', shut0.ip[family]!, 80, 700)).toBeUndefined();
    expect(await shut0.prober.ask('say', addressOf(1, family), 80, 700)).toBeUndefined();
    expect(await shut0.prober.ask('say', addressOf(0, family), 80, 10_000)).toBeDefined();
    expect(await shut1.prober.ask('say', shut0.ip[family]!, 80, 10_000)).toBeDefined();
  }
});

test('both iptables backends list the same rules, and these decide alike', async () => {
  const networks = [shut({ allowAPIServer: true }), blue];
  for (const backend of ['nft', 'legacy']) {
    if (backend === 'legacy') {
      for (const node of bed.wire.nodes) await node.sh('iptables-legacy -t mangle -N KUBE-IPTABLES-HINT');
    }
    await bed.apply(networks, { apiServers });
    for (const { changes } of await bed.apply(networks, { apiServers })) expect(changes).toBe(0);
    expect(await bed.node(0).sh(`iptables-${backend}-save -t mangle`)).toContain(
      '--match-set overlaynet-api-4',
    );
    for (const family of families) {
      expect(await tries(shut0.prober, server[family], 6443, ['tcp'])).toBe(true);
      expect(await briefly(process1, shut0.ip[family]!)).toBe(false);
      expect(await briefly(shut0.prober, blue0.ip[family]!)).toBe(false);
    }
  }
});
