import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

let netns: Netns;
let path: DataPath;

beforeEach(async () => {
  netns = await Netns.create();
  path = new DataPath({ log: silent, run: netns.run, sysctl: netns.readSwitch });
  await netns.sh('ip link add eth0 type veth peer name wire');
  await netns.sh(`ip addr add ${nodeAddresses(0)[0]!}/16 dev eth0`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
});
afterEach(() => netns.delete());

const switchIPv6 = async (value: 0 | 1): Promise<void> => {
  await netns.sh(`sysctl -qw net.ipv6.conf.all.disable_ipv6=${value}`);
};

const uncarried = (network: string, why: string) => ({
  network,
  message: `this node has no IPv6 (${why}) and carries nothing of the network that needs it`,
  lasting: true,
});

const carriesIPv4 = async (): Promise<void> => {
  expect(await netns.sh('ip addr show m-dcos')).toContain('9.0.0.1/25');
  expect(await netns.sh('ip route show 9.0.2.0/24')).toContain('via 44.128.0.3');
  expect(await netns.sh('ip neigh show dev vtep1024 nud permanent')).toContain('44.128.0.3');
  expect(await netns.sh('ip rule show')).toContain('from 9.0.0.0/8');
  expect(await netns.sh('iptables-nft-save -t filter')).toContain('OVERLAYNET-FORWARD');
};

test('a node without IPv6 carries its IPv4 networks, and reports those that it cannot carry', async () => {
  await switchIPv6(1);
  const failures = [uncarried('dcos6', 'net.ipv6.conf.default.disable_ipv6 is 1')];
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ failures });
  await carriesIPv4();
  // these rules take effect if IPv6 is switched on
  expect(await netns.sh('ip6tables-nft-save -t filter')).toContain('OVERLAYNET-FORWARD');
  const again = [uncarried('dcos6', 'net.ipv6.conf.vtep1024.disable_ipv6 is 1')];
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ changes: 0, failures: again });
});

test('a node without IPv6 carries IPv4 networks without a report, although VTEPs have IPv6 addresses', async () => {
  await switchIPv6(1);
  const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] }];
  expect(await path.reconcile(cluster(3, 0, { networks }))).toMatchObject({ failures: [] });
  await carriesIPv4();
});

test('of a dual-stack network the IPv4 half is carried, and the missing half is reported', async () => {
  await switchIPv6(1);
  const subnets = [
    { cidr: '9.0.0.0/8', prefix: 24 },
    { cidr: 'fd01:b::/64', prefix: 80 },
  ];
  const { failures } = await path.reconcile(cluster(3, 0, { networks: [{ name: 'dcos', subnets }] }));
  expect(failures).toEqual([uncarried('dcos', 'net.ipv6.conf.default.disable_ipv6 is 1')]);
  await carriesIPv4();
});

test('a node without IPv6 carries no network if VTEPs have only IPv6 addresses', async () => {
  await switchIPv6(1);
  const { failures } = await path.reconcile(cluster(3, 0, { vtepSubnets: ['fd01:a::/64'] }));
  expect(new Set(failures.map(({ network }) => network))).toEqual(new Set(['dcos', 'dcos6']));
});

test('switching IPv6 off does not affect IPv4, and IPv6 comes back completely', async () => {
  const shown = async () => [
    await netns.sh('ip -o addr show scope global'),
    await netns.sh('ip route show proto 142'),
    await netns.sh('ip -6 route show proto 142'),
    await netns.sh('ip neigh show nud permanent'),
    await netns.sh('ip -6 rule show'),
  ];
  await path.reconcile(cluster(3, 0));
  const before = await shown();
  await switchIPv6(1);
  expect((await path.reconcile(cluster(3, 0))).failures).toHaveLength(1);
  await carriesIPv4();
  await switchIPv6(0);
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ failures: [] });
  expect(await shown()).toEqual(before);
});

test('a pass uses no IPv6 command on a kernel without IPv6', async () => {
  const asked: string[] = [];
  const kernel = new DataPath({
    log: silent,
    sysctl: () => Promise.resolve(undefined),
    run: (program, args, options) => {
      const text = `${program} ${args.join(' ')} ${options?.input ?? ''}`;
      if (!/^ip6tables-|-save |show$|^ip -6 .* rule show/.test(text)) asked.push(text);
      const mute = program.startsWith('ip6tables') || args[0] === '-6';
      return mute
        ? Promise.resolve({ stdout: '', stderr: 'Address family not supported by protocol', code: 1 })
        : netns.run(program, args, options);
    },
  });
  const isolation = { mode: 'Isolated' } as const;
  const networks = [
    { name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }], isolation },
    { name: 'dcos6', subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }], isolation },
  ];
  const { failures } = await kernel.reconcile(cluster(3, 0, { networks }));
  expect(failures).toEqual([uncarried('dcos6', 'its kernel has none')]);
  await carriesIPv4();
  const ofIPv6 = asked.flatMap((text) =>
    text.split('\n').filter((line) => /fd0|inet6|ipv6 |addrgenmode/.test(line)),
  );
  expect(ofIPv6).toEqual([]);
});
