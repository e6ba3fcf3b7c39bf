import { jest } from '@jest/globals';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { foreign, handsFor } from '../chaos/agent/hands.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';
import { difference, tracesIn } from '../support/residue.ts';

/**
 * Deletes and changes every kind of object that an agent makes, as the kernel shows them. One pass must repair it and
 * change nothing of other programs. `npm run chaos -- agent drift` measures the times with a real agent.
 */

jest.setTimeout(240_000);

let netns: Netns;
beforeAll(async () => {
  netns = await Netns.create();
  await netns.sh('ip link add eth0 type veth peer name wire');
  const [ip, ip6] = nodeAddresses(0);
  await netns.sh(`ip addr add ${ip!}/16 dev eth0`);
  await netns.sh(`ip addr add ${ip6!}/64 dev eth0 nodad`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
});
afterAll(() => netns.delete());

const shell = async (script: string): Promise<string> => (await netns.run('sh', ['-c', script])).stdout;
const reconcile = () => new DataPath({ log: silent, run: netns.run }).reconcile(cluster(3, 0, { networks }));
const networks = [
  { name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }], isolation: { mode: 'Isolated' as const } },
  { name: 'dcos6', subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }] },
];

test('one pass repairs any manual change of our objects, and leaves those of others', async () => {
  await netns.run('sh', ['-ec', foreign.join('\n')]);
  // iptables makes its own tables when they are first listed
  await shell(
    'for p in iptables ip6tables; do for t in mangle raw filter nat; do $p-nft -t $t -S; done; done',
  );
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const before = await tracesIn(shell);
  expect(await reconcile()).toMatchObject({ failures: [] });
  const running = await tracesIn(shell);
  const changes = difference(before, running);
  expect(changes.filter((line) => line.startsWith('- '))).toEqual([]);
  const hands = handsFor(changes.map((line) => line.slice(2)));
  expect(hands.length).toBeGreaterThan(20);
  const left: Record<string, string[]> = {};
  for (const { what, commands } of hands) {
    const script = commands
      .map((command) => `${command} || echo "${command.replaceAll('"', '')}"`)
      .join('\n');
    const refused = (await shell(script)).split('\n').filter((line) => line !== '');
    const done = difference(running, await tracesIn(shell));
    if (refused.length > 0 || done.length === 0) left[`${what}: refused`] = refused;
    const { failures } = await reconcile();
    const differs = [
      ...failures.map(({ message }) => message),
      ...difference(running, await tracesIn(shell)),
    ];
    if (differs.length > 0) left[what] = differs;
  }
  process.stdout.write(`${hands.map(({ what, objects }) => `${objects} × ${what}`).join('\n')}\n`);
  expect(left).toEqual({});
});
