import { monitor } from '../../src/linux/monitor.ts';
import { silent } from '../../src/log.ts';
import { Netns } from '../support/netns.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let netns: Netns;
let reports = 0;
let watch: { stop: () => void };

/** Returns the number of reports since the last call, once they have come or after two seconds. */
async function reported(): Promise<number> {
  for (let waited = 0; reports === 0 && waited < 2_000; waited += 20) await pause(20);
  await pause(100);
  const count = reports;
  reports = 0;
  return count;
}

beforeEach(async () => {
  netns = await Netns.create();
  // duplicate address detection also reports, at any time
  await netns.sh('sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1');
  await netns.sh('ip link add vtep7 type veth peer name other');
  await netns.sh('ip addr add 10.0.0.1/24 dev vtep7');
  await netns.sh('ip link set vtep7 up');
  await netns.sh('ip link set other up');
  const [program, args] = netns.enter('ip', [
    'monitor',
    'link',
    'address',
    'route',
    'rule',
    'nexthop',
    'neigh',
  ]);
  watch = monitor(() => reports++, { log: silent, command: [program, ...args] });
  await pause(200);
  reports = 0;
});
afterEach(async () => {
  watch.stop();
  await netns.delete();
});

test('changes of every kind of object in the data path are reported, and neighbour resolution is not', async () => {
  const changes = [
    'ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev vtep7 nud permanent',
    'ip nexthop add id 1 via 10.0.0.2 dev vtep7',
    'ip route add 10.1.0.0/16 nhid 1',
    'ip rule add from 10.0.0.0/8 lookup 42',
    'ip addr add 10.2.0.1/24 dev vtep7',
    'ip neigh del 10.0.0.2 dev vtep7',
    'ip link set vtep7 mtu 1400',
  ];
  for (const change of changes) {
    await netns.sh(change);
    if ((await reported()) === 0) throw new Error(`not reported: ${change}`);
  }
  await netns.sh('ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev other nud stale');
  expect(await reported()).toBe(0);
});
