import { jest } from '@jest/globals';
import { DataPath, type DataPathOutcome } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

// a busy machine takes its time to start a hundred programs
jest.setTimeout(60_000);

let netns: Netns;
let path: DataPath;

beforeEach(async () => {
  netns = await Netns.create();
  path = new DataPath({ log: silent, run: netns.run });
  await netns.sh('ip link add eth0 type veth peer name wire');
  for (const address of nodeAddresses(0)) await netns.sh(`ip addr add ${address} dev eth0`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
});
afterEach(() => netns.delete());

const words = ({ failures }: DataPathOutcome): string => failures.map(({ message }) => message).join('\n');

/** As Tailscale does in its nftables mode: into a table that iptables made. */
async function addForeign(): Promise<void> {
  await netns.sh('iptables-nft -t filter -A FORWARD -i none0 -j ACCEPT');
  await netns.sh('nft add chain ip filter ts-forward');
  await netns.sh('nft -f -', 'add rule ip filter ts-forward ct state vmap { established : accept }\n');
}

const ofTable = (table: string) => netns.sh(`nft list table ${table}`);

describe('a table of iptables that holds rules which iptables does not know', () => {
  test('is not written to, which is said as long as it lasts; the others are made', async () => {
    await addForeign();
    const before = await ofTable('ip filter');
    const first = await path.reconcile(cluster(2, 0));
    expect(first.failures).toEqual([
      {
        rules: true,
        message: expect.stringMatching(
          /^iptables-nft-save: table filter: is incompatible.*nft list table ip filter/,
        ) as string,
      },
    ]);
    expect(await ofTable('ip filter')).toBe(before);
    expect(await ofTable('ip mangle')).toContain('OVERLAYNET-INPUT');
    expect(await ofTable('ip6 filter')).toContain('OVERLAYNET-FORWARD');
    expect(await path.reconcile(cluster(2, 0))).toMatchObject({ changes: 0, failures: first.failures });
    await netns.sh('nft delete chain ip filter ts-forward');
    expect(await path.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
    expect(await ofTable('ip filter')).toContain('OVERLAYNET-FORWARD');
  });

  test('that stands from before keeps its jumps as they are', async () => {
    await path.reconcile(cluster(2, 0));
    await addForeign();
    const before = await ofTable('ip filter');
    for (let pass = 0; pass < 3; pass++) {
      const outcome = await path.reconcile(cluster(2, 0));
      expect(outcome.changes).toBe(0);
      expect(words(outcome)).toContain('table filter');
    }
    expect(await ofTable('ip filter')).toBe(before);
  });

  test('is cleaned of ours all the same, and keeps what others have there', async () => {
    await addForeign();
    const before = await ofTable('ip filter');
    await netns.sh('nft flush chain ip filter ts-forward');
    await path.reconcile(cluster(2, 0));
    await netns.sh('nft -f -', 'add rule ip filter ts-forward ct state vmap { established : accept }\n');
    expect(await path.cleanup()).toMatchObject({ failures: [] });
    expect(await ofTable('ip filter')).toBe(before);
    expect(await netns.sh('ipset list -n')).toBe('');
    expect(await path.cleanup()).toMatchObject({ changes: 0, failures: [] });
  });

  test('and that nft cannot clean either is named by cleanup, which removes the rest', async () => {
    await path.reconcile(cluster(2, 0));
    await addForeign();
    const without = new DataPath({
      log: silent,
      run: (program, args, options) =>
        program === 'nft' && args.includes('filter')
          ? Promise.resolve({ stdout: '', stderr: 'nft: out of order', code: 1 })
          : netns.run(program, args, options),
    });
    const said = words(await without.cleanup());
    expect(said).toContain('iptables cannot read table ip filter');
    expect(said).toContain('nft: out of order');
    expect(said).toMatch(/ipset: .*overlaynet-overlays-4/);
    expect(await netns.sh('ip link show')).not.toContain('vtep1024');
    expect(await ofTable('ip mangle')).not.toContain('OVERLAYNET');
    expect(await netns.sh('ipset list -n')).not.toContain('overlaynet-members-4');
    expect(await path.cleanup()).toMatchObject({ failures: [] });
    expect(await netns.sh('ipset list -n')).toBe('');
  });
});
