import { confirmDepartures } from '../../src/api/labels.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodes } from '../../src/kube/resources.ts';
import { applyNetwork } from '../support/leader.ts';
import { blocksOf, LiveCluster } from './cluster.ts';
import { eventually, found } from '../support/eventually.ts';

const all = Array.from({ length: 10 }, (_, i) => `node${i}`);
const going = all.slice(4);
const staying = all.slice(0, 4);

let cluster: LiveCluster;
let before: Map<string, string[]>;
beforeAll(async () => {
  cluster = await LiveCluster.start({ reuseCooldown: '1s' });
  await applyNetwork(cluster.client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
});
beforeEach(async () => {
  await Promise.all(all.map((name) => cluster.join(name, 'real', `172.17.0.${all.indexOf(name) + 2}`)));
  before = await everybody(all);
});
afterEach(async () => {
  for (const name of all) await cluster.real(name).drop();
});
afterAll(async () => {
  await cluster.stop();
});

/** Checks that these nodes have their blocks, and that every real kernel among them has exactly these nodes. */
const everybody = (names: readonly string[]) =>
  eventually(
    async () => {
      const shown = await cluster.allShown();
      expect([...shown.keys()].sort()).toEqual([...names].sort());
      for (const name of names) {
        expect([name, shown.get(name)?.length]).toEqual([name, 4]);
        expect([name, cluster.inKernel(name)]).toEqual([name, shown]);
      }
      return shown;
    },
    found,
    { what: `all of ${names.join()} to be in every kernel` },
  );

/** Deletes six of ten Nodes at once, waits until the operator refuses to believe it, and returns the departure's id. */
const depart = async (): Promise<string> => {
  for (const name of staying) cluster.real(name).kernel.snapshots.length = 0;
  await Promise.all(going.map((name) => cluster.switchOff(name)));
  await Promise.all(going.map((name) => cluster.client.delete(nodes, name)));
  const degraded = await eventually(
    async () => {
      const found = await cluster.condition('Degraded');
      expect(found).toMatchObject({ status: 'True', reason: 'MassDeparture' });
      return found;
    },
    found,
    { what: 'the departure not to be believed' },
  );
  const { departures } = (await cluster.config())!.status!;
  expect(degraded.message).toMatch(
    /^6 of 10 nodes are gone at once: node4, node5, node6, node7, node8, … \(6 in all\); /,
  );
  expect(degraded.message).toContain(`${confirmDepartures}=${departures?.id}`);
  // longer than the cooldown, and than an agent waits before it removes a peer
  await sleep(2_000);
  expect(await cluster.allShown()).toEqual(before);
  expect(await cluster.metric('overlaynet_operator_disbelieved_departures')).toBe(6);
  expect((await cluster.events()).join('\n')).toContain('MassDeparture: 6 of 10 nodes are gone at once');
  for (const name of staying) {
    for (const { allocations } of cluster.real(name).kernel.snapshots)
      expect(new Map(allocations.map(({ node, spec }) => [node, blocksOf(spec)]))).toEqual(before);
  }
  return departures!.id;
};

test('if more than half of the nodes disappear at once, they keep their blocks until they return', async () => {
  await depart();
  await Promise.all(
    going.map(async (name) => {
      await cluster.kubelet(name);
      await cluster.startAgent(name);
    }),
  );
  await eventually(
    async () => {
      expect(await cluster.condition('Degraded')).toMatchObject({
        status: 'False',
        reason: 'NoMassDeparture',
      });
      expect((await cluster.config())?.status?.departures).toBeUndefined();
      expect(await cluster.metric('overlaynet_operator_disbelieved_departures')).toBe(0);
      return true;
    },
    found,
    { what: 'all to be well' },
  );
  expect(await everybody(all)).toEqual(before);
  for (const name of staying) {
    for (const { allocations } of cluster.real(name).kernel.snapshots)
      expect(new Map(allocations.map(({ node, spec }) => [node, blocksOf(spec)]))).toEqual(before);
  }
});

test('once a person confirms the departure, their blocks are released, and agents remove them', async () => {
  const id = await depart();
  const start = performance.now();
  await cluster.annotate(confirmDepartures, id);
  await everybody(staying);
  const ms = Math.round(performance.now() - start);
  process.stdout.write(`a confirmed departure of six nodes was in all kernels after ${ms} ms\n`);
  await eventually(
    async () => {
      expect(await cluster.condition('Degraded')).toMatchObject({
        status: 'False',
        reason: 'NoMassDeparture',
      });
      return true;
    },
    found,
    { what: 'all to be well' },
  );
  await sleep(1_500);
  // new nodes get the lowest blocks first
  await cluster.join('later', 'played', '172.17.0.20');
  await eventually(
    async () => {
      const blocks = [...going.map((name) => before.get(name)!)].flat();
      const shown = await cluster.shown('later');
      expect(shown).toHaveLength(4);
      expect(blocks).toEqual(expect.arrayContaining(shown));
      return true;
    },
    found,
    { what: 'a new node to get what is free' },
  );
  expect(await cluster.shared()).toEqual([]);
});
