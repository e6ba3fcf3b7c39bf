import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataPath, type DataPathOutcome } from '../../src/linux/datapath.ts';
import { run, type Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';

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

/** Adds a rule to a table that iptables made, as Tailscale does in its nftables mode. */
async function addForeign(): Promise<void> {
  await netns.sh('iptables-nft -t filter -A FORWARD -i none0 -j ACCEPT');
  await netns.sh('nft add chain ip filter ts-forward');
  await netns.sh('nft -f -', 'add rule ip filter ts-forward ct state vmap { established : accept }\n');
}

const ofTable = (table: string) => netns.sh(`nft list table ${table}`);

describe('a table of iptables with rules that iptables does not know', () => {
  test('is not written to, which each pass reports; the other tables are written', async () => {
    await addForeign();
    const before = await ofTable('ip filter');
    const first = await path.reconcile(cluster(2, 0));
    expect(first.failures).toMatchObject([
      {
        rules: true,
        message: expect.stringMatching(
          /^iptables-nft: table filter: .* is incompatible.*nft list table ip filter/,
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

  test('keeps the jumps that it already has', async () => {
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

  test('still loses our rules in a cleanup, and keeps those of others', async () => {
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

  test('is named by cleanup if nft cannot clean it either, and the rest is removed', async () => {
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

describe('a table with a rule whose extension the agent does not have', () => {
  const libraries = mkdtempSync(join(tmpdir(), 'ovt-xtables-'));
  /** Runs programs as in an image of another distribution than the node's. */
  const without: Run = (program, args, options) =>
    netns.run('env', [`XTABLES_LIBDIR=${libraries}`, program, ...args], options);
  beforeAll(async () => {
    const { stdout } = await run('find', ['/usr/lib', '/usr/lib64', '-name', 'libxt_statistic.so']);
    const all = stdout.trim().split('\n')[0]?.replace('/libxt_statistic.so', '') ?? '';
    for (const name of readdirSync(all)) {
      if (name !== 'libxt_statistic.so') symlinkSync(join(all, name), join(libraries, name));
    }
  });
  afterAll(() => {
    rmSync(libraries, { recursive: true });
  });

  test.each([
    ['nft', /^iptables-nft: table filter: .*match extension not found/],
    ['legacy', /^iptables-legacy: table filter: Can't find library for match `statistic'/],
  ])('is reported by its name, and hides no other table: %s', async (backend, why) => {
    // kubelet's mark of the node's backend
    await netns.sh(`iptables-${backend} -t mangle -N KUBE-IPTABLES-HINT`);
    await netns.sh(`iptables-${backend} -A FORWARD -m statistic --mode random --probability 0.5 -j ACCEPT`);
    const before = await netns.sh(`iptables-${backend} -S`);
    const limited = new DataPath({ log: silent, run: without });
    const first = await limited.reconcile(cluster(2, 0));
    expect(words(first).replaceAll('\n', ' ')).toMatch(why);
    expect(first.failures).toHaveLength(1);
    expect(await netns.sh(`iptables-${backend} -S`)).toBe(before);
    for (const [table, chain] of [
      ['mangle', 'INPUT'],
      ['raw', 'PREROUTING'],
      ['nat', 'POSTROUTING'],
    ])
      expect(await netns.sh(`iptables-${backend} -t ${table!} -S ${chain!}`)).toContain(
        `OVERLAYNET-${chain!}`,
      );
    // the readable table is restored after a flush, while the other one stays unread
    await netns.sh(`iptables-${backend} -t mangle -F`);
    expect(await limited.reconcile(cluster(2, 0))).toMatchObject({ failures: first.failures });
    expect(await netns.sh(`iptables-${backend} -t mangle -S INPUT`)).toContain('OVERLAYNET-INPUT');
    expect(await limited.reconcile(cluster(2, 0))).toMatchObject({ changes: 0, failures: first.failures });
  });
});
