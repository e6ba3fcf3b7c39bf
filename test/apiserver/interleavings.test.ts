import type { AgentAllocation, AllocationLedger } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import type { ApiError } from '../../src/kube/client.ts';
import { agentAllocations, allocationLedgers, nodes, overlayNetworks } from '../../src/kube/resources.ts';
import { applyNetwork, blocks, joinNode, shown, withLeaders } from '../support/leader.ts';
import { eventually } from '../support/eventually.ts';

/**
 * The interleavings in design.md: a leader sleeps before a write, another one leads, then the first wakes and writes.
 */

let client: Client;
const leader = withLeaders((own) => {
  client = own;
});

const has = async (text: string) => (await blocks(client)).includes(text);
const hasMatch = async (pattern: RegExp) => (await blocks(client)).some((text) => pattern.test(text));

async function nobodySharesABlock(): Promise<void> {
  const all = [...(await shown(client)).values()].flat();
  expect(all).toHaveLength(new Set(all).size);
}

test('a late step 3 after deselection is refused, although the AgentAllocation never showed the block', async () => {
  const selector = { nodeSelector: { matchLabels: { on: 'yes' } } };
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }], selector);
  await joinNode(client, 'node1', '172.17.0.2', { on: 'no' });
  const sleeper = await leader();
  // its VTEP is settled: only the release itself will write its AgentAllocation
  await sleeper.runUntil(async () => (await shown(client)).get('node1')?.length === 1);
  await client.patch(nodes, 'node1', { metadata: { labels: { on: 'yes' } } }, { type: 'merge' });
  await eventually(
    () => sleeper.caches.nodes.get('node1')?.metadata.labels?.on,
    (on) => on === 'yes',
  );
  const { asleep, wake } = sleeper.sleepBefore(
    ({ verb, resource }) => verb === 'update' && resource === 'agentallocations',
  );
  const run = sleeper.run();
  await asleep;
  expect(await hasMatch(/^net-dcos-\d+\/0 node1 Held$/)).toBe(true);
  expect((await shown(client)).get('node1')).toEqual(['44.128.0.1/20']);

  // deselected before the successor looks, which never writes the block either
  await client.patch(nodes, 'node1', { metadata: { labels: { on: 'no' } } }, { type: 'merge' });
  const successor = await leader();
  await successor.runUntil(() => hasMatch(/^net-dcos-\d+\/0 node1 Cooling$/));
  await joinNode(client, 'node2', '172.17.0.3', { on: 'yes' });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await successor.runUntil(async () => (await shown(client)).get('node2')?.includes('9.0.0.0/24') === true);

  wake();
  await run;
  expect(sleeper.refusals).toEqual([expect.objectContaining({ status: 409, reason: 'Conflict' })]);
  expect((await shown(client)).get('node1')).not.toContain('9.0.0.0/24');
  await nobodySharesABlock();
});

test('a late step 3 after the node has gone is refused, and brings nothing back', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  const sleeper = await leader();
  const { asleep, wake } = sleeper.sleepBefore(
    ({ verb, resource }) => verb === 'update' && resource === 'agentallocations',
  );
  const run = sleeper.run();
  await asleep;

  const successor = await leader();
  await client.delete(nodes, 'node1');
  await successor.runUntil(() => hasMatch(/^net-dcos-\d+\/0 node1 Cooling$/));
  expect(await client.get(agentAllocations, 'node1')).toBeUndefined();

  wake();
  await run;
  expect(sleeper.refusals).toHaveLength(1);
  expect((sleeper.refusals[0] as ApiError).status).toBeGreaterThanOrEqual(404);
  expect(await client.get(agentAllocations, 'node1')).toBeUndefined();
});

test('a late create of an AgentAllocation after the release gives nothing out: the API server refuses one with blocks', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  const first = await leader();
  await first.runUntil(() => has('vtep-0/0 node1 Held'));
  await first.runUntil(async () => ((await shown(client)).get('node1')?.length ?? 0) === 2);
  const { metadata, spec } = (await client.get(agentAllocations, 'node1'))!;
  await client.delete(nodes, 'node1');
  await first.runUntil(() => has('vtep-0/0 node1 Cooling'));

  const late: AgentAllocation = {
    apiVersion: agentAllocations.apiVersion,
    kind: agentAllocations.kind,
    metadata: { name: metadata.name },
    spec,
  };
  await expect(client.create(agentAllocations, late)).rejects.toMatchObject({
    status: 422,
    message: expect.stringContaining('must be absent when an AgentAllocation is created'),
  });
  const { revision, nodeUID, addresses } = spec;
  await client.create(agentAllocations, { ...late, spec: { revision, nodeUID, addresses } });
  await first.runUntil(async () => (await client.get(agentAllocations, 'node1')) === undefined);
});

/** Returns a leader that has listed a page of `dcos` and sleeps before it creates it. */
async function sleepsBeforeAPage() {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  const sleeper = await leader();
  const { asleep, wake } = sleeper.sleepBefore(
    ({ verb, name }) => verb === 'create' && name.startsWith('net-dcos-'),
  );
  const run = sleeper.run();
  await asleep;
  const listed = (await client.get(allocationLedgers, 'spaces'))!.spec.index!.spaces.find(
    ({ network }) => network === 'dcos',
  )!;
  const late = `net-dcos-${listed.pages[0]!}`;
  return { sleeper, wake, run, late };
}

test('a late create of a page after the network was recreated is refused by the tombstone', async () => {
  const { sleeper, wake, run, late } = await sleepsBeforeAPage();

  const successor = await leader();
  await client.delete(overlayNetworks, 'dcos');
  await successor.runUntil(
    async () => (await client.get(allocationLedgers, late))?.spec.page?.retired === true,
  );
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await successor.runUntil(async () => ((await shown(client)).get('node1')?.length ?? 0) === 2);

  wake();
  await run;
  expect(sleeper.refusals).toEqual([expect.objectContaining({ status: 409, reason: 'AlreadyExists' })]);
  await nobodySharesABlock();
});

test('a page that is created later than any tombstone is empty: nothing is given out from it, and it is deleted', async () => {
  const { sleeper, wake, run, late } = await sleepsBeforeAPage();

  const successor = await leader();
  await client.delete(overlayNetworks, 'dcos');
  const forgotten = async () =>
    (await client.get(allocationLedgers, 'spaces'))!.spec.index!.spaces.every(
      ({ network }) => network !== 'dcos',
    );
  await successor.runUntil(
    async () => (await forgotten()) && (await client.get(allocationLedgers, late)) === undefined,
  );
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await successor.runUntil(async () => ((await shown(client)).get('node1')?.length ?? 0) === 2);

  wake();
  await run;
  expect(sleeper.refusals).toEqual([]);
  await nobodySharesABlock();
  await successor.runUntil(async () => (await client.get(allocationLedgers, late)) === undefined);

  const page: AllocationLedger = {
    apiVersion: allocationLedgers.apiVersion,
    kind: allocationLedgers.kind,
    metadata: { name: late },
    spec: {
      page: {
        space: '9.0.0.0/16',
        first: 0,
        blocks: [{ index: 0, node: 'node1', uid: 'u', state: 'Held', since: new Date().toISOString() }],
      },
    },
  };
  await expect(client.create(allocationLedgers, page)).rejects.toMatchObject({
    status: 422,
    message: expect.stringContaining('blocks must be empty when a page is created'),
  });
});

test('a late write of a page after it was retired is refused', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  const sleeper = await leader();
  const { asleep, wake } = sleeper.sleepBefore(
    ({ verb, name }) => verb === 'update' && name.startsWith('net-dcos-'),
  );
  const run = sleeper.run();
  await asleep;
  const successor = await leader();
  await client.delete(overlayNetworks, 'dcos');
  await successor.runUntil(async () =>
    (await client.list(allocationLedgers)).items.some(({ spec }) => spec.page?.retired === true),
  );
  wake();
  await run;
  expect(sleeper.refusals).toEqual([expect.objectContaining({ status: 409 })]);
  await successor.runUntil(async () => !(await hasMatch(/^net-dcos-/)));
});

test('two leaders at once serve a burst, and no block is given out twice', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await applyNetwork(client, 'dcos6', [{ cidr: 'fd01:b::/64', prefix: 80 }]);
  const [one, two] = [await leader(), await leader()];
  const names = Array.from({ length: 40 }, (_, at) => `node${at}`);
  await Promise.all(names.map((name, at) => joinNode(client, name, `172.18.0.${at + 1}`)));
  const complete = async () =>
    [...(await shown(client)).values()].filter((texts) => texts.length === 3).length === names.length;
  await Promise.all([one.runUntil(complete, 30_000), two.runUntil(complete, 30_000)]);
  await nobodySharesABlock();
});
