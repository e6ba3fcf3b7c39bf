import { DataPath } from '../../src/linux/datapath.ts';
import { CommandError, type Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { Bed, type Pod } from '../support/bed.ts';
import { cluster, type NetworkOptions } from '../support/cluster.ts';
import { proxy, type Service } from '../support/services.ts';

const families = [4, 6] as const;

const red = Bed.network(1, 'red');
const blue = Bed.network(2, 'blue');
const isolated: NetworkOptions = { ...red, isolation: { mode: 'Isolated' } };
const friendly: NetworkOptions = { ...red, isolation: { mode: 'Isolated', allow: ['blue'] } };

const bed = new Bed();
/** `M` is in CNI's half, `D` in Docker's; the number is the node's. */
let pods: Record<'redM0' | 'redM1' | 'redD0' | 'blueM0' | 'blueM1' | 'blueD0', Pod>;

/** A Service of node0 for a pod of red or blue on node1. */
const service = (name: string, family: 4 | 6, to = ''): Service => ({
  name: `${name}-${family}`,
  ip: family === 4 ? '10.96.0.20' : 'fd00:96::20',
  protocol: 'tcp',
  port: 8080,
  to: { ip: to, port: 80 },
});

beforeAll(async () => {
  await bed.up([isolated, blue]);
  pods = {
    redM0: await bed.pod('red', 0),
    redM1: await bed.pod('red', 1),
    redD0: await bed.pod('red', 0, { half: 'docker' }),
    blueM0: await bed.pod('blue', 0),
    blueM1: await bed.pod('blue', 1),
    blueD0: await bed.pod('blue', 0, { half: 'docker' }),
  };
  const services = families.map((family) => service('BLUE', family, pods.blueM1.ip[family]));
  for (const node of bed.wire.nodes) await proxy(node, services);
});
afterAll(() => bed.down());
beforeEach(() => bed.apply([isolated, blue]));

type Name = keyof typeof pods;

/**
 * Returns whether every kind of packet is answered; throws if only some kinds are. Permitted traffic gets enough time
 * for a busy machine.
 */
async function reaches(from: Name, to: Name, ms = 10_000): Promise<boolean> {
  const answers = await Promise.all(
    families.flatMap((family) => [
      ...(['tcp', 'udp'] as const).map(async (kind) => {
        const seen = await pods[from].prober.ask(kind, pods[to].ip[family]!, 80, ms);
        return seen === pods[from].ip[family];
      }),
      pods[from].netns
        .try(`ping -n -q -c 1 -W ${Math.ceil(ms / 1_000)} ${pods[to].ip[family]!}`)
        .then(({ code }) => code === 0),
    ]),
  );
  if (new Set(answers).size > 1) throw new Error(`${from} to ${to}: ${answers.join(' ')}`);
  return answers[0] ?? false;
}

const within: [Name, Name][] = [
  ['redM0', 'redM1'],
  ['redM1', 'redM0'],
  ['redM0', 'redD0'],
  ['redD0', 'redM1'],
  ['blueM0', 'blueM1'],
  ['blueD0', 'blueM0'],
];
const between: [Name, Name][] = [
  ['redM0', 'blueM0'],
  ['blueM0', 'redM0'],
  ['redM0', 'blueM1'],
  ['blueM1', 'redM0'],
  ['redD0', 'blueD0'],
  ['blueD0', 'redD0'],
  ['redD0', 'blueM1'],
  ['blueM1', 'redD0'],
];

test("kube-proxy's accept rules at the head of the filter chains change nothing for either half", async () => {
  for (const [from, to] of within) expect([from, to, await reaches(from, to)]).toEqual([from, to, true]);
  for (const [from, to] of between) {
    await pods[to].delivered.reset();
    expect([from, to, await reaches(from, to, 700)]).toEqual([from, to, false]);
    expect(await pods[to].delivered.from(pods[from].ip[4], pods[from].ip[6])).toBe(0);
  }
});

test('two networks reach each other only once both allow it', async () => {
  const other: NetworkOptions = { ...blue, isolation: { mode: 'Isolated', allow: [] } };
  await bed.apply([friendly, other]);
  for (const [from, to] of between.slice(0, 4)) expect(await reaches(from, to, 700)).toBe(false);
  await bed.apply([friendly, { ...blue, isolation: { mode: 'Isolated', allow: ['red'] } }]);
  for (const [from, to] of between) expect([from, to, await reaches(from, to)]).toEqual([from, to, true]);
});

test('rules hold without an agent, and a starting agent finds them in place', async () => {
  // an agent runs here only during a pass
  expect(await reaches('blueM1', 'redM0', 700)).toBe(false);
  for (const { changes } of await bed.apply([isolated, blue])) expect(changes).toBe(0);
});

describe('a stricter isolation', () => {
  const hold = async (from: Name, to: string, port = 80) => {
    expect(await pods[from].prober.ask('hold', to, port)).toBeDefined();
  };
  const say = (from: Name, to: string, port = 80, ms = 10_000) => pods[from].prober.ask('say', to, port, ms);
  const serviceIP = { 4: '10.96.0.20', 6: 'fd00:96::20' };

  const holdAll = async () => {
    for (const family of families) {
      await hold('redM0', pods.blueM0.ip[family]!);
      await hold('redM0', pods.blueM1.ip[family]!);
      await hold('redM0', serviceIP[family], 8080);
      await hold('blueM1', pods.redM0.ip[family]!);
      await hold('redM0', pods.redM1.ip[family]!);
      await hold('blueM0', pods.blueM1.ip[family]!);
      await hold('blueM0', serviceIP[family], 8080);
    }
  };
  const expectEnded = async () => {
    for (const family of families) {
      const ended = await Promise.all([
        say('redM0', pods.blueM0.ip[family]!, 80, 700),
        say('redM0', pods.blueM1.ip[family]!, 80, 700),
        say('redM0', serviceIP[family], 8080, 700),
        say('blueM1', pods.redM0.ip[family]!, 80, 700),
      ]);
      expect(ended).toEqual([undefined, undefined, undefined, undefined]);
      const alive = await Promise.all([
        say('redM0', pods.redM1.ip[family]!),
        say('blueM0', pods.blueM1.ip[family]!),
        say('blueM0', serviceIP[family], 8080),
      ]);
      expect(alive).not.toContain(undefined);
    }
  };
  const owed = async () => (await bed.node(0).sh('ipset list -n')).includes('overlaynet-unflushed');

  test.each<[string, NetworkOptions]>([
    ['isolation begins', red],
    ['a network is allowed no more', friendly],
  ])('ends existing connections, also through Services, and keeps the others: %s', async (_, before) => {
    // one node treats unknown connections as new, the other one as invalid
    await bed.node(1).sh('sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0');
    await bed.apply([before, blue]);
    await holdAll();
    for (const family of families) expect(await say('redM0', pods.blueM1.ip[family]!)).toBeDefined();
    await bed.apply([isolated, blue]);
    await expectEnded();
    expect(await owed()).toBe(false);
  });

  test('sets change before rules, and rules before the flush; a looser isolation flushes nothing', async () => {
    const programs: string[] = [];
    const noting: Run = (program, args, options) => {
      programs.push(/restore/.test([program, ...args].join(' ')) ? program : '');
      if (program === 'conntrack') programs.push('conntrack');
      return bed.node(0).run(program, args, options);
    };
    const path = new DataPath({ log: silent, run: noting });
    const pass = async (...networks: NetworkOptions[]) => {
      programs.length = 0;
      await path.reconcile(cluster(2, 0, { networks }));
      return [...new Set(programs.filter((name) => name !== ''))];
    };
    await pass(red, blue);
    expect(await pass(friendly, blue)).toEqual([
      'ipset',
      'iptables-nft-restore',
      'ip6tables-nft-restore',
      'conntrack',
    ]);
    expect(await pass(isolated, blue)).toEqual(['ipset', 'conntrack']);
    expect(await pass(friendly, blue)).toEqual(['ipset']);
  });

  test('a flush that failed, or that a killed agent did not reach, is reported and done later', async () => {
    await bed.apply([red, blue]);
    await holdAll();
    const without: Run = (program, args, options) =>
      program === 'conntrack'
        ? Promise.reject(new CommandError('conntrack: not found; install conntrack'))
        : bed.node(0).run(program, args, options);
    const snapshot = cluster(2, 0, { networks: [isolated, blue] });
    const outcome = await new DataPath({ log: silent, run: without }).reconcile(snapshot);
    expect(outcome.failures).toMatchObject([
      { network: 'red', message: expect.stringMatching(/may go on: conntrack: not found/) as string },
    ]);
    expect(await owed()).toBe(true);
    await bed.apply([isolated, blue]);
    await expectEnded();
    expect(await owed()).toBe(false);
  });
});

test("a failure to write rules is reported with the tool's message", async () => {
  await bed.apply([red, blue]);
  const refusing: Run = (program, args, options) =>
    program === 'ip6tables-nft-restore'
      ? Promise.resolve({ stdout: '', stderr: 'ip6tables: no xt_conntrack today', code: 4 })
      : bed.node(0).run(program, args, options);
  const { failures } = await new DataPath({ log: silent, run: refusing }).reconcile(
    cluster(2, 0, { networks: [isolated, blue] }),
  );
  expect(failures).toEqual([
    {
      rules: true,
      message: 'ip6tables-nft-restore: ip6tables: no xt_conntrack today',
      command: 'ip6tables-nft-restore -w 5 --noflush',
    },
  ]);
});

test("a container of Docker's half cannot get into an isolated network by forging its address", async () => {
  const { netns } = pods.blueD0;
  const { delivered, ip } = pods.redM0;
  const forged = ['9.1.0.77', '9.1.1.77', '9.1.0.199', 'fd01:1::77', 'fd01:1::1:0:0:77', 'fd01:1::8000:0:77'];
  await delivered.reset();
  for (const source of forged) {
    const family = source.includes(':') ? 6 : 4;
    await netns.sh(
      `ip addr add ${source}/${family === 6 ? 128 : 32} dev eth0${family === 6 ? ' nodad' : ''}`,
    );
    await netns.try(`ping -n -q -i 0.2 -c 5 -w 2 -I ${source} ${ip[family]!}`);
    await netns.sh(`ip addr del ${source}/${family === 6 ? 128 : 32} dev eth0`);
  }
  expect(await delivered.from(...forged)).toBe(0);
});
