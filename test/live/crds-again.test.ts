import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAllocation } from '../../src/api/types.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { agentAllocations } from '../../src/kube/resources.ts';
import { applyNetwork } from '../support/leader.ts';
import { blocksOf, crdFolder, LiveCluster } from './cluster.ts';
import { eventually, found } from '../support/eventually.ts';

// CRDs are deleted and installed again
jest.setTimeout(180_000);

const reals = ['node1', 'node2', 'node3', 'node4'];
const played = Array.from({ length: 8 }, (_, i) => `played${i}`);
const all = [...reals, ...played];
const networks = ['dcos', 'more'] as const;
const subnets = { dcos: '9.0.0.0/16', more: '9.1.0.0/16' };

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.start({ reuseCooldown: '1s' });
  await apply();
  await Promise.all(all.map((name) => cluster.join(name, reals.includes(name) ? 'real' : 'played')));
});
afterAll(async () => {
  await cluster.stop();
});

const apply = () =>
  Promise.all(
    networks.map((name) => applyNetwork(cluster.client, name, [{ cidr: subnets[name], prefix: 24 }])),
  );
const settled = () =>
  eventually(
    async () => {
      const shown = await cluster.allShown();
      for (const name of all) {
        expect([name, shown.get(name)?.length]).toEqual([name, 5]);
        expect([name, blocksOf(cluster.held(name))]).toEqual([name, shown.get(name)]);
      }
      for (const name of reals) expect(cluster.inKernel(name)).toEqual(shown);
      return shown;
    },
    found,
    { what: 'every node to have its blocks' },
  );

/** Returns what a snapshot lacks: networks, peers and blocks that should be in it. */
const lacks = (
  { node, networks: inForce, allocations }: Snapshot,
  should: Map<string, string[]>,
): string[] => {
  const names = inForce.map(({ metadata }) => metadata.name);
  const missing = networks.filter((name) => !names.includes(name)).map((name) => `${node}: network ${name}`);
  const has = new Map(allocations.map((one) => [one.node, blocksOf(one.spec)]));
  for (const [name, blocks] of should) {
    const rest = blocks.filter((block) => has.get(name)?.includes(block) !== true);
    if (rest.length > 0) missing.push(`${node}: of ${name} ${rest.join()}`);
  }
  return missing;
};

/** Returns everything that real nodes' kernels have lacked since their snapshots were cleared. */
const lost = (should: Map<string, string[]>): string[] =>
  reals.flatMap((name) => cluster.real(name).kernel.snapshots.flatMap((snapshot) => lacks(snapshot, should)));

const restored = (status: 'True' | 'False', reason: string, seconds = 45) =>
  eventually(
    async () => {
      expect(await cluster.condition('Restored')).toMatchObject({ status, reason });
      return true;
    },
    found,
    { what: `Restored to be ${status}, ${reason}`, seconds },
  );

/** Waits long: an informer that could not list a kind retries after a pause that grows. */
const networksMissing = () => restored('True', 'NetworksMissing', 60);

test('after CRDs are deleted and installed again, all nodes keep and get what they had', async () => {
  const before = await settled();
  for (const name of reals) cluster.real(name).kernel.snapshots.length = 0;
  const whole = await cluster.plane.etcd.revision();
  await cluster.plane.kubectl('delete', '-k', crdFolder);
  const gone = await cluster.plane.etcd.revision();
  await sleep(2_000);
  await cluster.plane.apply(crdFolder);
  await networksMissing();
  await sleep(2_000);
  expect((await cluster.condition('Restored'))?.message).toContain('dcos, more');
  await apply();
  expect(await settled()).toEqual(before);
  await restored('False', 'NotRestored');
  // longer than an agent waits after the end of a restore
  await sleep(6_000);
  expect(lost(before)).toEqual([]);
  expect(await settled()).toEqual(before);
  expect(await cluster.shared()).toEqual([]);
  // while the CRDs were missing, no allocation was written without its blocks; a recreated one begins empty
  const history = (await cluster.history()).filter(({ plural }) => plural === agentAllocations.plural);
  const uids = new Map(
    history.flatMap(({ name, revision, object }) =>
      object !== undefined && revision <= whole ? [[name, object.metadata.uid] as const] : [],
    ),
  );
  const stripped = history.filter(
    ({ name, object, revision }) =>
      revision > whole &&
      revision <= gone &&
      object?.metadata.uid === uids.get(name) &&
      (object as AgentAllocation | undefined)?.spec.networks?.length !== 2 &&
      before.has(name) &&
      object !== undefined,
  );
  expect(stripped.map(({ revision, name }) => `${revision} ${name}`)).toEqual([]);
});

test('after the CRD of OverlayNetwork alone is deleted and installed again, no node has lost anything', async () => {
  const before = await settled();
  for (const name of reals) cluster.real(name).kernel.snapshots.length = 0;
  const whole = await cluster.plane.etcd.revision();
  const file = join(crdFolder, 'overlaynetworks.yaml');
  await cluster.plane.kubectl('delete', '-f', file);
  await sleep(12_000);
  await cluster.plane.apply(file);
  await networksMissing();
  await apply();
  expect(await settled()).toEqual(before);
  await restored('False', 'NotRestored');
  const stripped = (await cluster.history()).filter(
    ({ plural, revision, object }) =>
      plural === agentAllocations.plural &&
      revision > whole &&
      (object as AgentAllocation | undefined)?.spec.networks?.length !== 2,
  );
  expect(stripped.map(({ revision, name }) => `${revision} ${name}`)).toEqual([]);
  expect(lost(before)).toEqual([]);
});
