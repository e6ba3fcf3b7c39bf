import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { AllocationLedger, OverlayReservation } from '../../../src/api/types.ts';
import { ApiError } from '../../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  definitions,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
} from '../../../src/kube/resources.ts';
import { eventually } from '../../support/eventually.ts';
import type { Call } from '../../support/simulation/client.ts';
import { stamped } from '../../support/simulation/samples.ts';
import { MemoryPlane } from './plane.ts';

/** The allocator's own part, on an API server in memory: what it asks, how often, and when it gives up. */

let plane: MemoryPlane;

beforeEach(() => {
  plane = new MemoryPlane();
});

afterEach(() => plane.stop());

function joinMany(count: number): void {
  for (let at = 0; at < count; at++) {
    plane.join(`node${String(at).padStart(3, '0')}`, [`172.17.${Math.floor(at / 250)}.${(at % 250) + 1}`]);
  }
}

const shownTo = (node: string) => plane.allocation(node)?.spec.networks ?? [];

test('fruitless reading ends with a log line, and its lists are a fifth of a second apart', async () => {
  plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  const leader = await plane.leader();
  await leader.run();
  // an index that no list of AgentAllocations will ever be as new as
  const rebuilt = { since: '2020-01-01T00:00:00Z', version: '3' };
  Object.defineProperty(leader.caches.allocations, 'resourceVersion', { get: () => '1' });
  plane.patch(allocationLedgers.plural, 'spaces', { spec: { index: { rebuilt } } });
  await leader.caches.relist();
  const before = plane.count('list', agentAllocations.plural);
  plane.onRequest(({ verb, plural }) => {
    if (verb === 'list' && plane.count(verb, plural) > before + 20) throw new Error('it lists for ever');
  });
  await expect(leader.run()).rejects.toThrow('caches and API server do not agree');
  const lists = plane.times('list', agentAllocations.plural).slice(before);
  expect(lists.length).toBeLessThanOrEqual(8);
  const pauses = lists.slice(1).map((at, index) => at - lists[index]!);
  expect(Math.min(...pauses)).toBeGreaterThan(150);
});

test('a Node may write its IPv6 address in any form: the agent that registers with it is accepted', async () => {
  plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  plane.join('node1', ['172.17.0.2', 'FD00::0:2'], ['172.17.0.2', 'fd00::2']);
  const leader = await plane.leader();
  await leader.run();
  expect([...leader.last!.plan.registrations.refused.values()]).toEqual([]);
  expect(plane.allocation('node1')?.spec).toMatchObject({
    addresses: ['172.17.0.2', 'fd00::2'],
    vtep: { ip: '44.128.0.1/20' },
  });
});

test('a conflict while a network is withdrawn from 200 nodes does not write the others once more', async () => {
  plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  joinMany(200);
  const leader = await plane.leader();
  await leader.runUntil(() => shownTo('node199').length === 1);
  plane.patch(overlayNetworks.plural, 'dcos', { spec: { enabled: false } });
  await leader.caches.relist();
  const before = plane.count('update', agentAllocations.plural);
  let conflicts = 4;
  plane.onRequest(({ verb, plural, name }) => {
    if (verb !== 'update' || plural !== agentAllocations.plural || name !== 'node100' || conflicts === 0)
      return;
    conflicts--;
    throw new ApiError('update agentallocations/node100', 409, { reason: 'Conflict', message: 'no' });
  });
  await leader.runUntil(() => shownTo('node100').length === 0);
  expect(conflicts).toBe(0);
  const states = plane.server
    .list(allocationLedgers.plural)
    .flatMap((object) => (object as AllocationLedger).spec.page)
    .filter((page) => page?.space === '9.0.0.0/16')
    .flatMap((page) => page!.blocks.map(({ state }) => state));
  expect(states).toEqual(Array.from({ length: 200 }, () => 'Cooling'));
  expect(plane.count('update', agentAllocations.plural) - before).toBeLessThanOrEqual(204);
});

test('an unknown kind ends a run at once', async () => {
  plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  joinMany(100);
  const leader = await plane.leader();
  plane.onRequest(({ verb, plural, name }) => {
    if (verb !== 'create' || plural !== agentAllocations.plural) return;
    throw new ApiError(`create agentallocations/${name}`, 404, { message: '404 page not found' });
  });
  await expect(leader.run()).rejects.toThrow('404 page not found');
  // as many as were under way
  expect(plane.count('create', agentAllocations.plural)).toBeLessThanOrEqual(20);
});

test('while the CRD of OverlayNetwork cannot be read, no node loses a network that seems to be gone', async () => {
  plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  plane.join('node1', ['172.17.0.2']);
  const leader = await plane.leader();
  await leader.run();
  plane.onRequest(({ plural }) => {
    if (plural === definitions.plural) throw new ApiError('get the CRD', 403, { reason: 'Forbidden' });
  });
  plane.server.delete(overlayNetworks.plural, 'dcos', {}, 'person');
  for (let run = 0; run < 3; run++) {
    // something else to write has it plan again in the same run
    plane.join(`late${run}`, [`172.17.1.${run}`]);
    await leader.caches.relist();
    await expect(leader.run()).rejects.toThrow('403');
    expect(shownTo('node1')).toHaveLength(1);
  }
  plane.onRequest(() => undefined);
  await leader.run();
  expect(shownTo('node1')).toEqual([]);
});

describe('with a CRD of AllocationLedger that is older than the operator', () => {
  test.each([
    ['staleAfter', 'index.settings.staleAfter', false],
    ['removeWhenDrained', 'index.spaces.drained', true],
  ])(
    '%s is refused with a word about the CRD, once a run, and nodes still get their blocks',
    async (_, field, removeWhenDrained) => {
      plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
      plane.network('old', [{ cidr: '10.0.0.0/16', prefix: 24 }]);
      plane.join('node1', ['172.17.0.2']);
      const leader = await plane.leader();
      await leader.run();
      plane.server.unknownFields.push(field);
      if (removeWhenDrained) {
        const agent = { networks: [{ name: 'old', state: 'OK', draining: [] as object[] }] };
        const subnets = [{ cidr: '10.0.0.0/16', prefix: 24, state: 'Draining', removeWhenDrained }];
        plane.patch(overlayNetworks.plural, 'old', { spec: { subnets } });
        const { uid, generation } = plane.server.get(overlayNetworks.plural, 'old')!.metadata;
        agent.networks[0]!.draining.push({ cidr: '10.0.0.0/24', networkUID: uid, generation, count: 0 });
        plane.patch(overlayAgents.plural, 'node1', { status: agent }, 'status');
      } else {
        plane.patch(overlayConfigs.plural, 'default', { spec: { staleAfter: '5m' } });
      }
      plane.join('node2', ['172.17.0.3']);
      await leader.caches.relist();
      for (let run = 0; run < 3; run++) {
        const before = plane.count('update', allocationLedgers.plural);
        await expect(leader.run()).rejects.toThrow(
          `unknown field "spec.${field}": if its CRD is of an older`,
        );
        expect(plane.count('update', allocationLedgers.plural) - before).toBeLessThan(6);
      }
      expect(shownTo('node1')).toHaveLength(2);
      expect(shownTo('node2')[0]?.subnets).toMatchObject([{ cidr: '9.0.1.0/24' }]);
      plane.server.unknownFields.pop();
      await leader.run();
      expect(shownTo('node1')).toHaveLength(removeWhenDrained ? 1 : 2);
    },
  );
});

describe('OverlayReservations', () => {
  const missing = (plural: string) => new ApiError(`list ${plural}`, 404, { message: '404 page not found' });
  const without = () => {
    plane.onRequest(({ plural }) => {
      if (plural === overlayReservations.plural) throw missing(plural);
    });
  };

  test('an API server that does not know them yet keeps nobody waiting', async () => {
    plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    plane.join('node1', ['172.17.0.2']);
    without();
    const leader = await plane.leader();
    expect(leader.caches.synced).toBe(true);
    expect(leader.caches.reservations.hasSynced).toBe(false);
    await leader.runUntil(() => shownTo('node1').length === 1);
    await leader.caches.relist();
    plane.onRequest(() => undefined);
    await eventually(
      () => leader.caches.reservations.hasSynced,
      (synced) => synced,
    );
  });

  test.each([
    [
      'the CRD is there, so this API server is late',
      404,
      (call: Call) => {
        if (call.plural === overlayReservations.plural) throw missing(call.plural);
      },
    ],
    [
      'the operator may not list them',
      403,
      (call: Call) => {
        if (call.plural === overlayReservations.plural)
          throw new ApiError('list', 403, { reason: 'Forbidden', message: 'no' });
      },
    ],
  ])('nobody gets anything new while %s', async (_why, status, refuse) => {
    plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    plane.join('node1', ['172.17.0.2']);
    const leader = await plane.leader();
    await leader.runUntil(() => shownTo('node1').length === 1);
    plane.server.create(
      definitions.plural,
      {
        apiVersion: definitions.apiVersion,
        kind: definitions.kind,
        metadata: { name: 'overlayreservations.overlaynet.dev' },
      },
      'person',
    );
    plane.onRequest(refuse);
    plane.join('node2', ['172.17.0.3']);
    await leader.caches.agents.relist();
    for (let run = 0; run < 3; run++) await expect(leader.run()).rejects.toMatchObject({ status });
    expect(shownTo('node1')).toHaveLength(1);
    expect(shownTo('node2')).toEqual([]);
    plane.onRequest(() => undefined);
    await leader.runUntil(() => shownTo('node2').length === 1);
  });

  test.each([1, 200])('cost one list more, however many nodes join at once: %i', async (count) => {
    plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    plane.join('first', ['172.18.0.2']);
    const leader = await plane.leader();
    await leader.runUntil(() => shownTo('first').length === 1);
    joinMany(count);
    await leader.caches.relist();
    const [lists, all] = [plane.count('list', overlayReservations.plural), plane.requests];
    await leader.runUntil(() => shownTo(`node${String(count - 1).padStart(3, '0')}`).length === 1);
    const more = plane.count('list', overlayReservations.plural) - lists;
    process.stderr.write(`${count} nodes at once: ${more} of ${plane.requests - all} requests list them\n`);
    expect(more).toBe(1);
  });

  test('one whose deletion the watch has not brought is not reserved again by every run', async () => {
    plane.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    plane.join('node1', ['172.17.0.2']);
    const spec = { nodeName: 'later', networks: [{ name: 'dcos', subnets: ['9.0.7.0/24'] }] };
    const object = stamped<OverlayReservation>(overlayReservations, { metadata: { name: 'later' }, spec });
    plane.server.create(overlayReservations.plural, object, 'person');
    const leader = await plane.leader();
    await leader.runUntil(() => shownTo('node1').length === 1);
    const reserved = () =>
      plane.server
        .list(allocationLedgers.plural)
        .flatMap((one) => (one as AllocationLedger).spec.page?.blocks ?? [])
        .filter(({ state }) => state === 'Reserved');
    expect(reserved()).toHaveLength(1);
    const { byName, resourceVersion } = leader.caches.reservations;
    Object.defineProperty(leader.caches.reservations, 'byName', { get: () => byName });
    Object.defineProperty(leader.caches.reservations, 'resourceVersion', { get: () => resourceVersion });
    plane.server.delete(overlayReservations.plural, 'later', {}, 'person');
    plane.patch(overlayNetworks.plural, 'dcos', { metadata: { labels: { a: 'b' } } });
    plane.join('node2', ['172.17.0.3']);
    await leader.caches.agents.relist();
    await leader.runUntil(() => shownTo('node2').length === 1 && reserved().length === 0);
    const before = plane.count('update', allocationLedgers.plural);
    for (let run = 0; run < 5; run++) await leader.run();
    expect(plane.count('update', allocationLedgers.plural)).toBe(before);
    expect(reserved()).toEqual([]);
  });
});
