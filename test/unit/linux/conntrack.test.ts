import { desired } from '../../../src/dataplane/desired.ts';
import { endForbidden } from '../../../src/linux/conntrack.ts';
import type { Run } from '../../../src/linux/run.ts';
import { cluster } from '../../support/cluster.ts';

const network = (index: number, name: string, hosts?: 'Allow' | 'Deny') => ({
  name,
  subnets: [{ cidr: `9.${index}.0.0/16`, prefix: 24 }],
  ...(hosts === undefined ? {} : { isolation: { mode: 'Isolated' as const, hosts } }),
});

const tcp = (from: string, to: string) =>
  `tcp 6 100 ESTABLISHED src=${from} dst=${to} sport=4000 dport=80 src=${to} dst=${from} sport=80 dport=4000 [ASSURED]`;

/** What is asked of conntrack where the kernel has these connections. */
async function asked(networks: ReturnType<typeof network>[], connections: string[]): Promise<string[]> {
  const policy = desired(cluster(2, 0, { networks }))?.policy;
  if (policy === undefined) throw new Error('nothing is isolated');
  const calls: string[] = [];
  const run: Run = (_, args, options) => {
    calls.push(args.join(' '));
    if (args[0] === '-L') connections.forEach((line) => options?.onLine?.(line));
    return Promise.resolve({ stdout: '', stderr: '', code: 0 });
  };
  expect(await endForbidden(run, policy, new Set(['172.17.0.2']))).toEqual([]);
  return calls;
}

test('a connection that the policy forbids ends, among thousands from outside', async () => {
  const outside = Array.from({ length: 5_000 }, (_, index) =>
    tcp(`8.8.${index >> 8}.${index & 255}`, '9.1.0.2'),
  );
  const calls = await asked(
    [network(1, 'red', 'Allow'), network(2, 'blue')],
    [...outside, tcp('9.2.0.2', '9.1.0.2')],
  );
  expect(calls).toEqual(['-L -f ipv4', '-D -f ipv4 -s 9.2.0.0/16 -d 9.1.0.0/16']);
});

test("hosts' connections count where a network is closed to hosts", async () => {
  const calls = await asked([network(1, 'red', 'Deny')], [tcp('172.17.0.2', '9.1.1.2')]);
  expect(calls).toEqual(['-L -f ipv4', '-D -f ipv4 -s 172.17.0.2 -d 9.1.0.0/16']);
});

test('conntrack itself leaves out what began elsewhere than in the one overlay that there is', async () => {
  expect(await asked([network(1, 'red', 'Allow')], [])).toEqual(['-L -f ipv4 -s 9.1.0.0/16']);
});
