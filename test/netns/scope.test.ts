import { DataPath } from '../../src/linux/datapath.ts';
import type { Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

let netns: Netns;
let path: DataPath;
const programs = new Set<string>();

beforeEach(async () => {
  netns = await Netns.create();
  const run: Run = (program, ...rest) => {
    programs.add(program);
    return netns.run(program, ...rest);
  };
  path = new DataPath({ log: silent, run });
  await netns.sh('ip link add eth0 type veth peer name wire');
  await netns.sh(`ip addr add ${nodeAddresses(0)[0]!}/16 dev eth0`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
  await path.reconcile(cluster(3, 0));
  programs.clear();
});
afterEach(() => netns.delete());

test('a pass over links reads no set and no rule while the links are right', async () => {
  expect(await path.reconcile(cluster(3, 0), 'links')).toMatchObject({ changes: 0, failures: [] });
  expect([...programs].sort()).toEqual(['bridge', 'ip']);
});

test('a pass over links that finds one missing restores rules, too: guards come before links', async () => {
  await netns.sh('ip link del vtep1024');
  await netns.sh('iptables-nft -t mangle -F');
  const { failures } = await path.reconcile(cluster(3, 0), 'links');
  expect(failures).toEqual([]);
  expect(await netns.sh('ip route show 9.0.1.0/24')).toContain('via 44.128.0.2');
  expect(await netns.sh('iptables-nft-save -t mangle')).toContain('-j OVERLAYNET-INPUT');
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ changes: 0 });
});

test.each([
  'ip neigh del 44.128.0.2 dev vtep1024',
  'ip route del 9.0.2.0/24',
  'ip rule del pref 143 from 9.0.0.0/8',
])('a pass over links repairs what depends on links: %s', async (command) => {
  await netns.sh(command);
  expect((await path.reconcile(cluster(3, 0), 'links')).changes).toBeGreaterThan(0);
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ changes: 0 });
});

test('a fault of the desired state is reported in every pass', async () => {
  const lonely = cluster(3, 0, { vtepSubnets: ['44.128.0.0/20'] });
  const { failures } = await path.reconcile(lonely);
  expect(failures).toHaveLength(1);
  expect(await path.reconcile(lonely, 'links')).toMatchObject({ changes: 0, failures });
});

const flushed = {
  object: expect.stringMatching(/^-A [A-Z]+ .*-j OVERLAYNET-/) as string,
  command: expect.stringMatching(/^ip6?tables-(nft|legacy) -t mangle -S [A-Z]+$/) as string,
  output: expect.stringContaining(' ACCEPT') as string,
};

describe('flushed rules are noticed without reading all of them', () => {
  test.each([
    'iptables-nft -t mangle -F',
    'ip6tables-nft -t mangle -F',
    'nft flush ruleset',
    'nft delete table ip mangle',
  ])('%s', async (command) => {
    expect(await path.loss()).toBeUndefined();
    await netns.sh(command);
    expect(await path.loss()).toMatchObject(flushed);
    expect(
      [...programs].filter(
        (program) => /-save|nft$|ipset/.test(program) && !/^ip6?tables-nft$/.test(program),
      ),
    ).toEqual([]);
    await path.reconcile(cluster(3, 0));
    expect(await path.loss()).toBeUndefined();
  });

  test('in the legacy backend, too', async () => {
    await netns.sh('iptables-legacy -t mangle -N KUBE-IPTABLES-HINT');
    await path.reconcile(cluster(3, 0));
    expect(await path.loss()).toBeUndefined();
    await netns.sh('iptables-legacy -t mangle -F');
    expect(await path.loss()).toMatchObject(flushed);
  });

  test('an unreadable table does not count as flushed', async () => {
    await netns.sh('nft add chain ip mangle others');
    await netns.sh('nft -f -', 'add rule ip mangle others ct state vmap { established : accept }\n');
    await path.reconcile(cluster(3, 0));
    expect(await path.loss()).toBeUndefined();
  });
});
