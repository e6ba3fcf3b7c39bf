import { runBatch } from '../../src/linux/batch.ts';
import { Netns } from '../support/netns.ts';

let netns: Netns;
let processes = 0;
const run: Netns['run'] = (...call) => {
  processes++;
  return netns.run(...call);
};

beforeEach(async () => {
  netns = await Netns.create();
  processes = 0;
});
afterEach(() => netns.delete());

const ip = (lines: string[]) => runBatch(run, 'ip', ['-force', '-batch', '-'], lines);
const ipset = (lines: string[]) => runBatch(run, 'ipset', ['restore'], lines);

describe('ip', () => {
  const neighbour = (address: string) =>
    `neigh replace ${address} lladdr 02:00:00:00:00:02 dev d0 nud permanent`;
  const permanent = async () => (await netns.sh('ip -4 neigh show nud permanent')).trim().split('\n').length;

  beforeEach(async () => {
    await netns.sh('ip link add d0 type veth peer name d1');
    await netns.sh('ip link set d0 up');
  });

  test('after a line that ends the program, the following lines still run', async () => {
    const lines = [
      neighbour('10.0.0.1'),
      'neigh del 10.0.9.9 dev d0',
      neighbour('10.0.0.2'),
      'link set none0 up',
      'addr add 10.0.0.7/24 dev d0',
    ];
    expect(await ip(lines)).toEqual({
      failed: [
        { line: 2, words: 'RTNETLINK answers: No such file or directory' },
        { line: 4, words: 'Cannot find device "none0"' },
      ],
      needless: 0,
      problems: [],
    });
    expect(await permanent()).toBe(2);
    expect(await netns.sh('ip addr show d0')).toContain('10.0.0.7/24');
    expect(processes).toBe(2);
  });

  test('lines of one family that fail do not affect the other family', async () => {
    await netns.sh('sysctl -qw net.ipv6.conf.d0.disable_ipv6=1');
    const lines = Array.from({ length: 100 }, (_, index) => [
      neighbour(`fd00::${index + 1}`),
      neighbour(`10.0.0.${index + 1}`),
    ]).flat();
    const { failed, problems } = await ip(lines);
    expect(await permanent()).toBe(100);
    expect(new Set(failed.map(({ words }) => words))).toEqual(
      new Set(['Error: IPv6 is disabled on this device.']),
    );
    expect(failed.every(({ line }) => line % 2 === 1)).toBe(true);
    expect(problems).toEqual([
      `ip: up to ${100 - failed.length} changes were not tried: too many failed before them`,
    ]);
  });

  test('an argument that ip does not accept is reported, and lines far enough behind it are executed', async () => {
    const lines = Array.from({ length: 200 }, (_, index) => `addr add 10.0.0.${index + 1}/32 dev d0`);
    lines[2] = 'addr add 300.1.1.1/32 dev d0';
    const { failed, problems } = await ip(lines);
    expect(failed).toEqual([]);
    expect(problems).toEqual([
      expect.stringContaining('any valid prefix is expected rather than "300.1.1.1/32"'),
    ]);
    const shown = await netns.sh('ip addr show d0');
    expect(shown).toContain('10.0.0.2/32');
    expect(shown).toContain('10.0.0.200/32');
  });
});

describe('ipset', () => {
  const members = async (set: string) =>
    (await netns.sh('ipset save')).split('\n').filter((line) => line.startsWith(`add ${set} `)).length;

  beforeEach(() => netns.sh('ipset create ovt hash:net maxelem 5'));

  test('a line that fails loses no other line', async () => {
    await netns.sh('ipset create used hash:net');
    await netns.sh('iptables-nft -A INPUT -m set --match-set used src');
    const lines = [
      'add ovt 10.0.0.1 -exist',
      'destroy used',
      'add ovt 10.0.0.2 -exist',
      'add ovt fd00::1 -exist',
      'add none 10.0.0.1 -exist',
      'create more hash:net family inet -exist',
      'add more 10.0.0.3 -exist',
    ];
    const { failed, problems } = await ipset(lines);
    expect(failed.map(({ line }) => line)).toEqual([2, 4, 5]);
    expect(problems).toEqual([]);
    expect([await members('ovt'), await members('more')]).toEqual([2, 1]);
  });

  test('a set that cannot be made is reported once, and its entries are counted', async () => {
    const lines = [
      'create ovt hash:net family inet6 -exist',
      'add ovt fd00::1 -exist',
      'add ovt fd00::2 -exist',
      'create more hash:net family inet -exist',
    ];
    expect(await ipset(lines)).toEqual({
      failed: [{ line: 1, words: expect.stringContaining('same name already exists') as string }],
      needless: 2,
      problems: [],
    });
    expect(await netns.sh('ipset list -n')).toContain('more');
  });

  test('a full set is reported, with the number of changes that were not tried', async () => {
    const lines = Array.from({ length: 100 }, (_, index) => `add ovt 10.0.0.${index + 1} -exist`);
    const { failed, problems } = await ipset(lines);
    expect(failed[0]).toEqual({ line: 6, words: 'Hash is full, cannot add more elements' });
    expect(problems).toEqual(['ipset: up to 60 changes were not tried: too many failed before them']);
  });
});

test('a program that accepts no batch is called once, and its message is kept', async () => {
  const broken: Netns['run'] = () => {
    processes++;
    return Promise.resolve({ stdout: '', stderr: 'ip: out of order', code: 3 });
  };
  const lines = Array.from({ length: 100 }, () => 'link set lo up');
  for (const program of ['ip', 'bridge', 'ipset'] as const) {
    processes = 0;
    expect(await runBatch(broken, program, [], lines)).toEqual({
      failed: [],
      needless: 0,
      problems: [`${program}: ip: out of order`],
    });
    expect(processes).toBe(1);
  }
});

test('bridge stops at an argument that it does not accept, and the report says what it had done and why it stopped', async () => {
  await netns.sh('ip link add vtep7 type vxlan id 7 dstport 64007');
  const fdb = (address: string) => `fdb replace 02:00:00:00:00:01 dev vtep7 dst ${address} self permanent`;
  const lines = ['fdb del 02:00:00:00:00:09 dev vtep7 self', fdb('10.0.0.300'), fdb('10.0.0.3')];
  expect(await runBatch(run, 'bridge', ['-force', '-batch', '-'], lines)).toEqual({
    failed: [{ line: 1, words: 'RTNETLINK answers: No such file or directory' }],
    needless: 0,
    problems: [expect.stringContaining('10.0.0.300') as string],
  });
});
