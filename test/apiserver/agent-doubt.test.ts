import { beforeEach, expect, test } from '@jest/globals';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { agentAllocations, overlayAgents, overlayNetworks } from '../../src/kube/resources.ts';
import { node1, node2 } from '../support/fixture.ts';
import { type Bench, condition, crds, withOwnBench } from '../support/agent-harness.ts';
import type { OwnControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';

let bench: Bench<OwnControlPlane>;
withOwnBench((started) => {
  bench = started;
});
beforeEach(async () => {
  await bench.running();
  await eventually(() => {
    expect(bench.node.kernel.last?.allocations).toHaveLength(2);
  });
});

const restored = { id: 'r-1', since: '2026-01-01T00:00:00Z' };
const holding = async () => condition(await bench.stored(), 'Holding');
/** Removes the fields of a snapshot that only distinguish versions of objects. */
const works = ({ networks, allocations }: Snapshot) => ({
  networks: networks.map(({ metadata, spec }) => [metadata.name, spec.subnets]),
  allocations: allocations.map(({ node, spec }) => [node, spec.vtep, spec.networks]),
});
const conflists = () => readdirSync(bench.node.at.path('conf'));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('an agent keeps networks, leases and peers while CRDs are deleted and installed again, even if it restarts meanwhile', async () => {
  const before = works(bench.node.kernel.last!);
  bench.node.kernel.snapshots.length = 0;
  await bench.plane.kubectl('delete', ...crds.flatMap((file) => ['-f', file]));
  await pause(6_000);
  await bench.node.stop();
  await bench.node.start(bench.plane.kubeconfig);
  await pause(1_000);
  await bench.plane.apply(...crds);
  await bench.operator.configure({ restored });
  await eventually(async () => {
    // its registration contains what its kernel has
    expect((await bench.stored()).spec).toMatchObject({
      restore: 'r-1',
      vtep: node2.vtep,
      networks: [{ name: 'dcos' }, { name: 'dcos6' }],
    });
  });
  await bench.operator.allocate('node2', { ...node2, revision: 1 });
  await eventually(async () => {
    expect(await holding()).toMatchObject({ status: 'True', reason: 'ConfigReplaced' });
  });
  await pause(6_000);
  expect((await holding())?.message).toContain('1 peer: node1; 2 networks: dcos, dcos6');
  await bench.operator.network('dcos', '9.0.0.0/8', 24);
  await bench.operator.allocate('node1', node1);
  await bench.operator.network('dcos6', 'fd01:b::/64', 80);
  await eventually(async () => {
    expect((await holding())?.message).toContain('nothing is withdrawn until');
  });
  await bench.operator.configure();
  await eventually(async () => {
    expect(await holding()).toBeUndefined();
  });
  expect(bench.node.kernel.snapshots.length).toBeGreaterThan(0);
  for (const one of bench.node.kernel.snapshots) expect(works(one)).toEqual(before);
  expect(conflists()).toEqual(['dcos.conflist', 'dcos6.conflist']);
  // from here on, the agent follows objects again
  await bench.operator.release('node1');
  await eventually(() => {
    expect(bench.node.kernel.last?.allocations).toHaveLength(1);
  });
});

test('during a restore, an agent reports its id and its kernel’s blocks; the end of the restore causes no write', async () => {
  await bench.operator.configure({ restored });
  await eventually(async () => {
    expect((await bench.stored()).spec.restore).toBe('r-1');
  });
  // the state of an older backup
  await bench.operator.allocate('node2', { ...node2, revision: 4, networks: node2.networks!.slice(0, 1) });
  await bench.plane.client.delete(agentAllocations, 'node1');
  await bench.plane.client.delete(overlayNetworks, 'dcos6');
  await eventually(async () => {
    expect((await holding())?.message).toContain(
      '1 peer: node1; 1 network: dcos6; 1 block of this node: fd01:b',
    );
  });
  expect((await holding())?.message).toContain('overlaynet.dev/confirm-restore=r-1');
  expect((await bench.stored()).spec.networks).toHaveLength(2);
  expect(bench.node.kernel.last?.allocations).toHaveLength(2);

  await bench.operator.configure({ restored: { ...restored, id: 'r-2' } });
  await eventually(async () => {
    expect((await bench.stored()).spec.restore).toBe('r-2');
  });
  await bench.operator.allocate('node2', { ...node2, revision: 5 });
  await bench.operator.allocate('node1', node1);
  await bench.operator.network('dcos6', 'fd01:b::/64', 80);
  const { metadata } = await bench.stored();
  await bench.operator.configure();
  await eventually(async () => {
    expect(await holding()).toBeUndefined();
  });
  const { metadata: after, spec } = await bench.stored();
  expect(after.generation).toBe(metadata.generation);
  expect(spec.restore).toBe('r-2');
});

test('an agent that has seen a later version reports that, and removes nothing until the operator has answered', async () => {
  await bench.node.stop();
  const file = bench.node.at.path('state', 'checkpoint.json');
  const seen = () =>
    (JSON.parse(readFileSync(file, 'utf8')) as { seenResourceVersion: string }).seenResourceVersion;
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(seenResourceVersion":")\d+/, '$1999999999'));
  await bench.plane.client.delete(agentAllocations, 'node1');
  await bench.node.start(bench.plane.kubeconfig);
  await eventually(async () => {
    expect((await bench.stored()).spec.seenResourceVersion).toBe('999999999');
    expect(await holding()).toMatchObject({ reason: 'WentBack' });
  });
  await bench.operator.configure({ restored });
  await eventually(async () => {
    expect(await holding()).toMatchObject({ reason: 'Restored' });
    expect((await bench.stored()).spec.restore).toBe('r-1');
  });
  expect(bench.node.kernel.last?.allocations).toHaveLength(2);
  await bench.operator.configure();
  await eventually(async () => {
    expect(bench.node.kernel.last?.allocations).toHaveLength(1);
    expect(await holding()).toBeUndefined();
  });
  // the next agent starts from the API server's current version
  await bench.node.stop();
  expect(Number(seen())).toBeLessThan(999_999_999);
});

test('an agent keeps its quarantined block while another node has it, too', async () => {
  const dcos = { network: 'dcos', cidr: '9.0.1.0/24', nodes: ['node1', 'node2'] };
  await bench.operator.configure({ quarantined: [dcos] });
  // these are two watches: the agent must know of the quarantine first
  await pause(1_000);
  await bench.operator.allocate('node2', { ...node2, revision: 4, networks: node2.networks!.slice(1) });
  await eventually(async () => {
    expect(await holding()).toMatchObject({ reason: 'Quarantined' });
  });
  expect(conflists()).toEqual(['dcos.conflist', 'dcos6.conflist']);
  expect((await bench.stored()).spec.networks).toHaveLength(2);
  await bench.node.stop();
  await bench.node.start(bench.plane.kubeconfig);
  await pause(1_000);
  expect(conflists()).toEqual(['dcos.conflist', 'dcos6.conflist']);
  await bench.operator.configure();
  await eventually(() => {
    expect(conflists()).toEqual(['dcos6.conflist']);
  });
  await bench.plane.client.delete(overlayAgents, 'node2');
});
