import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { OverlayNetwork } from '../../../src/api/types.ts';
import { overlayNetworks } from '../../../src/kube/resources.ts';
import type { EventRecorder } from '../../../src/kube/events.ts';
import { silent } from '../../../src/log.ts';
import { NetworkGuard } from '../../../src/operator/guard.ts';
import { Statuses } from '../../../src/operator/statuses.ts';
import type { Leader } from '../../support/leader.ts';
import { MemoryPlane } from './plane.ts';

const { plural } = overlayNetworks;
const first = { cidr: '9.0.0.0/16', prefix: 24, state: 'Active' };
const second = { cidr: '10.9.0.0/16', prefix: 24, state: 'Active' };

let plane: MemoryPlane;
let leader: Leader;
let statuses: Statuses;
let events: string[];

beforeEach(async () => {
  plane = new MemoryPlane();
  events = [];
  plane.network('dcos', [first]);
  leader = await plane.leader();
  const guard = new NetworkGuard({ client: plane.client, caches: leader.caches, log: silent });
  statuses = new Statuses({
    guard,
    client: plane.client,
    caches: leader.caches,
    events: {
      event: (object, _type, { reason }) => events.push(`${object.metadata.name} ${reason}`),
    } as Partial<EventRecorder> as EventRecorder,
    metrics: leader.metrics,
  });
  // as the allocator does
  await guard.protect(new AbortController().signal);
  await leader.run();
});

afterEach(() => plane.stop());

const write = (signal = new AbortController().signal) => statuses.write(leader.last!, signal);
const inForce = () =>
  ((plane.server.get(plural, 'dcos') as OverlayNetwork).status?.capacity ?? []).map(({ cidr }) => cidr);

/** A second subnet is added, and another leader that has already planned it says so. */
function anotherLeaderAccepts(): void {
  plane.patch(plural, 'dcos', { spec: { subnets: [first, second] } });
  const capacity = [first, second].map(({ cidr }) => ({ cidr, blocks: 256, held: 0, free: 256 }));
  plane.patch(plural, 'dcos', { status: { capacity } }, 'status');
}

test('statuses are written for the objects of the plan', async () => {
  expect(await write()).toEqual({ outdated: false });
  expect(inForce()).toEqual(['9.0.0.0/16']);
  expect(events).toContain('dcos Accepted');
});

test('a network that changed after the plan keeps its status until the next plan', async () => {
  anotherLeaderAccepts();
  await leader.caches.relist();
  expect(await write()).toEqual({ outdated: true });
  expect(inForce()).toEqual(['9.0.0.0/16', '10.9.0.0/16']);
});

test('so does a network whose change the cache has not seen: the planned version is the precondition', async () => {
  await leader.caches.networks.stop();
  anotherLeaderAccepts();
  await write();
  expect(plane.count('status', plural)).toBe(1);
  expect(inForce()).toEqual(['9.0.0.0/16', '10.9.0.0/16']);
  expect(events.filter((text) => text.startsWith('dcos'))).toEqual([]);
});

test('nothing is written once the Lease is lost, not even queued writes', async () => {
  const ended = new AbortController();
  for (let at = 0; at < 60; at++) plane.network(`net${at}`, [{ cidr: `10.${at + 10}.0.0/16`, prefix: 24 }]);
  await leader.caches.relist();
  await leader.run();
  plane.onRequest(({ verb }) => {
    if (verb === 'status') ended.abort();
  });
  await write(ended.signal);
  // what was under way at that moment is done
  const written = plane.count('status', plural);
  expect(written).toBeGreaterThan(0);
  expect(written).toBeLessThanOrEqual(20);
  await write(ended.signal);
  expect(plane.count('status', plural)).toBe(written);
});

test('that blocks run out, and that a node takes more pods than it has addresses, is one Event each', async () => {
  plane.network('net', [{ cidr: '10.1.0.0/25', prefix: 26 }]);
  for (const at of [2, 3]) plane.join(`node${at}`, [`172.17.0.${at}`]);
  for (const node of ['node2', 'node3'])
    plane.patch('nodes', node, { status: { allocatable: { pods: '110' } } }, 'status');
  await leader.caches.relist();
  await leader.run();
  for (let times = 0; times < 3; times++) {
    await write();
    await leader.caches.relist();
    await leader.run();
  }
  const of = (name: string) => events.filter((text) => text === `net ${name}`);
  expect([of('Blocks'), of('FewerAddressesThanPods')]).toEqual([
    ['net Blocks'],
    ['net FewerAddressesThanPods'],
  ]);
  expect(await leader.metrics.registry.metrics()).toMatch(
    /overlaynet_operator_network_warnings\{network="net",condition="Exhausting"\} 1/,
  );
  expect(
    (plane.server.get('overlayconfigs', 'default') as { status?: { nodes?: number } }).status?.nodes,
  ).toBe(2);
});
