import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../../src/kube/client.ts';
import { startControlPlane, type OwnControlPlane } from '../../support/controlplane.ts';
import { Following, names } from '../../support/following.ts';
import { eventually, found } from '../../support/eventually.ts';

describe('Informer', () => {
  let plane: OwnControlPlane;
  let client: Client;
  const following = new Following(() => plane);
  const { configMapsIn, make, follow, tcpProxy, httpProxy } = following;

  beforeAll(async () => {
    plane = await startControlPlane();
    client = plane.client;
  });
  afterEach(async () => {
    await following.end();
  });
  afterAll(async () => {
    await plane.stop();
  });

  test('lists, then follows; reports each change once, with the old object', async () => {
    const resource = await configMapsIn('follow');
    const made = await make(resource, 'a');
    const { informer, changes } = follow(resource);
    expect(informer.hasSynced).toBe(false);
    await informer.synced();
    expect([changes, informer.get('a')]).toEqual([['+a'], made]);
    const seen: unknown[] = [];
    informer.onChange((_, object, old) => seen.push([object?.data, old?.metadata.resourceVersion]));
    await client.update(resource, { ...made, data: { k: 'v' } });
    await eventually(() => seen.length === 1, found, { what: 'the change' });
    expect(seen).toEqual([[{ k: 'v' }, made.metadata.resourceVersion]]);
    await make(resource, 'b');
    await client.delete(resource, 'a');
    await eventually(() => informer.get('a') === undefined, found, { what: 'the deletion' });
    expect(changes).toEqual(['+a', '~a', '+b', '-a']);
    expect(names(informer)).toEqual(['b']);
    expect(informer.lastError).toBeUndefined();
  });

  test('a handler that throws does not affect the others', async () => {
    const resource = await configMapsIn('throws');
    await make(resource, 'a');
    const { informer: own } = follow(resource);
    const seen: string[] = [];
    own.onChange(() => {
      throw new Error('no');
    });
    own.onChange((name) => seen.push(name));
    await own.synced();
    await make(resource, 'b');
    await eventually(() => seen.length === 2, found, { what: 'the second object' });
    expect(seen).toEqual(['a', 'b']);
  });

  test('applies the answer to a write at once, reports it once, and never applies an older one', async () => {
    const resource = await configMapsIn('learn');
    const first = await make(resource, 'a');
    const { informer, changes } = follow(resource);
    await informer.synced();
    const second = await client.update(resource, { ...first, data: { k: '2' } });
    informer.learn(second);
    expect(informer.get('a')).toEqual(second);
    informer.learn(first);
    expect(informer.get('a')?.data).toEqual({ k: '2' });
    await make(resource, 'b');
    await eventually(() => informer.get('b') !== undefined, found, { what: 'b' });
    expect(changes).toEqual(['+a', '~a', '+b']);
    await client.delete(resource, 'a');
    await eventually(() => informer.get('a') === undefined, found, { what: 'the deletion' });
    informer.learn(second);
    expect(informer.get('a')).toBeUndefined();
  });

  test('lists 620 objects in pages of 500', async () => {
    const resource = await configMapsIn('pages');
    const proxy = await httpProxy();
    for (let i = 0; i < 620; i += 62) {
      await Promise.all(Array.from({ length: 62 }, (_, k) => make(resource, `n${i + k}`)));
    }
    const { informer, changes } = follow(resource, proxy.url);
    await informer.synced();
    expect(informer.list().length).toBe(620);
    expect(changes.length).toBe(620);
    const lists = proxy.requests.filter((request) => !request.includes('watch=true'));
    expect(lists.map((request) => /limit=500/.test(request))).toEqual([true, true]);
    expect(informer.counters.relists).toBe(1);
  });

  test('waits as long as 429 and 5xx demand, and then follows', async () => {
    const resource = await configMapsIn('faults');
    await make(resource, 'a');
    const proxy = await httpProxy();
    const at: number[] = [];
    proxy.fault = () => {
      at.push(performance.now());
      if (at.length === 1) return { status: 429, headers: { 'retry-after': '1' } };
      return at.length < 4 ? { status: 503, body: 'no' } : undefined;
    };
    const { informer, changes } = follow(resource, proxy.url);
    await eventually(() => informer.lastError !== undefined, found, { what: 'the first error' });
    expect(informer.lastError).toMatch(/^list configmaps: 429/);
    await informer.synced();
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(1000);
    expect(informer.counters).toMatchObject({ failures: 3, relists: 1 });
    // the same during a watch: no new list
    const watches = informer.counters.watches;
    let faults = 0;
    proxy.fault = (_, url) => (url.includes('watch=true') && faults++ < 3 ? { status: 500 } : undefined);
    proxy.cut();
    await eventually(() => informer.counters.watches > watches, found, {
      what: 'another watch',
    });
    await make(resource, 'b');
    await eventually(() => informer.get('b') !== undefined, found, { what: 'b' });
    expect(changes).toEqual(['+a', '+b']);
    expect(informer.counters.relists).toBe(1);
    expect(informer.lastError).toBeUndefined();
  });

  test('notices a dead connection, and objects that were deleted meanwhile', async () => {
    const resource = await configMapsIn('blackhole');
    await make(resource, 'a');
    await make(resource, 'b');
    const proxy = await tcpProxy();
    const { informer, changes } = follow(resource, proxy.url, {
      requestMs: 500,
      silenceMs: 700,
      connectMs: 500,
    });
    await eventually(() => informer.counters.watches > 0, found, { what: 'the watch' });
    proxy.blackHole();
    await client.delete(resource, 'a');
    await make(resource, 'c');
    await eventually(() => informer.lastError !== undefined, found, { what: 'a time-out' });
    expect(informer.lastError).toMatch(/^list configmaps: (no answer within 500 ms|Connect Timeout)/);
    await sleep(500);
    expect(names(informer)).toEqual(['a', 'b']);
    proxy.heal();
    await eventually(() => names(informer).join() === 'b,c', found, { what: 'recovery' });
    expect(changes.sort()).toEqual(['+a', '+b', '+c', '-a']);
  });

  test('lists again when its resourceVersion has expired, and reports only differences', async () => {
    const resource = await configMapsIn('expired');
    const made = await make(resource, 'a');
    await make(resource, 'b');
    const proxy = await httpProxy();
    const { informer, changes } = follow(resource, proxy.url);
    await eventually(() => informer.counters.watches > 0, found, { what: 'the watch' });
    // refused until the API server's watch cache no longer contains the informer's version
    proxy.fault = () => ({ status: 503 });
    proxy.cut();
    await client.delete(resource, 'b');
    await client.update(resource, { ...made, data: { k: '2' } });
    await make(resource, 'c');
    await plane.etcd.compact();
    await plane.killApiserver();
    await plane.startApiserver();
    proxy.fault = () => undefined;
    await eventually(() => names(informer).join() === 'a,c', found, { what: 'recovery' });
    expect(informer.counters.relists).toBe(2);
    expect(changes.slice(0, 2).sort()).toEqual(['+a', '+b']);
    expect(changes.slice(2).sort()).toEqual(['+c', '-b', '~a']);
    await make(resource, 'd');
    await eventually(() => informer.get('d') !== undefined, found, { what: 'd' });
  });

  test('survives the API server: killed, away for a while, started again', async () => {
    const resource = await configMapsIn('killed');
    await make(resource, 'a');
    const { informer, changes } = follow(resource);
    const late = follow(resource, plane.server);
    await Promise.all([informer.synced(), late.informer.synced()]);
    await plane.killApiserver();
    await eventually(() => informer.lastError !== undefined, found, { what: 'the error' });
    expect(names(informer)).toEqual(['a']);
    const early = follow(resource);
    await eventually(() => early.informer.counters.failures >= 3, found, {
      what: 'three attempts',
    });
    expect(early.informer.lastError).toMatch(/^list configmaps: connect ECONNREFUSED/);
    await plane.startApiserver();
    await Promise.all([early.informer.synced(), make(resource, 'b')]);
    await eventually(() => [informer, early.informer].every((each) => each.get('b') !== undefined), found, {
      what: 'b everywhere',
    });
    expect(changes).toEqual(['+a', '+b']);
    expect([informer.lastError, early.informer.lastError]).toEqual([undefined, undefined]);
  });

  test('starts over when the API server comes back with older data', async () => {
    const resource = await configMapsIn('restored');
    await make(resource, 'a');
    const proxy = await httpProxy();
    const { informer, changes } = follow(resource, proxy.url);
    await eventually(() => informer.counters.watches > 0, found, { what: 'the watch' });
    // an API server whose etcd was restored from a backup sends this to a watch
    const older = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '1' } } };
    let once = true;
    proxy.fault = (_, url) => {
      if (!once || !url.includes('watch=true')) return undefined;
      once = false;
      return { status: 200, body: `${JSON.stringify(older)}\n` };
    };
    proxy.cut();
    await eventually(() => informer.counters.relists === 2, found, { what: 'a second list' });
    expect(changes).toEqual(['+a']);
  });

  test('stops at once, even while it cannot connect, and reports nothing more', async () => {
    const resource = await configMapsIn('stop');
    const proxy = await tcpProxy();
    proxy.blackHole();
    const { informer, changes } = follow(resource, proxy.url);
    await sleep(50);
    const start = performance.now();
    await informer.stop();
    expect(performance.now() - start).toBeLessThan(200);
    await expect(informer.synced(AbortSignal.timeout(20))).rejects.toThrow('timeout');
    expect(changes).toEqual([]);
  });
});
