import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Parts } from '../../hack/parts.ts';
import { CommandFailed } from '../../hack/parts/command.ts';
import { addContainer } from '../../hack/testbed/containers.ts';
import { administrator } from '../../hack/testbed/controlplane.ts';
import { root } from '../../hack/testbed/lab.ts';
import { addNamespace, nodesOf } from '../../hack/testbed/namespaces.ts';
import { end, until } from '../../hack/testbed/processes.ts';
import { allocated, installNode, registerNode, startAgent, working } from '../../hack/testbed/workloads.ts';
import { hackLab, kubectl, lab, manifest, onNode, settledKernel, withdraw } from '../support/lab.ts';
import { difference, tracesIn, type Traces } from '../support/residue.ts';

/** Nothing remains of a network, a node or an installation, in any program that could show it. */

const added = 'node7';

const tracesOf = async (node: string): Promise<Traces> => {
  // the kernel still tests the addresses of a new link for duplicates
  await until(`addresses of ${node}`, async () =>
    (await onNode(node, 'ip', '-6', 'address', 'show', 'tentative')) === '' ? true : undefined,
  );
  const lines = await tracesIn((command) => onNode(node, 'sh', '-c', command));
  // the checkpoint contains versions of objects, which may change
  return lines.filter((line) => !/^contents: .*checkpoint\.json$/.test(line));
};

const everywhere = async (): Promise<Record<string, Traces>> =>
  Object.fromEntries(
    await Promise.all(nodesOf(lab).map(async (node) => [node, await tracesOf(node)] as const)),
  );

/** Waits until every node shows what it showed before. Returns the remaining differences. */
async function asBefore(before: Record<string, Traces>): Promise<string[]> {
  const differ = async () => {
    const now = await everywhere();
    return Object.entries(before).flatMap(([node, lines]) =>
      difference(lines, now[node] ?? []).map((line) => `${node} ${line}`),
    );
  };
  await until('nothing is left', async () => ((await differ()).length === 0 ? true : undefined)).catch(
    () => undefined,
  );
  return differ();
}

const agent = (node: string, ...args: string[]) =>
  onNode(node, process.execPath, join(root, 'dist', 'agent.js'), ...args);

/** Runs `agent cleanup --check`; returns its exit status and output. */
async function check(node: string): Promise<{ code: number; said: string }> {
  try {
    return { code: 0, said: await agent(node, 'cleanup', '--check') };
  } catch (error) {
    if (error instanceof CommandFailed) return { code: error.code, said: error.stderr };
    throw error;
  }
}

afterEach(async () => {
  await withdraw('passing');
  if (nodesOf(lab).includes(added)) await hackLab('node', 'remove', added);
});

test('a network that was deleted leaves nothing on any node', async () => {
  for (const node of nodesOf(lab)) await settledKernel(node);
  const before = await everywhere();
  await kubectl(['apply', '-f', '-'], manifest('passing', '10.86.0.0/16', 'fd86::/48'));
  const there = (node: string) => async () =>
    (await onNode(node, 'ls', '/etc/cni/overlaynet.d')).includes('passing.conflist') ? true : undefined;
  for (const node of ['node2', 'node3']) await until(`passing on ${node}`, there(node));
  await hackLab('run', 'node2', 'passing', '--name', 'probe', '--', 'true');
  const now = await tracesOf('node2');
  expect(difference(before['node2']!, now).length).toBeGreaterThan(20);
  await kubectl(['delete', 'overlaynetwork', 'passing', '--wait=false']);
  expect(await asBefore(before)).toEqual([]);
  expect(await kubectl(['get', 'overlaynetworks', '-o', 'name'])).not.toContain('passing');
  expect(await kubectl(['get', 'agentallocations', '-o', 'yaml'])).not.toContain('passing');
});

test('a node that was removed leaves nothing on the others, and no object', async () => {
  const before = await everywhere();
  await hackLab('node', 'add', added);
  await until('node2 has its route', async () =>
    difference(before['node2']!, await tracesOf('node2')).length > 5 ? true : undefined,
  );
  await hackLab('node', 'remove', added);
  expect(await asBefore(before)).toEqual([]);
  const objects = async () =>
    (await kubectl(['get', 'nodes,overlayagents,agentallocations', '-o', 'name'])).includes(added)
      ? undefined
      : true;
  await until('its objects are gone', objects);
});

test('agent cleanup leaves a node as it was before the installation, except sysctls', async () => {
  const client = await administrator(lab);
  await addNamespace(lab, added);
  const before = await tracesOf(added);
  expect(await check(added)).toEqual({ code: 0, said: 'nothing of overlaynet is here\n' });
  try {
    await registerNode(lab, client, added);
    await installNode(lab, added);
    startAgent(lab, added);
    const { spec } = await allocated(lab, client, added, 1);
    await working(lab, client, added, (spec.networks ?? []).length);
  } finally {
    await client.close();
  }
  await hackLab('run', added, 'dcos', '--name', 'gone', '--', 'true');
  // the cleanup must remove its link, record and leases
  const parts = JSON.parse(readFileSync(join(lab.dir, 'parts.json'), 'utf8')) as Parts;
  await addContainer(lab, parts, { node: added, network: 'dcos', name: 'stays' });
  const running = await tracesOf(added);

  const { code, said } = await check(added);
  expect(code).toBe(1);
  const kinds = ['links', 'addresses', 'nexthops', 'routes', 'routing rules', 'ipsets', 'iptables chains'];
  kinds.push('neighbours', 'FDB entries', 'nftables tables');
  for (const kind of kinds) expect(said).toMatch(new RegExp(`^${kind} \\(\\d+\\): `, 'm'));
  for (const path of ['/var/lib/overlaynet/checkpoint.json', '/run/overlaynet/agent.sock'])
    expect(said).toContain(`${path}\n`);
  expect(said).toContain('agent: cleanup --check: the lines above are of overlaynet');

  const would = await agent(added, 'cleanup', '--dry-run');
  expect(would).toContain('would remove links (');
  expect(would).toContain('an agent runs on this node: stop it first');
  expect(difference(running, await tracesOf(added))).toEqual([]);

  await expect(agent(added, 'cleanup')).rejects.toThrow('an agent runs on this node');
  await end(lab, { role: `agent-${added}` }, 'SIGTERM');
  await agent(added, 'cleanup');
  await onNode(added, 'ip', 'netns', 'del', 'stays');
  rmSync(join(lab.dir, 'containers', added), { recursive: true });
  expect(await check(added)).toEqual({ code: 0, said: 'nothing of overlaynet is here\n' });
  const left = difference(before, await tracesOf(added));
  expect(left.filter((line) => !/^[+-] sysctls: /.test(line))).toEqual([]);
  // docs/reference/node.md lists these
  const changed = left.filter((line) => line.startsWith('+')).map((line) => line.split(' ')[2]);
  const known =
    /^(ipv4\/ip_forward|ipv6\/conf\/\S+\/forwarding|ipv4\/conf\/all\/(forwarding|accept_redirects|src_valid_mark)|bridge\/bridge-nf-call-ip6?tables|ipv[46]\/neigh\/default\/gc_thresh[123])$/;
  expect(changed.filter((path) => !known.test(path ?? ''))).toEqual([]);
});
