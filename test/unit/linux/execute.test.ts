import { emptyPlan, type KernelPlan } from '../../../src/dataplane/change.ts';
import { execute } from '../../../src/linux/execute.ts';
import { CommandError, type Run } from '../../../src/linux/run.ts';

const answering =
  (answers: Record<string, string>, seen: string[] = []): Run =>
  (program, _, options) => {
    seen.push(`${program}: ${options?.input ?? ''}`);
    const input = options?.input ?? '';
    // `ip` shows the loopback link wherever it is asked for it between the lines
    const stdout = 'lo UNKNOWN\n'.repeat(input.split('link show dev lo\n').length - 1);
    const stderr = (answers[program] ?? '').replace(/(?<=Command failed -:)\d+/g, (line) =>
      String(program === 'ip' ? input.split('\n').indexOf(linesOf(input)[Number(line) - 1] ?? '') + 1 : line),
    );
    return Promise.resolve({ stdout, stderr, code: stderr === '' ? 0 : 1 });
  };

/** Without the marks. */
const linesOf = (input: string) => input.split('\n').filter((line) => line !== 'link show dev lo');

const all = (plan: KernelPlan) => Object.keys(plan) as (keyof KernelPlan)[];

const route = (network: string, to: string) =>
  ({
    kind: 'addRoute',
    network,
    link: 'vtep1',
    route: { network, to, table: 254, metric: 0, nexthop: 5 },
  }) as const;

test('a program runs once a step, whatever it has to change, and not at all without changes', async () => {
  const plan = emptyPlan();
  plan.fdb.push({ kind: 'setFDB', link: 'vtep1', mac: '02:00:00:00:00:01', to: '10.0.0.1' });
  plan.fdb.push({ kind: 'deleteFDB', link: 'vtep1', mac: '02:00:00:00:00:02' });
  const seen: string[] = [];
  expect(await execute(answering({}, seen), plan, all(plan))).toEqual([]);
  expect(seen).toHaveLength(1);
  expect(seen[0]?.split('\n')).toHaveLength(3);
});

test("a failed line is a failure of its network, in the program's words, reported once for each reason", async () => {
  const plan = emptyPlan();
  plan.routing.push(route('dcos', '9.0.1.0/24'), route('lab', '10.0.1.0/24'), route('lab', '10.0.2.0/24'));
  plan.routing.push({ kind: 'addRule', rule: 'from 9.0.0.0/8 lookup 42 pref 142' });
  const stderr = [
    ...[
      'Error: Nexthop id does not exist.',
      'Command failed -:2',
      'Error: Nexthop id does not exist.',
      'Command failed -:3',
    ],
    ...['RTNETLINK answers: Operation not permitted', 'Command failed -:4', ''],
  ].join('\n');
  expect(await execute(answering({ ip: stderr }), plan, all(plan))).toEqual([
    {
      network: 'lab',
      message:
        'ip: Error: Nexthop id does not exist. (route add 10.0.1.0/24 table 254 metric 0 proto 142 nhid 5) and 1 more',
      command: 'ip route add 10.0.1.0/24 table 254 metric 0 proto 142 nhid 5',
    },
    {
      message:
        'ip: RTNETLINK answers: Operation not permitted (rule add from 9.0.0.0/8 lookup 42 pref 142 protocol 142)',
      command: 'ip rule add from 9.0.0.0/8 lookup 42 pref 142 protocol 142',
    },
  ]);
});

test('changes that need a link that could not be made report nothing more', async () => {
  const plan = emptyPlan();
  plan.linkLayer.push(
    { kind: 'linkUp', name: 'vtep1' },
    { kind: 'setNeighbour', link: 'vtep1', address: '10.0.0.1', mac: '' },
  );
  plan.fdb.push({ kind: 'setFDB', link: 'vtep1', mac: '', to: '10.0.0.1' });
  const ip =
    'RTNETLINK answers: Address already in use\nCommand failed -:1\nCannot find device\nCommand failed -:2\n';
  expect(
    await execute(
      answering({ ip, bridge: 'Cannot find device "vtep1"\nCommand failed -:1\n' }),
      plan,
      all(plan),
    ),
  ).toEqual([
    {
      message: 'ip: RTNETLINK answers: Address already in use (link set vtep1 up)',
      command: 'ip link set vtep1 up',
    },
  ]);
});

test("ipset's way of failing is understood, a program that is missing does not stop the others", async () => {
  const plan = emptyPlan();
  plan.sets.push({ kind: 'createSet', name: 'overlaynet-overlays-4', family: 4 });
  plan.fdb.push({ kind: 'deleteFDB', link: 'vtep1', mac: '' });
  const ipset = 'ipset v7.17: Error in line 1: Kernel error received: Operation not permitted\n';
  const bare = answering({ ipset });
  const run: Run = (program, args, options) =>
    program === 'bridge'
      ? Promise.reject(new CommandError('bridge: not found; install iproute2'))
      : bare(program, args, options);
  const words = (await execute(run, plan, all(plan))).map(({ message }) => message);
  expect(words).toEqual([
    expect.stringMatching(
      /^ipset: Kernel error received: Operation not permitted \(create overlaynet-overlays-4/,
    ),
    'bridge: not found; install iproute2',
  ]);
});

test.each([
  ['6 9.0.1.0/24', 'blackhole 9.0.1.0/24'],
  ['9.0.1.0/24 dev eth1', '9.0.1.0/24 dev eth1'],
])('the route in the way, %s, is named as a person knows it', async (shown, words) => {
  const plan = emptyPlan();
  plan.routing.push(route('dcos', '9.0.1.0/24'));
  const ip = 'RTNETLINK answers: File exists\nCommand failed -:1\n';
  const bare = answering({ ip });
  const run: Run = (program, args, options) =>
    args.includes('exact')
      ? Promise.resolve({ stdout: `${shown} \n`, stderr: '', code: 0 })
      : bare(program, args, options);
  const [failure] = await execute(run, plan, all(plan));
  expect(failure?.message).toContain(`the node has a route of its own there, ${words}`);
});
