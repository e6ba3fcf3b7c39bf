import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { administrator } from '../../hack/testbed/controlplane.ts';
import { nodesOf } from '../../hack/testbed/namespaces.ts';
import { end, until } from '../../hack/testbed/processes.ts';
import { startAgent, startOperator, working } from '../../hack/testbed/workloads.ts';
import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, allocationLedgers, overlayAgents } from '../../src/kube/resources.ts';
import { recordedBundle, versions } from '../support/recorded.ts';
import {
  addressOf,
  agentReady,
  hackLab,
  kernelOf,
  kubectl,
  lab,
  manifest,
  pinging,
  settledKernel,
  withdraw,
} from '../support/lab.ts';

/** The oldest recorded version's programs run in one cluster with this version's, as during an update and a rollback. */

const [version = ''] = versions;
const dir = mkdtempSync(join(tmpdir(), 'ovt-versions-'));
const before = { agent: join(dir, 'agent.js'), operator: join(dir, 'operator.js') };
let client: Client;

beforeAll(async () => {
  for (const program of ['agent', 'operator'] as const)
    writeFileSync(before[program], recordedBundle(program, version));
  client = await administrator(lab);
});
afterAll(async () => {
  for (const name of ['mixed', 'later']) await withdraw(name);
  await client.close();
  rmSync(dir, { recursive: true });
});

/** Returns each node's blocks and VTEP. */
async function holdings(): Promise<Map<string, string[]>> {
  const { items } = await client.list(agentAllocations);
  return new Map(
    items.map(({ metadata, spec }) => [
      metadata.name,
      [
        spec.vtep?.ip ?? '',
        ...(spec.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
      ].sort(),
    ]),
  );
}

/** Checks that no block belongs to two nodes, in AgentAllocations and in the ledger. */
async function noBlockTwice(): Promise<void> {
  const shown = [...(await holdings()).values()].flat();
  expect(new Set(shown).size).toBe(shown.length);
  const { items } = await client.list(allocationLedgers);
  for (const { metadata, spec } of items) {
    const indexes = (spec.page?.blocks ?? []).map(({ index }) => index);
    expect([metadata.name, new Set(indexes).size]).toEqual([metadata.name, indexes.length]);
  }
}

/**
 * Adds a network while both versions run: each node must get its own block of it and its data path.
 * @param networks the number of networks then
 */
async function comes(name: string, cidr: string, cidr6: string, networks: number): Promise<void> {
  await kubectl(['apply', '-f', '-'], manifest(name, cidr, cidr6));
  for (const node of nodesOf(lab)) await working(lab, client, node, networks);
  await noBlockTwice();
  const hub = (await holdings())
    .get('node3')!
    .find((block) => block.startsWith(cidr.replace(/\.0\.0\/16/, '.')));
  expect(hub).toBeDefined();
  const bridge = hub!.replace(/0\/24$/, '1');
  await hackLab('run', 'node2', name, '--name', 'probe', '--', 'ping', '-n', '-c', '2', '-W', '1', bridge);
}

test('an agent of an earlier version works with operators of this one, and is replaced without a lost packet', async () => {
  const [kernel, held] = [await settledKernel('node3'), await holdings()];
  const traffic = await pinging({ node: 'node2', name: 'dcos' }, addressOf('node3', 'dcos'));
  await hackLab('agent', 'stop', 'node3');
  try {
    startAgent(lab, 'node3', before.agent);
    await agentReady('node3');
    expect(await kernelOf('node3')).toBe(kernel);
    // it keeps fields that a person, or a later version, has added
    await kubectl(['annotate', 'overlayagent', 'node3', 'example.com/kept=yes']);
    await kubectl(['label', 'overlayagent', 'node3', 'example.com/rack=a']);
    await comes('mixed', '10.82.0.0/16', 'fd82::/48', 3);
    const { metadata } = (await client.get(overlayAgents, 'node3'))!;
    expect([metadata.annotations, metadata.labels]).toMatchObject([
      { 'example.com/kept': 'yes' },
      { 'example.com/rack': 'a' },
    ]);
    await withdraw('mixed');
  } finally {
    // also after a failure: other files' tests need this version's agent
    await end(lab, { role: 'agent-node3' }, 'SIGTERM');
    startAgent(lab, 'node3');
    await agentReady('node3');
  }
  const { sent, received } = await traffic.stop();
  expect(sent).toBeGreaterThan(20);
  expect(received).toBe(sent);
  expect(await holdings()).toEqual(held);
});

test('an operator of an earlier version works with agents of this one, keeps unknown fields, and gives no block twice', async () => {
  const held = await holdings();
  await kubectl(
    ['apply', '-f', '-'],
    `
apiVersion: overlaynet.dev/v1alpha1
kind: OverlayNetwork
metadata: { name: later }
spec:
  subnets:
    - { cidr: 10.83.0.0/16, prefix: 24 }
    - { cidr: 10.84.0.0/16, prefix: 24, removeWhenDrained: true }
`,
  );
  for (const node of nodesOf(lab)) await working(lab, client, node, 3);
  for (const number of [1, 2]) await hackLab('operator', 'stop', String(number));
  startOperator(lab, 1, undefined, before.operator);
  startOperator(lab, 2, undefined, before.operator);
  try {
    await comes('mixed', '10.85.0.0/16', 'fd85::/48', 4).catch(async (error: unknown) => {
      throw new Error(await kubectl(['describe', 'overlaynetworks']), { cause: error });
    });
    await withdraw('mixed');
    expect(
      await kubectl(['get', 'onet', 'later', '-o', 'jsonpath={.spec.subnets[1].removeWhenDrained}']),
    ).toBe('true');
  } finally {
    for (const number of [1, 2]) {
      await hackLab('operator', 'stop', String(number));
      await hackLab('operator', 'start', String(number));
    }
    await noBlockTwice();
    await withdraw('later');
  }
  await until('what was there before is there', async () =>
    JSON.stringify([...(await holdings())]) === JSON.stringify([...held]) ? true : undefined,
  );
});
