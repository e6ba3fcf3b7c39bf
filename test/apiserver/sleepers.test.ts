import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, allocationLedgers, nodes } from '../../src/kube/resources.ts';
import { applyNetwork, blocks, joinNode, shown, withLeaders } from '../support/leader.ts';
import { eventually } from '../support/eventually.ts';

/** Leaders that sleep while people, finalizers and other leaders change the objects of their plan. */

let client: Client;
const leader = withLeaders((own) => {
  client = own;
});

const held = async (text: string | RegExp) =>
  (await blocks(client)).some((each) => (typeof text === 'string' ? each === text : text.test(each)));

async function nobodySharesABlock(): Promise<void> {
  const all = [...(await shown(client)).values()].flat();
  expect(all).toHaveLength(new Set(all).size);
}

const cooledOff = () => new Promise((resolve) => setTimeout(resolve, 1_100));

test('a queued write has the version of the planned object, not of the cache at the time of sending', async () => {
  const selector = { nodeSelector: { matchLabels: { on: 'yes' } } };
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }], selector);
  const names = Array.from({ length: 30 }, (_, at) => `node${String(at).padStart(2, '0')}`);
  await Promise.all(names.map((name, at) => joinNode(client, name, `172.17.0.${at + 1}`, { on: 'yes' })));
  const sleeper = await leader();
  const { asleep, wake } = sleeper.sleepBefore(
    ({ verb, resource }) => verb === 'update' && resource === 'agentallocations',
    true,
  );
  const run = sleeper.run().catch((error: unknown) => error);
  await asleep;

  const successor = await leader();
  await successor.runUntil(async () => ((await shown(client)).get('node29')?.length ?? 0) === 2);
  const theirs = (await shown(client)).get('node29')!.find((text) => text.startsWith('9.'))!;
  await client.patch(nodes, 'node29', { metadata: { labels: { on: 'no' } } }, { type: 'merge' });
  await successor.runUntil(() => held(/ node29 Cooling$/));
  await cooledOff();
  await joinNode(client, 'heir', '172.17.1.1', { on: 'yes' });
  await successor.runUntil(async () => (await shown(client)).get('heir')?.includes(theirs) === true, 20_000);
  // the sleeper's caches have caught up with everything before it wakes
  await eventually(
    () => sleeper.caches.allocations.get('node29')?.spec.networks ?? [],
    (networks) => networks.length === 0,
  );

  wake();
  await run;
  expect((await shown(client)).get('node29')).not.toContain(theirs);
  await nobodySharesABlock();
});

test('an AgentAllocation with a finalizer is emptied before other nodes get its blocks', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  const only = await leader();
  await only.runUntil(async () => ((await shown(client)).get('node1')?.length ?? 0) === 2);
  const finalizers = ['example.com/keep'];
  await client.patch(agentAllocations, 'node1', { metadata: { finalizers } }, { type: 'merge' });
  await client.delete(nodes, 'node1');
  await only.runUntil(() => held(/^net-dcos-\d+\/0 node1 Cooling$/));
  expect((await shown(client)).get('node1')).toEqual([]);
  await cooledOff();
  await joinNode(client, 'node2', '172.17.0.3');
  await only.runUntil(async () => (await shown(client)).get('node2')?.includes('9.0.0.0/24') === true);
  await nobodySharesABlock();
  await client.patch(agentAllocations, 'node1', { metadata: { finalizers: null } }, { type: 'merge' });
  await eventually(
    () => client.get(agentAllocations, 'node1'),
    (object) => object === undefined,
  );
});

test('a page deleted by hand while a leader sleeps before its last step: no block of it is given out before that step can no longer count', async () => {
  const selector = { nodeSelector: { matchLabels: { on: 'yes' } } };
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }], selector);
  await joinNode(client, 'node1', '172.17.0.2', { on: 'no' });
  const sleeper = await leader();
  await sleeper.runUntil(async () => (await shown(client)).get('node1')?.length === 1);
  await client.patch(nodes, 'node1', { metadata: { labels: { on: 'yes' } } }, { type: 'merge' });
  await eventually(
    () => sleeper.caches.nodes.get('node1')?.metadata.labels?.on,
    (on) => on === 'yes',
  );
  const { asleep, wake } = sleeper.sleepBefore(
    ({ verb, resource }) => verb === 'update' && resource === 'agentallocations',
  );
  const run = sleeper.run().catch((error: unknown) => error);
  await asleep;
  const page = (await blocks(client)).find((text) => / node1 Held$/.test(text) && text.startsWith('net-'))!;

  await client.delete(allocationLedgers, page.replace(/\/.*/, ''));
  await client.patch(nodes, 'node1', { metadata: { labels: { on: 'no' } } }, { type: 'merge' });
  const successor = await leader();
  await joinNode(client, 'node2', '172.17.0.3', { on: 'yes' });
  await successor.runUntil(async () => ((await shown(client)).get('node2')?.length ?? 0) === 2, 20_000);

  wake();
  await run;
  await successor.run();
  await nobodySharesABlock();
  const objects = (await client.list(agentAllocations)).items.map(({ spec }) => spec.networks ?? []);
  expect(objects.filter((networks) => networks.length > 0)).toHaveLength(1);
});

test('a leader whose watch of Nodes hangs asks the API server before it removes anything', async () => {
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  const first = await leader();
  await first.runUntil(async () => ((await shown(client)).get('node1')?.length ?? 0) === 2);
  const deaf = await leader();
  await deaf.caches.nodes.stop();
  await deaf.caches.networks.stop();
  await joinNode(client, 'node2', '172.17.0.3');
  await applyNetwork(client, 'late', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
  await first.runUntil(async () => ((await shown(client)).get('node2')?.length ?? 0) === 3);
  const before = await shown(client);
  await eventually(
    () => deaf.caches.allocations.get('node2')?.spec.networks?.length,
    (count) => count === 2,
  );
  await deaf.run();
  expect(await shown(client)).toEqual(before);
  expect((await blocks(client)).filter((text) => !text.endsWith('Held'))).toEqual([]);
});
