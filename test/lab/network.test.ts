import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../hack/testbed/processes.ts';
import { eventually } from '../support/eventually.ts';
import { nodesOf } from '../../hack/testbed/namespaces.ts';
import {
  addressOf,
  filesOf,
  hackLab,
  kubectl,
  lab,
  manifest,
  pinging,
  settledKernel,
  withdraw,
} from '../support/lab.ts';

const third = manifest('third', '10.77.0.0/16', 'fd77::/48');

const everything = async () => {
  const nodes = nodesOf(lab);
  return Object.fromEntries(
    await Promise.all(
      nodes.map(async (node) => [node, [await settledKernel(node), await filesOf(node)]] as const),
    ),
  );
};

/** Waits for the checkpoints, which follow within seconds: another file's test may just have removed a node. */
async function checkpointed(): Promise<true | undefined> {
  const nodes = nodesOf(lab);
  const files = await Promise.all(nodes.map((node) => filesOf(node)));
  const named = files.map(
    (text) => new Set([...text.matchAll(/"node":"(node\d+)"/g)].map(([, node]) => node)),
  );
  return named.every((set) => set.size === nodes.length) ? true : undefined;
}

/** Runs a command in a new container until it succeeds: the network takes a moment to reach the nodes. */
const runOnceThere = (...args: string[]): Promise<string> => eventually(() => hackLab('run', ...args));

afterEach(() => withdraw('third'));

test('adding and deleting a network loses no packet of another one, and leaves nothing', async () => {
  await until('checkpoints of the nodes that are there', checkpointed);
  const before = await everything();
  const traffic = await pinging({ node: 'node2', name: 'dcos' }, addressOf('node3', 'dcos'));

  await kubectl(['apply', '-f', '-'], third);
  const applied = performance.now();
  await runOnceThere('node3', 'third', '--name', 'probe', '--', 'true');
  const ping =
    'ip -br address show dev eth0; ping -n -c 2 -i 0.2 -W 1 10.77.2.1 && ping -n -c 2 -i 0.2 -W 1 fd77:0:0:2::1';
  const output = await runOnceThere('node2', 'third', '--name', 'probe', '--', 'sh', '-c', ping);
  expect(performance.now() - applied).toBeLessThan(10_000);
  expect(output).toMatch(/10\.77\.1\.\d+\/25/);
  expect(output).toMatch(/fd77:0:0:1:/);
  expect(await hackLab('ls')).not.toContain('probe');

  await withdraw('third');
  await sleep(500);
  const { sent, received } = await traffic.stop();
  expect(sent).toBeGreaterThan(20);
  expect(received).toBe(sent);
  expect(withoutRevision(await everything())).toEqual(withoutRevision(before));
});

/**
 * Removes the revision: the checkpoint contains the allocation's revision and versions of objects, which may change.
 */
function withoutRevision(all: Record<string, readonly string[]>): string {
  return JSON.stringify(all, null, 1)
    .replaceAll(/\\"(revision|resourceVersion|seenResourceVersion|generation)\\": ?\\?"?\d+\\?"?/g, '')
    .replaceAll(/\\n/g, '\n');
}
