import { Host } from '../../src/host/host.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Prober } from '../support/prober.ts';
import { proxy } from '../support/services.ts';
import type { Netns } from '../support/netns.ts';
import { sourceSeen, Wire } from '../support/wire.ts';

// Other programs masquerade beside us. Packets directly between overlays, or between an overlay and a node, keep their
// source.

const wire = new Wire();
const probers: Prober[] = [];
let node0: Netns, node1: Netns, c0: Netns, near: Netns, c1: Netns, d0: Netns, d1: Netns;
let asking: Prober, asking6: Prober;

const far = '9.0.1.2';
const far6 = 'fd01:b::1:0:0:2';
const [node1IP = '', node1IP6 = ''] = nodeAddresses(1);

beforeAll(async () => {
  await wire.up('IPv4');
  [node0, node1] = wire.nodes as [Netns, Netns];
  c0 = await wire.container(node0, 'm-dcos', '9.0.0.2/25', '9.0.0.1');
  near = await wire.container(node0, 'm-dcos', '9.0.0.3/25', '9.0.0.1');
  c1 = await wire.container(node1, 'm-dcos', '9.0.1.2/25', '9.0.1.1');
  d0 = await wire.container(node0, 'm-dcos6', 'fd01:b::2/81', 'fd01:b::1');
  d1 = await wire.container(node1, 'm-dcos6', 'fd01:b::1:0:0:2/81', 'fd01:b::1:0:0:1');
  for (const netns of [c1, d1, near, node1]) probers.push(await Prober.start(netns));
  asking = await Prober.start(c0, [81]);
  asking6 = await Prober.start(d0, [81]);
  probers.push(asking, asking6);
});
afterAll(async () => {
  for (const prober of probers) await prober.stop();
  await wire.down();
});

/** The rules that kubernetes-sigs/ip-masq-agent 2.12 writes with --enable-ipv6 and its default ranges. */
function ipMasqAgent(family: 4 | 6): string {
  const nonMasquerade =
    family === 4 ? ['169.254.0.0/16', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'] : ['fe80::/10'];
  const comment = (text: string) => `-m comment --comment "ip-masq-agent: ${text}"`;
  return [
    '*nat',
    ':IP-MASQ-AGENT - [0:0]',
    `-A POSTROUTING ${comment('ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom IP-MASQ-AGENT chain')} -m addrtype ! --dst-type LOCAL -j IP-MASQ-AGENT`,
    ...nonMasquerade.map(
      (cidr) =>
        `-A IP-MASQ-AGENT ${comment('local traffic is not subject to MASQUERADE')} -d ${cidr} -j RETURN`,
    ),
    `-A IP-MASQ-AGENT ${comment('outbound traffic is subject to MASQUERADE (must be last in chain)')} -j MASQUERADE --random-fully`,
    'COMMIT',
    '',
  ].join('\n');
}

const iptables = (family: 4 | 6) => (family === 4 ? 'iptables-nft' : 'ip6tables-nft');

/** Adds the rules to both nodes' table nat; the agents then make a pass. */
async function beside(rules: (family: 4 | 6) => string): Promise<void> {
  for (const [index, node] of wire.nodes.entries()) {
    for (const family of [4, 6] as const)
      await node.sh(`${iptables(family)}-restore --noflush`, rules(family));
    const { failures } = await new DataPath({ log: silent, run: node.run }).reconcile(cluster(2, index));
    expect(failures).toEqual([]);
  }
}

/** removes foreign rules */
afterEach(async () => {
  for (const node of wire.nodes) {
    for (const family of [4, 6] as const) {
      await node.sh(`${iptables(family)} -t nat -F`);
      await node.sh(`${iptables(family)} -t nat -X`);
    }
  }
});

const byHand = (rule: string) => () => `*nat\n-I POSTROUTING 1 ${rule}\nCOMMIT\n`;
const restricted = (v4: string, v6: string) => (family: 4 | 6) => byHand(family === 4 ? v4 : v6)();

describe.each<[string, (family: 4 | 6) => string]>([
  ['ip-masq-agent', ipMasqAgent],
  ['a rule that masquerades everything', byHand('-j MASQUERADE')],
  [
    "a rule for the overlay's subnet, put ahead of ours",
    restricted('-s 9.0.0.0/8 -j MASQUERADE', '-s fd01:b::/64 -j MASQUERADE'),
  ],
  [
    'a rule for all but the private ranges',
    restricted('! -d 10.0.0.0/8 -j MASQUERADE', '! -d fc00::/8 -j MASQUERADE'),
  ],
  [
    'a foreign chain, ahead of ours',
    () => '*nat\n:SITE - [0:0]\n-A SITE -j MASQUERADE\n-I POSTROUTING 1 -j SITE\nCOMMIT\n',
  ],
])('beside %s', (_, rules) => {
  beforeEach(() => beside(rules));

  test('containers of two nodes see each other', async () => {
    expect(await sourceSeen(c0, far, c1, 'eth0')).toBe('9.0.0.2');
    expect(await sourceSeen(d0, far6, d1, 'eth0')).toBe('fd01:b::2');
    expect(await asking.ask('tcp', far)).toBe('9.0.0.2');
    expect(await asking6.ask('udp', far6)).toBe('fd01:b::2');
  });

  test('containers of one node see each other', async () => {
    expect(await asking.ask('tcp', '9.0.0.3')).toBe('9.0.0.2');
  });

  test('a node sees the containers of another', async () => {
    expect(await sourceSeen(c0, node1IP, node1, 'vtep1024')).toBe('9.0.0.2');
    expect(await sourceSeen(d0, node1IP6, node1, 'vtep1024')).toBe('fd01:b::2');
  });

  test('containers see the node’s address when it connects', async () => {
    expect(await sourceSeen(node0, far, c1, 'eth0')).toBe('44.128.0.1');
    expect(await sourceSeen(node0, far6, d1, 'eth0')).toBe('fd01:a::1');
  });

  test('outside hosts see the node’s address', async () => {
    expect(await sourceSeen(c0, '172.17.9.9', wire.outside, 'eth0')).toBe(nodeAddresses(0)[0]);
  });
});

test('a masquerading chain in an nftables table is reported, and the reported command repairs it', async () => {
  const rules = 'chain post { type nat hook postrouting priority 100; ip saddr 9.0.0.0/8 masquerade\n }';
  await node0.sh('nft -f -', `table ip ovt-site { ${rules}\n }`);
  try {
    await beside(() => '');
    expect(await sourceSeen(c0, far, c1, 'eth0')).toBe('44.128.0.1');
    const host = new Host({ log: silent, run: node0.run, links: node0.links, sysctls: '/nonexistent' });
    const told = async () => {
      await host.look(cluster(2, 0));
      return host.problems.filter(({ reason }) => reason === 'Masquerades').map(({ message }) => message);
    };
    const [text = '', ...more] = await told();
    expect(more).toEqual([]);
    for (const [command] of text.matchAll(/nft insert rule [^;]*/g))
      await node0.sh(command.replaceAll('"', ''));
    expect(await told()).toEqual([]);
    expect(await sourceSeen(c0, far, c1, 'eth0')).toBe('9.0.0.2');
  } finally {
    await node0.sh('nft delete table ip ovt-site');
  }
});

describe('beside ip-masq-agent and kube-proxy', () => {
  const http = (name: string, ip: string, to: string, nodePort: number) =>
    ({ name, ip, protocol: 'tcp', port: 80, to: { ip: to, port: 80 }, nodePort }) as const;
  const services = [
    http('FAR', '10.96.0.1', far, 30080),
    http('SELF', '10.96.0.2', '9.0.0.2', 30081),
    http('FAR6', 'fd00:96::1', far6, 30082),
  ];
  let self: Prober;
  beforeAll(async () => {
    // a container's port returns packets that the container sends to itself
    for (const port of node0.links())
      if (/^c\d/.test(port)) await node0.sh(`bridge link set dev ${port} hairpin on`);
    self = await Prober.start(c0);
    probers.push(self);
  });
  beforeEach(async () => {
    await beside(ipMasqAgent);
    for (const node of wire.nodes) await proxy(node, services);
  });

  test('a container on another node sees the client’s address through its Service', async () => {
    expect(await asking.ask('tcp', '10.96.0.1')).toBe('9.0.0.2');
    expect(await asking6.ask('tcp', 'fd00:96::1')).toBe('fd01:b::2');
  });

  test('packets that kube-proxy marks are still masqueraded; otherwise the answer would take another way', async () => {
    // the container itself through its Service, a NodePort of another node, and the node's own processes
    expect(await self.ask('tcp', '10.96.0.2')).toBe('9.0.0.1');
    expect(await asking.ask('tcp', node1IP, 30080)).toBe('9.0.1.1');
    expect(await asking6.ask('tcp', node1IP6, 30082)).toBe('fd01:b::1:0:0:1');
  });
});
