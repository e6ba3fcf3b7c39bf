import type { Isolation } from '../../src/api/types.ts';
import { Bed, type Pod } from '../support/bed.ts';
import type { NetworkOptions } from '../support/cluster.ts';
import { proxy } from '../support/services.ts';

/** Rows are callers, columns are the called, in this order; `y`: passes. */
const expected: Record<string, string> = {
  'open-1': 'yy.y....',
  'open-2': 'yy.....y',
  alone: '..y.....',
  hub: 'y..yyy..',
  'spoke-1': '...yy...',
  'spoke-2': '...y.y..',
  'one-sided': '......y.',
  closed: '.y.....y',
};
const names = Object.keys(expected);
const passes = (from: string, to: string) => expected[from]?.[names.indexOf(to)] === 'y';

/**
 * Seconds to wait. Permitted traffic may be slow on a busy machine; refused traffic is counted where it would arrive.
 */
const patience = (from: string, to: string) => (passes(from, to) ? 10 : 1);

const isolation: Record<string, Isolation> = {
  alone: { mode: 'Isolated' },
  hub: { mode: 'Isolated', allow: ['open-1', 'spoke-1', 'spoke-2'] },
  'spoke-1': { mode: 'Isolated', allow: ['hub'] },
  'spoke-2': { mode: 'Isolated', allow: ['hub'] },
  // open-2, alone and spoke-1 do not allow it, and only open-2 need not
  'one-sided': { mode: 'Isolated', allow: ['alone', 'spoke-1'] },
  closed: { mode: 'Isolated', allow: ['open-2', 'spoke-2'], hosts: 'Deny' },
};

/** Networks of one family; the others have both. */
const single: Record<string, 4 | 6> = { alone: 4, 'spoke-2': 6 };

const networks: NetworkOptions[] = names.map((name, index) => {
  const both = Bed.network(
    index + 1,
    name,
    isolation[name] === undefined ? {} : { isolation: isolation[name] },
  );
  const only = single[name];
  return only === undefined ? both : { ...both, subnets: [both.subnets[only === 4 ? 0 : 1]!] };
});

const bed = new Bed();
const callers = new Map<string, Pod>();
/** Called pods by `network node`. */
const called = new Map<string, Pod>();

beforeAll(async () => {
  await bed.up(networks);
  for (const node of bed.wire.nodes) await proxy(node, []);
  for (const [index, name] of names.entries()) {
    // each kind of half calls each: a network's caller is in one half, and the pod that is called on that node is in
    // the other
    const [one, other] = index % 2 === 0 ? (['cni', 'docker'] as const) : (['docker', 'cni'] as const);
    callers.set(name, await bed.pod(name, 0, { half: one }));
    called.set(`${name} 0`, await bed.pod(name, 0, { half: other }));
    called.set(`${name} 1`, await bed.pod(name, 1, { half: one }));
  }
});
afterAll(() => bed.down());

interface Call {
  from: string;
  to: string;
  node: number;
  family: 4 | 6;
  how: 'TCP' | 'UDP' | 'ICMP';
  answered: boolean;
}

async function callAll(from: string): Promise<Call[]> {
  const { prober, netns, ip } = callers.get(from)!;
  const targets = names.flatMap((to) =>
    [0, 1].flatMap((node) =>
      ([4, 6] as const)
        .map((family) => ({ from, to, node, family, address: called.get(`${to} ${node}`)?.ip[family] }))
        .filter(({ family, address }) => address !== undefined && ip[family] !== undefined),
    ),
  );
  const script =
    'while [ $# -gt 0 ]; do (ping -n -q -c 1 -W $2 $1 >/dev/null && echo $1) & shift 2; done; wait';
  const args = targets.flatMap(({ to, address = '' }) => [address, String(patience(from, to))]);
  const pinged = netns
    .run('sh', ['-c', script, 'sh', ...args])
    .then(({ stdout }) => new Set(stdout.split('\n')));
  return Promise.all(
    targets.flatMap(({ address = '', ...call }) => [
      ...(['tcp', 'udp'] as const).map(async (kind) => {
        const seen = await prober.ask(kind, address, 80, patience(from, call.to) * 1_000);
        const how = kind === 'tcp' ? 'TCP' : 'UDP';
        return { ...call, how, answered: seen !== undefined } satisfies Call;
      }),
      pinged.then((all) => ({ ...call, how: 'ICMP', answered: all.has(address) }) satisfies Call),
    ]),
  );
}

/**
 * Formats the matrix as Markdown. A cell is `yes`, empty, or what passes if not everything does, or `–` without a
 * common family.
 */
function draw(calls: Call[]): string {
  const cell = (from: string, to: string) => {
    const those = calls.filter((call) => call.from === from && call.to === to);
    const passed = those.filter(({ answered }) => answered);
    if (those.length === 0) return '–';
    if (passed.length === those.length) return 'yes';
    return [...new Set(passed.map(({ node, family, how }) => `${how}${family}@${node}`))].join(' ');
  };
  const table = [
    ['from \\ to', ...names],
    ['', ...names].map(() => '---'),
    ...names.map((from) => [from, ...names.map((to) => cell(from, to))]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table
    .map((row) => row.map((text, column) => text.padEnd(widths[column]!, text === '---' ? '-' : ' ')))
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

test('8 networks × all pairs × CNI and Docker × one node and two × IPv4 and IPv6 × TCP, UDP, ICMP: exactly what both sides allow passes', async () => {
  const calls: Call[] = (await Promise.all(names.map(callAll))).flat();
  let unintended = 0;
  for (const { delivered, ip } of called.values()) {
    const [to = ''] = [...called].find(([, pod]) => pod.ip === ip)?.[0].split(' ') ?? [];
    for (const from of names.filter((name) => !passes(name, to))) {
      const caller = callers.get(from)!;
      unintended += await delivered.from(caller.ip[4], caller.ip[6]);
    }
  }
  const refused = calls.filter(({ answered }) => !answered).length;
  process.stdout.write(
    `\n${draw(calls)}\n\n${calls.length} calls, ${calls.length - refused} answered, ${refused} refused; ` +
      `${unintended} unintended packets delivered\n\n`,
  );
  const wrong = calls.filter(({ from, to, answered }) => answered !== passes(from, to));
  expect(wrong).toEqual([]);
  expect(unintended).toBe(0);
  // each pair with a common family was tried
  const pairs = new Set(calls.map(({ from, to }) => `${from} ${to}`));
  expect(pairs.size).toBe(names.length ** 2 - 2);
});
