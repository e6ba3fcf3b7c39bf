import { DataPath } from '../../src/linux/datapath.ts';
import { lookAt } from '../../src/linux/look.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

// What a pass would change; reporting it changes nothing.

const networks = [
  { name: 'a', subnets: [{ cidr: '9.1.0.0/16', prefix: 24 }], isolation: { mode: 'Isolated' as const } },
];
const snapshot = cluster(2, 0, { networks, vtepSubnets: ['44.128.0.0/20'] });
let node: Netns;

beforeAll(async () => {
  node = await Netns.create();
  await node.sh('ip link add eth0 type veth peer name eth1');
  await node.sh('ip addr add 172.17.0.2/16 dev eth0');
  await node.sh('ip link set eth1 up');
  await node.sh('ip link set eth0 up');
});
afterAll(() => node.delete());

const pass = () => new DataPath({ log: silent, run: node.run, sysctl: node.readSwitch }).reconcile(snapshot);
const look = () =>
  lookAt(
    { run: node.run, sysctl: node.readSwitch, attachments: () => ({ attachments: [], problems: [] }) },
    snapshot,
  );

test('every difference is reported before the first pass', async () => {
  const { differences, problems } = await look();
  expect(problems).toEqual([]);
  expect(new Set(differences.map(({ is }) => is))).toEqual(new Set(['Missing']));
  // objects that depend on the tunnel's link are not reported separately
  expect([...new Set(differences.map(({ kind }) => kind))].sort()).toEqual([
    'Chain',
    'Link',
    'Route',
    'Rule',
    'Set',
    'Table',
  ]);
});

describe('after a pass', () => {
  beforeEach(async () => {
    expect(await pass()).toMatchObject({ failures: [] });
    expect(await look()).toEqual({ differences: [], problems: [] });
  });

  test.each([
    ['ip link del m-a', 'Missing Link m-a a'],
    ['ip link set m-a down', 'Wrong Link m-a a'],
    ['ip link set vtep1024 mtu 1300', 'Wrong Link vtep1024'],
    ['ip addr add 9.9.9.9/32 dev m-a', 'Foreign Address 9.9.9.9/32 on m-a a'],
    ['ip addr del 9.1.0.1/25 dev m-a', 'Missing Address 9.1.0.1/25 on m-a a'],
    ['ip neigh del 44.128.0.2 dev vtep1024', 'Missing Neighbour 44.128.0.2'],
    [
      'ip neigh replace 44.128.0.2 lladdr 02:00:00:00:00:01 dev vtep1024 nud permanent',
      'Wrong Neighbour 44.128.0.2',
    ],
    [
      'ip neigh add 44.128.0.9 lladdr 02:00:00:00:00:01 dev vtep1024 nud permanent',
      'Foreign Neighbour 44.128.0.9',
    ],
    ['bridge fdb del 70:b3:d5:80:00:02 dev vtep1024', 'Missing FDB 70:b3:d5:80:00:02'],
    [
      'bridge fdb replace 70:b3:d5:80:00:02 dev vtep1024 dst 172.17.0.9 self permanent',
      'Wrong FDB 70:b3:d5:80:00:02',
    ],
    [
      'bridge fdb add 02:00:00:00:00:01 dev vtep1024 dst 172.17.0.9 self permanent',
      'Foreign FDB 02:00:00:00:00:01',
    ],
    ['ip route del 9.1.1.0/24', 'Missing Route 9.1.1.0/24 table 254 metric 0 a'],
    ['ip route add unreachable 9.77.0.0/24 proto 142', 'Foreign Route 9.77.0.0/24 table 254 metric 0'],
    ['ip rule add to 9.77.0.0/24 table 42 priority 142 protocol 142', /^Foreign Rule .*9\.77\.0\.0/],
    ['ipset del overlaynet-members-4 172.17.0.3', 'Missing Set overlaynet-members-4 172.17.0.3'],
    ['ipset add overlaynet-members-4 172.17.0.9', 'Foreign Set overlaynet-members-4 172.17.0.9'],
    ['ipset create overlaynet-odd hash:net', 'Foreign Set overlaynet-odd'],
    ['iptables-nft -t mangle -F OVERLAYNET-FORWARD', /Wrong Chain iptables-nft mangle OVERLAYNET-FORWARD/],
    [
      'iptables-nft -t mangle -A OVERLAYNET-FORWARD -j DROP',
      /Wrong Chain iptables-nft mangle OVERLAYNET-FORWARD/,
    ],
    ['iptables-nft -t mangle -D FORWARD -j OVERLAYNET-FORWARD', /Missing Chain iptables-nft mangle FORWARD/],
    ['iptables-nft -t nat -N OVERLAYNET-ODD', undefined],
    ['nft delete table bridge overlaynet', /Missing Table bridge overlaynet/],
    ['nft add chain bridge overlaynet odd', /Foreign Table bridge overlaynet odd/],
  ])('%s', async (damage, named) => {
    await node.sh(damage);
    const { differences, problems } = await look();
    expect(problems).toEqual([]);
    const told = differences.map(({ is, kind, object, network = '' }) =>
      `${is} ${kind} ${object} ${network}`.trim(),
    );
    if (named === undefined) expect(told).toEqual([]);
    else if (typeof named === 'string') expect(told).toContain(named);
    else expect(told.some((one) => named.test(one))).toBe(true);
    // reporting has repaired nothing
    expect((await look()).differences).toEqual(differences);
    if (named !== undefined) expect((await pass()).changes).toBeGreaterThan(0);
  });

  test('foreign objects in the place of ours are named with a remedy', async () => {
    await node.sh('ip link set m-a alias other');
    const { differences } = await look();
    expect(differences).toContainEqual(
      expect.objectContaining({ is: 'Foreign', kind: 'Link', object: 'm-a', network: 'a' }),
    );
    await node.sh('ip link set m-a alias overlaynet');
  });
});
