import { Bed } from '../support/bed.ts';
import { cluster } from '../support/cluster.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';

/** Removals that the kernel refuses: their report, and that everything else is done. */

const shut = { isolation: { mode: 'Isolated' as const } };
const networks = (red: object, blue: object) => [Bed.network(1, 'red', red), Bed.network(2, 'blue', blue)];
const bed = new Bed();

const reconcile = (of: ReturnType<typeof networks>) =>
  new DataPath({ log: silent, run: bed.node(0).run }).reconcile(cluster(2, 0, { networks: of }));

beforeAll(() => bed.up(networks({}, {})));
afterAll(() => bed.down());

test("a set that a person's rule uses stays and is reported, and everything else is done", async () => {
  const node = bed.node(0);
  const [red, blue] = [await bed.pod('red', 0), await bed.pod('blue', 0)];
  await bed.apply(networks(shut, {}));
  await node.sh('iptables-nft -I FORWARD -m set --match-set overlaynet-net-red-4 src -j ACCEPT');
  await bed.apply(networks(shut, {}));
  // opening red leaves a set behind; closing blue in the same pass ends its connections
  await bed.apply(networks({ isolation: { mode: 'Isolated', allow: ['blue'] } }, {}));
  expect(await red.prober.ask('hold', blue.ip[4]!, 80, 10_000)).toBeDefined();
  const { failures } = await reconcile(networks({}, shut));
  expect(failures).toMatchObject([
    { leftover: true, message: expect.stringMatching(/^ipset: .* in use .*overlaynet-net-red-4/) },
  ]);
  expect(await red.prober.ask('say', blue.ip[4]!, 80, 700)).toBeUndefined();
  const sets = await node.sh('ipset list -n');
  expect(sets).toContain('overlaynet-net-red-4');
  expect(sets).not.toContain('overlaynet-may-red-4');
  expect(sets).not.toContain('overlaynet-net-red-6');
  await node.sh('iptables-nft -D FORWARD -m set --match-set overlaynet-net-red-4 src -j ACCEPT');
  expect((await reconcile(networks({}, shut))).failures).toEqual([]);
  expect(await node.sh('ipset list -n')).not.toContain('overlaynet-net-red-4');
});

test('a failure to write rules is distinguished from a leftover', async () => {
  const node = bed.node(0);
  await node.sh('nft add chain ip mangle foreign');
  await node.sh('nft add rule ip mangle foreign ct state vmap { established : accept }');
  const { failures } = await reconcile(networks(shut, shut));
  expect(failures.length).toBeGreaterThan(0);
  for (const failure of failures) expect(failure).toMatchObject({ rules: true });
  await node.sh('nft delete chain ip mangle foreign');
  expect((await reconcile(networks(shut, shut))).failures).toEqual([]);
});
