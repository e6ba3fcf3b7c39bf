import { DataPath } from '../../src/linux/datapath.ts';
import type { Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

let netns: Netns;
let path: DataPath;
/** Output of the programs of iptables. */
let printed = '';
const counted: Run = async (program, args, options) => {
  const result = await netns.run(program, args, options);
  if (/^ip6?tables/.test(program)) printed += result.stdout;
  return result;
};

beforeEach(async () => {
  netns = await Netns.create();
  path = new DataPath({ log: silent, run: counted });
  await netns.sh('ip link add eth0 type veth peer name wire');
  for (const address of nodeAddresses(0)) await netns.sh(`ip addr add ${address} dev eth0`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
  printed = '';
});
afterEach(() => netns.delete());

const services = 500;

/** Adds Services as kube-proxy does. */
async function addServices(): Promise<void> {
  const each = Array.from({ length: services }, (_, index) => {
    const [service, endpoint] = ['SVC', 'SEP'].map((kind) => `KUBE-${kind}-${index}`);
    const address = `10.96.${index >> 8}.${index & 255}/32`;
    return {
      chains: [`:${service!} - [0:0]`, `:${endpoint!} - [0:0]`],
      rules: [
        `-A KUBE-SERVICES -d ${address} -p tcp -m tcp --dport 80 -j ${service!}`,
        `-A ${service!} -j ${endpoint!}`,
        `-A ${endpoint!} -p tcp -m tcp -j DNAT --to-destination 9.0.0.9:80`,
      ],
    };
  });
  const lines = [
    '*nat',
    ':KUBE-SERVICES - [0:0]',
    ':KUBE-POSTROUTING - [0:0]',
    ...each.flatMap(({ chains }) => chains),
    '-A PREROUTING -j KUBE-SERVICES',
    '-A POSTROUTING -j KUBE-POSTROUTING',
    ...each.flatMap(({ rules }) => rules),
    'COMMIT',
    '',
  ];
  await netns.sh('iptables-nft-restore --noflush', lines.join('\n'));
}

test('a pass does not read kube-proxy’s rules of Services, and puts its own in the right place', async () => {
  await addServices();
  expect(await path.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
  expect(await path.reconcile(cluster(2, 0))).toMatchObject({ changes: 0, failures: [] });
  expect(printed).toContain('-A POSTROUTING -j KUBE-POSTROUTING');
  expect(printed).not.toContain('KUBE-SVC');
  // our jump in nat comes first
  expect((await netns.sh('iptables-nft -t nat -S POSTROUTING')).split('\n').slice(1, 3)).toEqual([
    '-A POSTROUTING -j OVERLAYNET-POSTROUTING',
    '-A POSTROUTING -j KUBE-POSTROUTING',
  ]);
});

test('reading creates no table in either backend', async () => {
  const { failures } = await path.cleanup();
  expect(failures).toEqual([]);
  expect(await netns.sh('nft list tables')).toBe('');
  for (const family of ['ip', 'ip6'])
    expect((await netns.try(`cat /proc/net/${family}_tables_names`)).stdout).toBe('');
});

describe('our chain in nat', () => {
  beforeEach(() => path.reconcile(cluster(2, 0)));
  const own = () => netns.sh('iptables-nft -t nat -S OVERLAYNET-POSTROUTING');
  /** Adds a rule that iptables cannot list. */
  const spoil = () =>
    netns.sh('nft -f -', 'add rule ip nat OVERLAYNET-POSTROUTING ct state vmap { established : accept }\n');

  test('is written anew if it was emptied, deleted, or contains a rule that iptables did not make', async () => {
    const before = await own();
    const damages = [
      () => netns.sh('iptables-nft -t nat -F OVERLAYNET-POSTROUTING'),
      () => netns.sh('nft delete table ip nat'),
      spoil,
    ];
    for (const damage of damages) {
      await damage();
      expect(await path.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
      expect(await own()).toBe(before);
      expect(await path.reconcile(cluster(2, 0))).toMatchObject({ changes: 0, failures: [] });
    }
  });

  test.each([
    ['as it was made', () => Promise.resolve()],
    ['with a rule that iptables did not make', spoil],
  ])('is removed with the rest, %s', async (_, damage) => {
    await damage();
    expect(await path.cleanup()).toMatchObject({ failures: [] });
    expect(await netns.sh('nft list table ip nat')).not.toContain('OVERLAYNET');
    expect(await path.cleanup()).toMatchObject({ changes: 0, failures: [] });
  });

  test('is not changed while foreign rules hide the chain that jumps to it, which is reported', async () => {
    await netns.sh('nft -f -', 'add rule ip nat POSTROUTING ct state vmap { established : accept }\n');
    const before = await netns.sh('nft list table ip nat');
    const outcome = await path.reconcile(cluster(2, 0));
    expect(outcome).toMatchObject({
      changes: 0,
      failures: [{ rules: true, message: expect.stringMatching(/^iptables-nft: table nat: /) as string }],
    });
    expect(await netns.sh('nft list table ip nat')).toBe(before);
    expect(await path.cleanup()).toMatchObject({ failures: [] });
    expect(await netns.sh('nft list table ip nat')).not.toContain('OVERLAYNET');
  });
});
