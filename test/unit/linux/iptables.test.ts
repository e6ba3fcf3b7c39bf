import type { Chain } from '../../../src/dataplane/state.ts';
import { planChains } from '../../../src/linux/iptables.ts';
import { observeChains } from '../../../src/linux/iptablesread.ts';
import { parseChains } from '../../../src/linux/iptablessave.ts';
import { CommandError, type Run } from '../../../src/linux/run.ts';

const input: Chain = { table: 'mangle', hook: 'INPUT', rules: ['-j DROP'] };
const forward: Chain = { table: 'filter', hook: 'FORWARD', rules: ['-j ACCEPT'] };
const wanted = { 4: [input, forward], 6: [] };
const nothing = { 4: [], 6: [] };

/** As `iptables-legacy-save` and `iptables-nft -S` print a table. */
const saved = (name: string, ...lines: string[]) =>
  [`*${name}`, ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ...lines, 'COMMIT', ''].join('\n');
const listed = (...lines: string[]) => ['-P INPUT ACCEPT', '-P FORWARD ACCEPT', ...lines, ''].join('\n');
const ours = '-N OVERLAYNET-INPUT';
const canary = saved('mangle', ':KUBE-IPTABLES-HINT - [0:0]');
const incompatible = (name: string) => ({
  stderr: `iptables v1.8.9 (nf_tables): table \`${name}' is incompatible, use 'nft' tool.\n`,
  code: 1,
});

type Answer = string | Error | { stderr: string; code: number };

/** Programs, by name and table, that print this and end with status 0; an Error is what they fail with. */
const plan = async (answers: Record<string, Answer>, desired = wanted) => {
  const asked: string[] = [];
  const run: Run = (program, args) => {
    const key = args[0] === '-t' ? `${program} ${args[1] ?? ''}` : [program, ...args].join(' ');
    asked.push(key);
    const legacy = Object.keys(answers).flatMap((name) => /^iptables-legacy-save (.*)/.exec(name)?.[1] ?? []);
    const names = { 'cat /proc/net/ip_tables_names': `${legacy.join('\n')}\n` };
    const answer: Answer = { ...names, ...answers }[key] ?? answers[program] ?? '';
    if (answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve(
      typeof answer === 'string' ? { stdout: answer, stderr: '', code: 0 } : { stdout: '', ...answer },
    );
  };
  const { restores, failures, hidden } = planChains(desired, await observeChains(run));
  return {
    asked,
    written: restores.flatMap(({ program, input: text }) =>
      [...text.matchAll(/^\*(.*)$/gm)].map(([, name]) => `${program} ${name!}`),
    ),
    said: failures.map(({ message }) => message),
    hidden: hidden.map(({ table }) => table),
  };
};

test.each([
  [
    'holds rules that iptables did not make',
    incompatible('filter'),
    /is incompatible.*nft list table ip filter/,
  ],
  ['fails with an exit status alone', { stderr: '', code: 4 }, /: exit status 4; overlaynet writes nothing/],
  ['has a line that is no rule', listed('Segmentation fault'), /Segmentation fault/],
  [
    'is not answered',
    new CommandError('iptables-nft: no answer within 60 s'),
    /filter: no answer within 60 s/,
  ],
])('a table that %s is not written to, and the others are', async (_, answer, why) => {
  const { written, said } = await plan({ 'iptables-nft filter': answer });
  expect(written).toEqual(['iptables-nft-restore mangle']);
  expect(said).toEqual([expect.stringMatching(/^iptables-nft: table filter: /)]);
  expect(said[0]).toMatch(why);
});

test('each table that cannot be read is reported', async () => {
  const { written, said } = await plan({
    'iptables-nft mangle': incompatible('mangle'),
    'iptables-nft filter': { stderr: 'iptables: Permission denied\n', code: 4 },
  });
  expect(written).toEqual([]);
  expect(said).toEqual([
    expect.stringMatching(/^iptables-nft: table mangle: table `mangle' is incompatible/),
    expect.stringMatching(/^iptables-nft: table filter: iptables: Permission denied; /),
  ]);
});

test.each([
  ['lists none of its chains', '*filter\nCOMMIT\n', 'it lists none of its chains'],
  ['ends in the middle', '*filter\n:FORWARD ACCEPT [0:0]\n', 'its COMMIT is missing'],
  ['cannot be read', { stderr: "Can't find library for match `geoip'\n", code: 1 }, "match `geoip'"],
])('a legacy table that %s is not written to, and the others are', async (_, answer, why) => {
  const { written, said } = await plan({
    'iptables-legacy-save mangle': canary,
    'iptables-legacy-save filter': answer,
  });
  expect(written).toEqual(['iptables-legacy-restore mangle']);
  expect(said).toEqual([expect.stringMatching(/^iptables-legacy: table filter: /)]);
  expect(said[0]).toContain(why);
});

test('missing legacy tables are not read, because that would make them', async () => {
  const { asked } = await plan({ 'iptables-legacy-save raw': saved('raw') });
  expect(asked.filter((key) => key.includes('legacy'))).toEqual(['iptables-legacy-save raw']);
});

test('if the legacy tables are unknown, only cleanup reports it', async () => {
  const answers = { 'cat /proc/net/ip_tables_names': new CommandError('cat: no answer within 60 s') };
  expect((await plan(answers)).said).toEqual([]);
  expect((await plan(answers, nothing)).said).toContain(
    'iptables-legacy: table raw: cat: no answer within 60 s; what overlaynet has in it stays',
  );
});

test('a table in which nothing is wanted, and which iptables cannot read, is for nft to clean', async () => {
  expect((await plan({ 'iptables-nft raw': incompatible('raw') })).hidden).toEqual(['raw']);
});

test('other programs’ base chains in a table hide no rule of it, and neither does a warning', () => {
  const text = `# Table \`filter' contains incompatible base-chains, use 'nft' tool to list them.\n# Warning: x\n${saved('filter', ':OVERLAYNET-INPUT - [0:0]')}`;
  const { chains, unread } = parseChains(text);
  expect(unread.size).toBe(0);
  expect(chains.get('filter')?.own.has('OVERLAYNET-INPUT')).toBe(true);
});

describe('while nft shows no mangle table, kubelet may have its chains there', () => {
  const legacyOurs = saved('filter', ':OVERLAYNET-INPUT - [0:0]');

  test.each([
    ['our rules stay with nft, which has some', { 'iptables-nft filter': listed(ours) }, 'nft'],
    ['a node without any rule of ours gets them from nft', {}, 'nft'],
    [
      'our rules stay with legacy, which alone has some',
      { 'iptables-legacy-save filter': legacyOurs },
      'legacy',
    ],
  ])('%s', async (_, answers, backend) => {
    const { written } = await plan({
      'iptables-nft mangle': incompatible('mangle'),
      'iptables-legacy-save mangle': canary,
      ...answers,
    });
    expect(written[0]).toContain(`iptables-${backend}-restore`);
  });

  test('not where the program is not installed', async () => {
    const { written } = await plan({
      'iptables-legacy-save mangle': canary,
      'iptables-nft': new CommandError('iptables-nft: not found; install iptables'),
    });
    expect(written[0]).toContain('legacy');
  });
});

test('a missing program that is needed is reported once', async () => {
  const absent = new CommandError('iptables-nft: not found; install iptables');
  expect((await plan({ 'iptables-nft': absent })).said).toEqual([absent.message]);
});

test('cleanup reports what it could not read, except for programs that are not installed', async () => {
  const { said } = await plan(
    {
      'ip6tables-nft': new CommandError('ip6tables-nft: not found; install iptables'),
      'iptables-nft raw': new CommandError('iptables-nft: no answer within 60 s'),
    },
    nothing,
  );
  expect(said).toEqual(['iptables-nft: table raw: no answer within 60 s; what overlaynet has in it stays']);
});
