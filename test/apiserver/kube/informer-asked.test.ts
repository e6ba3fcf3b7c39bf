import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Client } from '../../../src/kube/client.ts';
import { controlPlane, type ControlPlane } from '../../support/controlplane.ts';
import { backoff, Following, names } from '../../support/following.ts';
import { eventually, found } from '../../support/eventually.ts';

describe('Informer, asked', () => {
  let plane: ControlPlane;
  let client: Client;
  const following = new Following(() => plane);
  const { configMapsIn, make, follow, httpProxy } = following;

  beforeAll(async () => {
    plane = await controlPlane();
    client = plane.client;
  });
  afterEach(async () => {
    await following.end();
  });
  afterAll(async () => {
    await plane.stop();
  });

  test('refresh() returns the API server’s state of one object, and later events of the watch do not undo it', async () => {
    const resource = await configMapsIn('refresh');
    const [a, b] = [await make(resource, 'a'), await make(resource, 'b')];
    const proxy = await httpProxy();
    const { informer, changes } = follow(resource, proxy.url);
    await eventually(() => informer.counters.watches > 0, found, { what: 'the watch' });
    proxy.fault = (_, url) => (url.includes('watch=true') ? { status: 503 } : undefined);
    proxy.cut();
    const newer = await client.update(resource, { ...a, data: { k: '2' } });
    await client.update(resource, { ...b, data: { k: '2' } });
    await client.delete(resource, 'b');
    const c = await make(resource, 'c');
    expect(await informer.refresh('a')).toEqual(newer);
    expect(await informer.refresh('b')).toBeUndefined();
    expect(await informer.refresh('c')).toEqual(c);
    expect([informer.get('a'), names(informer)]).toEqual([newer, ['a', 'c']]);
    // the informer itself asks for the newest object, b, before it watches again
    const told = ['+a', '+b', '~a', '-b', '+c'];
    expect(changes.toSorted()).toEqual(told.toSorted());
    // another object is not affected
    await make(resource, 'b');
    await make(resource, 'd');
    proxy.fault = () => undefined;
    await eventually(() => informer.get('d') !== undefined, found, {
      what: 'the watch to catch up',
    });
    expect(changes.slice(5)).toEqual(['+b', '+d']);
    expect(informer.counters).toMatchObject({ relists: 1, restores: 0 });
    proxy.fault = () => ({ status: 500 });
    await expect(informer.refresh('a')).rejects.toThrow('get configmaps/a: 500');
    expect(informer.get('a')).toEqual(newer);
  });

  test('relist() lists everything anew; calls share one list, but not one that has already begun', async () => {
    const resource = await configMapsIn('relist');
    const a = await make(resource, 'a');
    const proxy = await httpProxy();
    const { informer, changes } = follow(resource, proxy.url);
    await eventually(() => informer.counters.watches > 0, found, { what: 'the watch' });
    proxy.fault = (_, url) => (url.includes('watch=true') ? { status: 503 } : undefined);
    proxy.cut();
    await client.delete(resource, 'a');
    const { metadata } = await make(resource, 'b');
    await Promise.all([informer.relist(), informer.relist()]);
    expect([names(informer), informer.counters.relists]).toEqual([['b'], 2]);
    expect(Number(informer.resourceVersion)).toBeGreaterThanOrEqual(Number(metadata.resourceVersion));
    const lists = () => proxy.requests.filter((request) => request.includes('limit=500')).length;
    const first = informer.relist();
    await eventually(() => lists() === 3, found, { what: 'its request' });
    await Promise.all([first, informer.relist(), informer.relist()]);
    expect(lists()).toBe(4);
    proxy.fault = () => ({ status: 500 });
    await expect(informer.relist()).rejects.toThrow('list configmaps: 500');
    await expect(informer.relist(AbortSignal.timeout(20))).rejects.toThrow('timeout');
    proxy.fault = () => undefined;
    // the informer continues by itself
    await client.create(resource, { metadata: { name: a.metadata.name } });
    await eventually(() => informer.get('a') !== undefined, found, { what: 'the watch' });
    expect(changes.slice(1).sort()).toEqual(['+a', '+b', '-a']);
    await informer.stop();
    await expect(informer.relist()).rejects.toThrow('the informer of configmaps was stopped');
  });

  test('lists as often as requested, but not too fast', async () => {
    const resource = await configMapsIn('paced');
    const { informer } = follow(resource);
    await informer.synced();
    const start = performance.now();
    while (performance.now() - start < 500) await informer.relist();
    expect(informer.counters.relists - 1).toBeLessThanOrEqual(500 / backoff.baseMs + 1);
    expect(informer.counters.failures).toBe(0);
  });

  test('a quiet watch is no failure: the informer asks the server for its version and logs nothing', async () => {
    const resource = await configMapsIn('quiet');
    await make(resource, 'a');
    const { informer, changes, logged } = follow(resource, plane.server, { silenceMs: 1100 });
    await eventually(() => informer.counters.watches >= 3, found, { what: 'a third watch' });
    expect(informer.counters).toMatchObject({ relists: 1, failures: 0, restores: 0 });
    await make(resource, 'b');
    await eventually(() => informer.get('b') !== undefined, found, { what: 'b' });
    expect([changes, logged]).toEqual([['+a', '+b'], []]);
  });
});
