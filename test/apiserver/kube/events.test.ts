import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/types.ts';
import { connect } from '../../../src/kube/client.ts';
import { EventRecorder, type EventRecorderOptions } from '../../../src/kube/events.ts';
import { events, nodes } from '../../../src/kube/resources.ts';
import { silent } from '../../../src/log.ts';
import { controlPlane, type ControlPlane } from '../../support/controlplane.ts';

describe('EventRecorder', () => {
  let plane: ControlPlane;
  let node: KubeObject;
  const run = Date.now().toString(36);
  const recorder = (options: Partial<EventRecorderOptions> = {}) =>
    new EventRecorder({
      client: plane.client,
      component: 'ovt',
      instance: 'test-1',
      log: silent,
      repeatMs: 0,
      ...options,
    });
  const news = (reason: string, message: string) => ({ type: 'Ready', reason, message });
  const recorded = async (reason: string) => {
    const { items } = await plane.client.list(events('default'), { fieldSelector: `reason=${reason}` });
    return items.filter((event) => event.involvedObject.uid === node.metadata.uid);
  };

  beforeAll(async () => {
    plane = await controlPlane();
    node = await plane.client.create(nodes, { metadata: { name: `ovt-events-${run}` } });
  });
  afterAll(async () => {
    await plane.client.delete(nodes, node.metadata.name);
    await plane.stop();
  });

  test('an event of a cluster-scoped object is in namespace default, and kubectl shows it', async () => {
    const own = recorder();
    own.event(node, 'Warning', news('Exhausted', 'no free block in 9.0.0.0/8'));
    await own.onIdle();
    const [event] = await recorded('Exhausted');
    expect(event).toMatchObject({
      involvedObject: { kind: 'Node', name: node.metadata.name, uid: node.metadata.uid },
      message: 'no free block in 9.0.0.0/8',
      ...{ type: 'Warning', count: 1 },
    });
    const shown = await plane.kubectl('describe', 'node', node.metadata.name);
    expect(shown).toMatch(/Warning\s+Exhausted\s+\S+\s+ovt(, test-1)?\s+no free block in 9\.0\.0\.0\/8/);
  });

  test('equal events are one object with a count, and others are separate', async () => {
    const own = recorder();
    for (let i = 0; i < 3; i++) own.event(node, 'Normal', news('Counted', 'the same'));
    await own.onIdle();
    for (let i = 0; i < 4; i++) own.event(node, 'Normal', news('Counted', 'the same'));
    own.event(node, 'Normal', news('Counted', 'another'));
    await own.onIdle();
    const found = await recorded('Counted');
    expect(found.map(({ message, count }) => [message, count]).sort()).toEqual([
      ['another', 1],
      ['the same', 7],
    ]);
  });

  test('a long message is bounded, and says how much is missing', async () => {
    const own = recorder();
    own.event(node, 'Warning', news('Long', 'ä'.repeat(40_000)));
    await own.onIdle();
    const [event] = await recorded('Long');
    expect(event!.message).toMatch(/^ä+… \(39001 more characters\)$/);
    expect(event!.message).toHaveLength(1_024);
  });

  test('begins anew when the API server has forgotten the Event', async () => {
    const own = recorder();
    own.event(node, 'Normal', news('Forgotten', 'x'));
    await own.onIdle();
    const [event] = await recorded('Forgotten');
    await plane.client.delete(events('default'), event!.metadata.name);
    own.event(node, 'Normal', news('Forgotten', 'x'));
    await own.onIdle();
    own.event(node, 'Normal', news('Forgotten', 'x'));
    await own.onIdle();
    expect((await recorded('Forgotten')).length).toBe(1);
  });

  test('an object that flaps has one Event for each state, and the last one is right', async () => {
    const own = new EventRecorder({
      client: plane.client,
      component: 'ovt',
      instance: 'test-1',
      log: silent,
    });
    const states = [
      ['Warning', news('FlapRefused', 'no such address')],
      ['Normal', news('FlapAccepted', 'its address is known')],
    ] as const;
    for (let turn = 0; turn < 20; turn++) {
      for (const [type, state] of states) own.event(node, type, state);
      await own.onIdle();
    }
    own.event(node, ...states[0]);
    await own.onIdle();
    const counts = async () => [
      (await recorded('FlapRefused')).map(({ count }) => count),
      (await recorded('FlapAccepted')).map(({ count }) => count),
    ];
    expect(await counts()).toEqual([[1], [1]]);
    await own.stop();
    expect(await counts()).toEqual([[21], [1]]);
  });

  test('sends a burst, then limits the rate', async () => {
    const own = recorder({ burst: 5, refillMs: 60_000 });
    for (let i = 0; i < 50; i++) own.event(node, 'Normal', news('Burst', `message ${i}`));
    await own.stop();
    expect((await recorded('Burst')).length).toBe(5);
  });

  test('does not disturb its caller when the API server is away or refuses', async () => {
    const [away, forbidden] = [
      connect({ kubeconfig: plane.kubeconfigAt('https://127.0.0.1:1') }),
      connect({ kubeconfig: await plane.kubeconfigFor({ name: 'nobody', rules: [] }) }),
    ];
    for (const client of [away, forbidden]) {
      const own = recorder({ client });
      own.event(node, 'Normal', news('Away', 'x'));
      await own.onIdle();
      await own.stop();
      await client.close();
    }
    expect(await recorded('Away')).toEqual([]);
  });
});
