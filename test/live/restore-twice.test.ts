import { confirmRestore } from '../../src/api/labels.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodes, overlayAgents } from '../../src/kube/resources.ts';
import { applyNetwork } from '../support/leader.ts';
import { blocksOf, LiveCluster } from './cluster.ts';
import { eventually, found } from '../support/eventually.ts';

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.start({ reuseCooldown: '1s' });
});
afterAll(async () => {
  await cluster.stop();
});

/** node4's block, which the backup does not contain. */
const twice = '9.0.3.0/24';

const holds = (name: string) =>
  eventually(
    () => {
      const blocks = blocksOf(cluster.held(name));
      return blocks.length === 4 && blocks;
    },
    found,
    { what: `${name} to hold a VTEP and a block` },
  );

test('a block that two agents have stays with both, is in one AgentAllocation, and is reported until one agent is gone', async () => {
  await applyNetwork(cluster.client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  for (const name of ['node1', 'node2', 'node3']) {
    await cluster.join(name, name === 'node1' ? 'real' : 'played');
    await holds(name);
  }
  await cluster.plane.etcd.backup();
  await cluster.join('node4', 'real');
  const held = await holds('node4');
  // no process remembers the restore: operators restart, one agent is away, and peers have nothing to report
  await cluster.killOperators();
  await Promise.all(['node1', 'node2', 'node3', 'node4'].map((name) => cluster.switchOff(name)));
  await cluster.plane.restore();
  await cluster.startOperators();
  await cluster.join('node5', 'real');
  expect(await holds('node5')).toEqual(held);

  for (const name of ['node2', 'node3']) await cluster.join(name, 'played', cluster.addressOf(name));
  cluster.real('node4').kernel.snapshots.length = 0;
  await cluster.kubelet('node4');
  await cluster.startAgent('node4');
  await cluster.startAgent('node1');
  await eventually(
    async () => {
      const found = await cluster.condition('Quarantined');
      expect(found).toMatchObject({ status: 'True', reason: 'HeldTwice' });
      expect(found?.message).toContain(`block ${twice} of network dcos by node5 and node4`);
      return true;
    },
    found,
    { what: 'both to be named' },
  );
  const { status } = (await cluster.config())!;
  expect(status?.quarantined).toContainEqual({
    network: 'dcos',
    cidr: twice,
    nodes: ['node5', 'node4'],
  });
  expect((await cluster.events()).join('\n')).toContain('HeldTwice: held by two nodes');
  // some operator or agent may have noticed the restore
  await eventually(async () => (await cluster.condition('Restored'))?.status !== 'True', found, {
    what: 'no restore to last',
  });
  // longer than an agent waits after the end of a restore
  await sleep(6_000);
  for (const name of ['node4', 'node5']) {
    expect([name, blocksOf(cluster.held(name))]).toEqual([name, expect.arrayContaining([twice])]);
    const agent = await cluster.client.get(overlayAgents, name);
    expect([name, agent?.spec.networks?.[0]?.subnets]).toEqual([name, expect.arrayContaining([twice])]);
  }
  for (const { node, allocations } of cluster.real('node4').kernel.snapshots) {
    const own = allocations.find((one) => one.node === node)?.spec;
    expect(blocksOf(own)).toContain(twice);
  }
  expect(await cluster.shown('node5')).toEqual(held);
  expect(await cluster.shared()).toEqual([]);

  // the node that the ledger names leaves, so that only one node has the block
  await cluster.leave('node5');
  await eventually(
    async () => {
      expect(await cluster.condition('Quarantined')).toMatchObject({
        status: 'False',
        reason: 'NoneHeldTwice',
      });
      return true;
    },
    found,
    { what: 'nothing to be held twice' },
  );
  await eventually(
    async () => {
      const shown = await cluster.shown('node4');
      expect(shown).toHaveLength(4);
      expect(blocksOf(cluster.held('node4'))).toEqual(shown);
      return true;
    },
    found,
    { what: 'node4 to hold one block alone' },
  );
  expect(await cluster.shared()).toEqual([]);
  await cluster.client.delete(nodes, 'node4');
});

test('a restore that waits for a node without an agent ends when a person confirms it', async () => {
  await cluster.join('mute', 'played');
  await eventually(async () => (await cluster.shown('mute')).length === 4, found, {
    what: 'mute to be served',
  });
  await cluster.switchOff('mute');
  await eventually(
    async () => {
      const agent = (await cluster.client.get(overlayAgents, 'node2'))!;
      const spec = { ...agent.spec, seenResourceVersion: '999999999' };
      return cluster.client.update(overlayAgents, { ...agent, spec });
    },
    found,
    { what: 'an agent to say that it saw more' },
  );
  const waiting = await eventually(
    async () => {
      const condition = await cluster.condition('Restored');
      expect(condition?.status).toBe('True');
      expect(condition?.message).toMatch(/until these nodes have registered again: mute[ ;]/);
      return condition;
    },
    found,
    { what: 'the restore to wait for mute' },
  );
  await cluster.join('node6', 'played');
  await eventually(
    async () => {
      const agent = await cluster.client.get(overlayAgents, 'node6');
      return agent?.spec.restore !== undefined;
    },
    found,
    { what: 'node6 to be waited for no more' },
  );
  await sleep(1_000);
  expect(await cluster.shown('node6')).toEqual([]);

  const { restored } = (await cluster.config())!.status!;
  expect(waiting.message).toContain(`${confirmRestore}=${restored?.id}`);
  await cluster.annotate(confirmRestore, restored!.id);
  await eventually(async () => (await cluster.shown('node6')).length === 4, found, {
    what: 'node6 to be served',
  });
  await eventually(
    async () => {
      expect(await cluster.condition('Restored')).toMatchObject({ status: 'False', reason: 'NotRestored' });
      return true;
    },
    found,
    { what: 'the restore to be over' },
  );
  expect((await cluster.config())?.status?.restored).toBeUndefined();
  expect(await cluster.shared()).toEqual([]);
});
