import type { Chain } from '../../../src/dataplane/state.ts';
import { observeChains, planChains } from '../../../src/linux/iptables.ts';
import { parseChains } from '../../../src/linux/iptablessave.ts';
import { CommandError, type Run } from '../../../src/linux/run.ts';

const input: Chain = { table: 'mangle', hook: 'INPUT', rules: ['-j DROP'] };
const forward: Chain = { table: 'filter', hook: 'FORWARD', rules: ['-j ACCEPT'] };
const wanted = { 4: [input, forward], 6: [] };
const nothing = { 4: [], 6: [] };

const table = (name: string, ...lines: string[]) =>
  [`*${name}`, ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ...lines, 'COMMIT', ''].join('\n');
const ours = (name: string) => table(name, ':OVERLAYNET-INPUT - [0:0]');
const canary = table('mangle', ':KUBE-IPTABLES-HINT - [0:0]');

/** Programs that print this and end with status 0; an Error is what they fail with. */
const plan = async (printed: Record<string, string | Error>, desired = wanted) => {
  const run: Run = (program) => {
    const stdout = printed[program] ?? '';
    return stdout instanceof Error
      ? Promise.reject(stdout)
      : Promise.resolve({ stdout, stderr: '', code: 0 });
  };
  const { restores, failures } = planChains(desired, await observeChains(run));
  return {
    written: restores.flatMap(({ program, input: text }) =>
      [...text.matchAll(/^\*(.*)$/gm)].map(([, name]) => `${program} ${name!}`),
    ),
    said: failures.map(({ message }) => message),
  };
};

test.each([
  ['is left out as made by others', "# Table `filter' is incompatible, use 'nft' tool.\n", 'is incompatible'],
  ['ends in the middle', '*filter\n:FORWARD ACCEPT [0:0]\n', 'its COMMIT is missing'],
  ['is cut off by the next one', `*filter\n:FORWARD ACCEPT [0:0]\n${table('nat')}`, 'its COMMIT is missing'],
  ['has a line that is no rule', table('filter', 'Segmentation fault'), 'Segmentation fault'],
])('a table that %s is not written to, and the others are', async (_, printed, why) => {
  const { written, said } = await plan({ 'iptables-nft-save': table('mangle') + printed });
  expect(written).toEqual(['iptables-nft-restore mangle']);
  expect(said).toEqual([
    expect.stringMatching(/^iptables-nft-save: table filter: .*nft list table ip filter/),
  ]);
  expect(said[0]).toContain(why);
});

test('a legacy table that lists none of its chains was not read', async () => {
  const printed = { 'iptables-legacy-save': `${canary}*filter\nCOMMIT\n` };
  const { written, said } = await plan(printed);
  expect(written).toEqual(['iptables-legacy-restore mangle']);
  expect(said).toEqual([expect.stringContaining('table filter: it lists none of its chains')]);
});

test('base chains of others in a table hide nothing of it, nor does a warning', () => {
  const text = `# Table \`filter' contains incompatible base-chains, use 'nft' tool to list them.\n# Warning: x\n${ours('filter')}`;
  const { chains, unread } = parseChains(text);
  expect(unread.size).toBe(0);
  expect(chains.get('filter')?.own.has('OVERLAYNET-INPUT')).toBe(true);
});

describe('while nft shows no mangle table, kubelet may have its chains there', () => {
  const hidden = "# Table `mangle' is incompatible, use 'nft' tool.\n";

  test.each([
    ['our rules stay with nft, which has some', ours('filter'), '', 'nft'],
    ['a node without any rule of ours gets them from nft', '', '', 'nft'],
    ['our rules stay with legacy, which alone has some', '', ours('filter'), 'legacy'],
  ])('%s', async (_, nft, legacy, backend) => {
    const { written } = await plan({
      'iptables-nft-save': hidden + nft,
      'iptables-legacy-save': canary + legacy,
    });
    expect(written[0]).toContain(`iptables-${backend}-restore`);
  });

  test('the same where the program failed, but not where it is not installed', async () => {
    const printed = { 'iptables-legacy-save': canary, 'ip6tables-nft-save': '' };
    const failed = new CommandError('iptables-nft-save: no answer within 60 s');
    expect(await plan({ ...printed, 'iptables-nft-save': failed })).toEqual({
      written: [],
      said: [failed.message],
    });
    const absent = new CommandError('iptables-nft-save: not found; install iptables');
    expect((await plan({ ...printed, 'iptables-nft-save': absent })).written[0]).toContain('legacy');
  });
});

test('what cleanup could not read it says, but for programs that are not installed', async () => {
  const absent = new CommandError('iptables-legacy-save: not found; install iptables');
  const failed = new CommandError('iptables-nft-save: no answer within 60 s');
  const printed = { 'iptables-legacy-save': absent, 'iptables-nft-save': failed };
  expect((await plan(printed, nothing)).said).toEqual([failed.message]);
});
