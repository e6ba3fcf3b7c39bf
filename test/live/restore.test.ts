import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OverlayAgent } from '../../src/api/types.ts';
import { applyNetwork, deleteAtOnce } from '../support/leader.ts';
import { blocksOf, LiveCluster } from './cluster.ts';
import { eventually, found } from '../support/eventually.ts';

const before = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'];
const leaving = ['a4', 'a5', 'a6'];
const joining = Array.from({ length: 10 }, (_, i) => `j${i}`);
const staying = ['a1', 'a2', 'a3', ...joining];
const isReal = (name: string) => ['a1', 'a2', 'a3', 'j0', 'j9'].includes(name);

describe('A state from before ten joins, three leaves and a replaced network', () => {
  let cluster: LiveCluster;
  beforeEach(async () => {
    cluster = await LiveCluster.start({ reuseCooldown: '1s' });
  });
  afterEach(async () => {
    await cluster.stop();
  });

  const join = (names: readonly string[]) =>
    Promise.all(names.map((name) => cluster.join(name, isReal(name) ? 'real' : 'played')));
  /** Waits until every node has a VTEP and that many blocks, and its kernel has the same. */
  const settled = (names: readonly string[], blocks: number) =>
    eventually(
      async () => {
        const shown = await cluster.allShown();
        for (const name of names) {
          expect([name, shown.get(name)?.length]).toEqual([name, 3 + blocks]);
          expect([name, blocksOf(cluster.held(name))]).toEqual([name, shown.get(name)]);
        }
        return shown;
      },
      found,
      { what: `all of ${names.join()} to hold ${blocks} blocks` },
    );

  /** Nodes join and leave, and a network is replaced; returns each node's blocks afterwards. */
  const live = async (): Promise<Map<string, string[]>> => {
    await applyNetwork(cluster.client, 'kept', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    await applyNetwork(cluster.client, 'old', [{ cidr: '9.1.0.0/16', prefix: 24 }]);
    await join(before);
    await settled(before, 2);
    await cluster.plane.etcd.backup();
    await join(joining);
    await settled(joining, 2);
    await Promise.all(leaving.map((name) => cluster.leave(name)));
    await deleteAtOnce(cluster.client, 'old');
    await settled(staying, 1);
    await applyNetwork(cluster.client, 'new', [{ cidr: '9.2.0.0/16', prefix: 24 }]);
    const held = await settled(staying, 2);
    await eventually(
      () => {
        for (const name of cluster.reals.filter((real) => staying.includes(real))) {
          const networks = cluster.real(name).kernel.last?.networks ?? [];
          expect([name, ...networks.map(({ metadata }) => metadata.name)]).toEqual([name, 'kept', 'new']);
        }
        return true;
      },
      found,
      { what: 'the new network to be in force' },
    );
    expect(await cluster.shared()).toEqual([]);
    return held;
  };

  test('keeps each node’s blocks, and gives a new node nothing before all have reported theirs', async () => {
    const held = await live();
    const kernels = cluster.reals.filter((name) => staying.includes(name));
    const had = new Map(kernels.map((name) => [name, cluster.inKernel(name)]));
    for (const name of kernels) cluster.real(name).kernel.snapshots.length = 0;
    await cluster.plane.restore();
    const start = performance.now();
    await cluster.join('fresh', 'real');
    const restored = await eventually(
      async () => {
        const { restored } = (await cluster.config())?.status ?? {};
        return restored;
      },
      found,
      { what: 'status.restored' },
    );
    process.stdout.write(`a restore was noticed ${Math.round(performance.now() - start)} ms after it\n`);
    await Promise.all(joining.map((name) => cluster.kubelet(name)));
    const waiting = await eventually(
      async () => {
        const found = await cluster.condition('Restored');
        expect(found?.message).toMatch(/until these nodes have registered again: a4, a5, a6[ ;]/);
        return found;
      },
      found,
      { what: 'the three to be waited for' },
    );
    process.stdout.write(`all others had registered after ${Math.round(performance.now() - start)} ms\n`);
    expect(waiting).toMatchObject({ status: 'True', reason: 'WaitingForNodes' });
    expect(waiting.message).toContain(`overlaynet.dev/confirm-restore=${restored.id}`);
    expect(waiting.message).toContain('new');
    expect(await cluster.shown('fresh')).toEqual([]);

    await applyNetwork(cluster.client, 'new', [{ cidr: '9.2.0.0/16', prefix: 24 }]);
    await deleteAtOnce(cluster.client, 'old');
    await Promise.all(leaving.map((name) => cluster.leave(name)));
    await eventually(
      async () => {
        expect(await cluster.condition('Restored')).toMatchObject({ status: 'False', reason: 'NotRestored' });
        return true;
      },
      found,
      { what: 'the restore to be over' },
    );
    const after = await settled([...staying, 'fresh'], 2);
    for (const name of staying) expect([name, after.get(name)]).toEqual([name, held.get(name)]);
    expect((await cluster.config())?.status?.restored).toBeUndefined();

    // the versions in between
    const versions = await cluster.history();
    expect(await cluster.shared()).toEqual([]);
    const answered = (name: string) =>
      versions.find(
        (one) =>
          one.plural === 'overlayagents' &&
          one.name === name &&
          (one.object as OverlayAgent | undefined)?.spec.restore === restored.id,
      )?.revision ?? Infinity;
    const served = versions.find(
      ({ plural, name, object }) =>
        plural === 'agentallocations' &&
        name === 'fresh' &&
        (object as { spec: { vtep?: object } } | undefined)?.spec.vtep !== undefined,
    );
    expect(served?.revision).toBeGreaterThan(Math.max(...staying.map(answered)));
    for (const name of kernels) {
      for (const snapshot of cluster.real(name).kernel.snapshots) {
        const now = new Map(snapshot.allocations.map(({ node, spec }) => [node, blocksOf(spec)]));
        for (const [node, blocks] of had.get(name)!)
          expect([name, node, now.get(node)]).toEqual([name, node, expect.arrayContaining(blocks)]);
        const names = snapshot.networks.map(({ metadata }) => metadata.name);
        expect(names).toEqual(expect.arrayContaining(['kept', 'new']));
      }
    }
  });
});
