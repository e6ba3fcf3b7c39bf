import type { DataPath } from '../../src/linux/datapath.ts';
import { cluster } from '../support/cluster.ts';
import type { Netns } from '../support/netns.ts';
import { messagesOf, settled, withDataPath } from '../support/uplinked.ts';

let netns: Netns;
let path: DataPath;

withDataPath((own, fresh) => {
  netns = own;
  path = fresh;
});

/** Returns all kernel state that we change, without counters and link indices. */
async function everything(): Promise<Record<string, string[]>> {
  const shows = [
    'ip -o address show',
    'ip -o link show',
    'ip neigh show nud permanent',
    'bridge fdb show',
    'ip nexthop show',
    'ip route show table all',
    'ip rule show',
    'ip -6 rule show',
    'ipset save',
    ...['nft', 'legacy'].flatMap((backend) => [`iptables-${backend}-save`, `ip6tables-${backend}-save`]),
  ];
  const shown: Record<string, string[]> = {};
  for (const command of shows) {
    const text = await netns.sh(command);
    // comments contain the time, empty tables and built-in chains stay, and link-local addresses appear at any time
    const passing = /^(#|\*|COMMIT|:[A-Z]+ ACCEPT)|fe80:|ff00::|ff02::|^33:33:/;
    const lines = text.split('\n').filter((line) => !passing.test(line));
    shown[command] = lines.map((line) => line.replace(/^\d+: |\[\d+:\d+\]| initval \S+/g, '').trim()).sort();
  }
  return shown;
}

/** Adds objects of other programs, as similar to ours as possible. */
async function addForeign(): Promise<void> {
  const commands = [
    'ip link add m-mine type bridge',
    'ip link set m-mine up',
    'ip addr add 10.50.0.1/24 dev m-mine',
    'ip link add flannel.1 type vxlan id 1 dstport 8472 local 172.17.0.2 nolearning',
    'ip link set flannel.1 up',
    'ip addr add 10.60.0.1/24 dev flannel.1',
    'ip neigh add 10.60.0.2 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent',
    'bridge fdb add 02:00:00:00:00:02 dev flannel.1 dst 172.17.0.3 self permanent',
    'ip nexthop add id 7 via 10.60.0.2 dev flannel.1 protocol static',
    'ip route add 10.61.0.0/24 nhid 7 proto static',
    'ip route add 9.0.0.0/8 via 172.17.9.9 metric 7 proto static',
    'ip route add 172.17.0.9 via 172.17.9.9 table 42 proto static',
    'ip rule add from 9.0.0.0/8 lookup 42 pref 142',
    'ip rule add from 10.0.0.0/8 lookup 42 pref 142',
    'ip -6 rule add from fd01:b::/64 lookup 43 pref 142',
    'ipset create others hash:net family inet',
    'ipset add others 9.0.0.0/8',
  ];
  for (const command of commands) await netns.sh(command);
  const rules = '*nat\n:KUBE-POSTROUTING - [0:0]\n-A POSTROUTING -j KUBE-POSTROUTING\nCOMMIT\n';
  await netns.sh(
    'iptables-nft-restore --noflush',
    `${rules}*mangle\n-A INPUT -s 10.7.0.0/16 -j ACCEPT\nCOMMIT\n`,
  );
  await netns.sh('ip6tables-nft-restore --noflush', rules);
}

test('a clean node converges in one run, and a second one changes nothing', async () => {
  const first = await path.reconcile(cluster(3, 0));
  expect(first).toMatchObject({ failures: [] });
  expect(first.changes).toBeGreaterThan(0);
  expect(await path.reconcile(cluster(3, 0))).toMatchObject(settled);
});

test('a dirty start converges: right objects stay, wrong ones are corrected, stale ones removed, foreign ones kept', async () => {
  await path.reconcile(cluster(4, 0));
  await addForeign();
  const expected = await everything();
  const dirt = [
    // wrong
    'ip neigh replace 44.128.0.2 lladdr 02:00:00:00:00:99 dev vtep1024 nud permanent',
    'ip neigh replace fd01:a::2 lladdr 70:b3:d5:80:00:02 dev vtep1024 nud stale',
    'bridge fdb replace 70:b3:d5:80:00:03 dev vtep1024 dst 172.17.0.99 self permanent',
    'bridge fdb replace 70:b3:d5:80:00:04 dev vtep1024 dst 172.17.0.5 port 4789 self permanent',
    'ip nexthop replace id 1870659587 via 44.128.0.77 dev vtep1024 protocol 142',
    'ip route replace 9.0.3.0/24 nhid 1870659586 proto 142',
    'ip route replace 9.0.2.0/24 dev lo proto 142',
    'ip route del unreachable 9.0.0.0/8 table 254 metric 4294967295',
    'ip route add blackhole 9.0.0.0/8 table 254 metric 4294967295 proto 142',
    'ip link set vtep1024 mtu 1300',
    'ip link set m-dcos down',
    'ip addr del 9.0.0.1/25 dev m-dcos',
    'ipset del overlaynet-members-4 172.17.0.3',
    'iptables-nft -t raw -F OVERLAYNET-OUTPUT',
    'iptables-nft -t nat -D POSTROUTING -j OVERLAYNET-POSTROUTING',
    'iptables-nft -t mangle -I INPUT -j ACCEPT',
    // stale
    'ip neigh add 44.128.0.50 lladdr 70:b3:d5:80:00:32 dev vtep1024 nud permanent',
    'bridge fdb add 70:b3:d5:80:00:32 dev vtep1024 dst 172.17.0.50 self permanent',
    'ip nexthop add id 1870659634 via 44.128.0.50 dev vtep1024 protocol 142',
    'ip route add 9.0.50.0/24 nhid 1870659634 proto 142',
    'ip route add unreachable 9.128.0.0/16 metric 4294967295 proto 142',
    'ip route add 9.129.0.0/16 dev lo proto 142',
    'ip route add 172.17.0.50 nhid 1870659634 table 42 proto 142',
    'ip rule add from 11.0.0.0/8 lookup 42 pref 142 protocol 142',
    'ip -6 rule add from fd01:e::/64 lookup 42 pref 142 protocol 142',
    'ip addr add 9.5.0.1/25 dev m-dcos',
    'ip addr add 44.128.0.70/20 dev vtep1024',
    'ip link add m-gone type bridge',
    'ip link set m-gone alias overlaynet',
    'ip link add vtep7 type vxlan id 7 dstport 64007 nolearning',
    'ip link set vtep7 alias overlaynet',
    'ipset create overlaynet-gone hash:net family inet',
    'ipset add overlaynet-members-4 172.17.0.50',
    'iptables-nft -t filter -N OVERLAYNET-OLD',
    'iptables-nft -t filter -A FORWARD -j OVERLAYNET-OLD',
    'iptables-nft -t filter -I FORWARD -j ACCEPT',
  ];
  for (const command of dirt) await netns.sh(command);
  expect(await path.reconcile(cluster(4, 0))).toMatchObject({ failures: [] });
  await netns.sh('iptables-nft -t mangle -D INPUT -j ACCEPT');
  await netns.sh('iptables-nft -t filter -D FORWARD -j ACCEPT');
  expect(await everything()).toEqual(expected);
  expect(await path.reconcile(cluster(4, 0))).toMatchObject(settled);
});

test('a VXLAN link of ours with wrong attributes is made anew, with everything that depends on it', async () => {
  await path.reconcile(cluster(3, 0));
  const expected = await everything();
  await netns.sh('ip link del vtep1024');
  await netns.sh('ip link add vtep1024 type vxlan id 1024 dstport 8472 local 172.17.0.2');
  await netns.sh('ip link set vtep1024 alias overlaynet');
  await netns.sh('ip link set vtep1024 up');
  await netns.sh('ip addr add 44.128.0.1/20 dev vtep1024');
  await netns.sh('ip nexthop add id 1870659586 via 44.128.0.2 dev vtep1024 protocol 142');
  await netns.sh('ip route add 9.0.1.0/24 nhid 1870659586 proto 142');
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ failures: [] });
  expect(await everything()).toEqual(expected);
  expect(await path.reconcile(cluster(3, 0))).toMatchObject(settled);
});

test('a pass restores what the kernel removes when the tunnel goes down and up', async () => {
  await path.reconcile(cluster(3, 0));
  const expected = await everything();
  await netns.sh('ip link set vtep1024 down');
  await netns.sh('ip link set vtep1024 up');
  expect(await everything()).not.toEqual(expected);
  expect(await path.reconcile(cluster(3, 0))).toMatchObject({ failures: [] });
  expect(await everything()).toEqual(expected);
});

test('departed peers and removed networks leave nothing', async () => {
  const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] }];
  await path.reconcile(cluster(2, 0, { networks }));
  const expected = await everything();
  await path.reconcile(cluster(5, 0));
  expect(await everything()).not.toEqual(expected);
  expect(await path.reconcile(cluster(2, 0, { networks }))).toMatchObject({ failures: [] });
  // IPv6 still has a VTEP subnet, so that its sets stay
  expect(await everything()).toEqual(expected);
});

test('cleanup leaves the kernel as it was, foreign entries included', async () => {
  await addForeign();
  const before = await everything();
  await path.reconcile(cluster(3, 0));
  await netns.sh('ip link set vtep1024 down');
  await path.reconcile(cluster(3, 0, { vni: 77 }));
  const running = await everything();
  expect(running).not.toEqual(before);
  const { remains, failures } = await path.remains();
  expect(failures).toEqual([]);
  expect([...remains.keys()]).toEqual([
    ...['links', 'addresses', 'neighbours', 'FDB entries', 'nexthops', 'routes', 'routing rules', 'ipsets'],
    ...['iptables chains', 'nftables tables'],
  ]);
  expect(remains.get('links')).toEqual(expect.arrayContaining(['vtep77', 'm-dcos', 'm-dcos6']));
  // other programs' objects are not listed
  expect(JSON.stringify([...remains])).not.toMatch(/flannel|m-mine|others|KUBE|10\.6[01]\./);
  expect(await everything()).toEqual(running);
  expect(await path.cleanup()).toMatchObject({ failures: [] });
  expect(await everything()).toEqual(before);
  expect(await path.cleanup()).toMatchObject(settled);
  expect(await path.remains()).toEqual({ remains: new Map(), failures: [] });
});

test('cleanup removes our chain from a table that iptables cannot read', async () => {
  await path.reconcile(cluster(2, 0));
  await netns.sh('nft add chain ip filter foreign');
  await netns.sh('nft add rule ip filter foreign ct state vmap { established : accept }');
  const { remains, failures } = await path.remains();
  expect(failures).toEqual([]);
  expect(remains.get('iptables chains')).toContain("those in nftables' ip filter");
  expect(await path.cleanup()).toMatchObject({ failures: [] });
  expect(await path.remains()).toEqual({ remains: new Map(), failures: [] });
});

test('the data path stays while the node has no VTEP or no tunnel address', async () => {
  await path.reconcile(cluster(2, 0));
  const expected = await everything();
  const waiting = cluster(2, 0);
  delete waiting.allocations[0]!.spec.vtep;
  expect(await path.reconcile(waiting)).toMatchObject(settled);
  const lonely = cluster(2, 0, { underlay: 'IPv6' });
  lonely.allocations[0]!.spec.addresses = ['172.17.0.2'];
  expect(messagesOf(await path.reconcile(lonely))).toContain('no IPv6 address');
  expect(await everything()).toEqual(expected);
});

test('rules follow kubelet from one iptables backend to the other', async () => {
  await path.reconcile(cluster(2, 0));
  expect(await netns.sh('iptables-nft-save')).toContain('OVERLAYNET');
  await netns.sh('iptables-legacy -t mangle -N KUBE-IPTABLES-HINT');
  expect(await path.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
  expect(await netns.sh('iptables-nft-save')).not.toContain('OVERLAYNET');
  expect(await netns.sh('ip6tables-legacy-save')).toContain('OVERLAYNET');
  expect(await path.reconcile(cluster(2, 0))).toMatchObject(settled);
});

test('the number of processes does not depend on the number of peers', async () => {
  const few = await path.reconcile(cluster(2, 0));
  const idle = await path.reconcile(cluster(2, 0));
  await path.cleanup();
  expect((await path.reconcile(cluster(200, 0))).processes).toBe(few.processes);
  expect((await path.reconcile(cluster(200, 0))).processes).toBe(idle.processes);
  // half of them read tables of iptables, one at a time
  expect(few.processes).toBeLessThanOrEqual(29);
});
