import { CommandFailed } from '../../hack/parts/command.ts';
import { addressesOf } from '../../hack/testbed/lab.ts';
import { inNode } from '../../hack/testbed/namespaces.ts';
import { containerNamed, within } from '../../hack/testbed/containers.ts';
import { parsePing } from '../../hack/testbed/pings.ts';
import { addressOf, hackLab, inContainer, lab, onNode, running } from '../support/lab.ts';

const ping = ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '1'];

/** Runs `work` while tcpdump listens; returns the packets as `source > destination`. */
async function captured(argv: string[], filter: string, work: () => Promise<unknown>): Promise<string[]> {
  const dump = await running(
    [...argv, 'tcpdump', '-lnni', 'any', '--immediate-mode', filter],
    /listening on/,
  );
  await work();
  const output = await dump.stop();
  return [...output.matchAll(/ IP6? (\S+ > \S+):/g)].map((match) => match[1]!);
}

describe('containers on different nodes', () => {
  test.each(['dcos', 'dcos6'])(
    'ping each other over %s, and each sees the real address of the other',
    async (name) => {
      const [from, to] = [addressOf('node2', name), addressOf('node3', name)];
      const seen = await captured(
        within(lab, containerNamed(lab, 'node3', name), []),
        'icmp[icmptype] = icmp-echo or icmp6[icmp6type] = icmp6-echo',
        async () => {
          expect(parsePing(await inContainer('node2', name, ...ping, to))).toMatchObject({
            sent: 3,
            received: 3,
          });
        },
      );
      expect(seen).toContain(`${from} > ${to}`);
      expect(seen.filter((one) => !one.startsWith(`${from} > `))).toEqual([]);
    },
  );

  test.each(['node1', 'node2', 'node3'])('ping %s’s own address, and it sees theirs', async (node) => {
    const [to] = addressesOf(node);
    const seen = await captured(inNode(lab, node), 'icmp[icmptype] = icmp-echo', async () => {
      expect(parsePing(await inContainer('node2', 'dcos', ...ping, to))).toMatchObject({
        sent: 3,
        received: 3,
      });
    });
    expect(seen).toContain(`${addressOf('node2', 'dcos')} > ${to}`);
    expect(seen.filter((one) => !one.startsWith(`${addressOf('node2', 'dcos')} > `))).toEqual([]);
  });

  test.each([
    ['node1', 'dcos'],
    ['node2', 'dcos'],
    ['node1', 'dcos6'],
    ['node2', 'dcos6'],
  ])('answer %s over %s, and see its own addresses', async (node, name) => {
    const to = addressOf('node3', name);
    const own = await onNode(node, 'ip', '-br', 'address', 'show');
    const seen = await captured(
      within(lab, containerNamed(lab, 'node3', name), []),
      'icmp[icmptype] = icmp-echo or icmp6[icmp6type] = icmp6-echo',
      async () => {
        expect(parsePing(await onNode(node, ...ping, to))).toMatchObject({ sent: 3, received: 3 });
      },
    );
    expect(seen.length).toBeGreaterThanOrEqual(3);
    for (const packet of seen) expect(own).toContain(` ${packet.split(' ')[0]!}/`);
  });
});

test('an address in no node’s block is unreachable at once', async () => {
  await expect(inContainer('node2', 'dcos', 'ping', '-n', '-c', '1', '-W', '3', '9.200.0.1')).rejects.toThrow(
    /Unreachable/,
  );
});

test("hack/lab run returns the command's exit status, and the container leaves nothing", async () => {
  const before = await onNode('node2', 'ip', '-br', 'link');
  const failure: unknown = await hackLab(
    'run',
    'node2',
    'dcos',
    '--name',
    'brief',
    '--',
    'sh',
    '-c',
    'exit 7',
  ).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CommandFailed);
  expect(failure).toMatchObject({ code: 7 });
  expect(await onNode('node2', 'ip', '-br', 'link')).toBe(before);
  expect(await hackLab('ls')).not.toContain('brief');
});

test.each([
  [['run', 'node9', 'dcos', '--name', 'c', '--', 'true'], 'it has: node1, node2, node3'],
  [['run', 'node2', 'nope', '--name', 'c', '--', 'true'], 'there: dcos, dcos6'],
  [['run', 'node2', 'dcos', '--name', 'dcos', '--', 'true'], 'node2 has a container "dcos" already'],
  [['exec', 'node2', 'nope', '--', 'true'], 'node2 has no container "nope"; it has: dcos, dcos6'],
  [['agent', 'stop', 'node9'], 'it has: node1, node2, node3'],
  [['operator', 'stop', '7'], 'operators 1 and 2'],
])('hack/lab %j lists what exists', async (args, words) => {
  await expect(hackLab(...args)).rejects.toThrow(words);
});
