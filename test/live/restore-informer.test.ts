import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/api/types.ts';
import type { Resource } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { backoff, Following, names, type ConfigMap, type Followed } from '../support/following.ts';
import { eventually, found } from '../support/eventually.ts';

const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };
type Follower = Followed<ConfigMap>;
const silenceMs = 2000;
/** Time until an informer notices, from the moment when it can; a busy machine may take ten times as long. */
const limitMs = backoff.maxMs + silenceMs + 600;

describe('When etcd is restored', () => {
  let plane: OwnControlPlane;
  const following = new Following(() => plane);
  const { configMapsIn, make, follow, httpProxy } = following;

  /** Waits until that is true for all informers, and prints the time. */
  const within = async (
    what: string,
    all: Follower[],
    holds: (informer: Follower['informer']) => boolean,
  ) => {
    const start = performance.now();
    await eventually(() => all.every(({ informer }) => holds(informer)), found, {
      what: what,
      seconds: (10 * limitMs) / 1_000,
    });
    const ms = Math.round(performance.now() - start);
    console.log(`${what}: ${all.length} informers within ${ms} ms, expected ${limitMs}`);
  };
  const noticed = (informer: Follower['informer']) => informer.counters.restores > 0;
  const followed = (informer: Follower['informer']) =>
    noticed(informer) && !names(informer).some((name) => name.startsWith('lost'));
  /** Makes objects that are in the backup, and objects that will be lost. */
  const history = async (resource: Resource<ConfigMap>): Promise<void> => {
    const { client } = plane;
    const changed = await make(resource, 'changed');
    await make(resource, 'deleted');
    await make(resource, 'same');
    await plane.etcd.backup();
    await client.delete(resource, 'deleted');
    for (let i = 0; i < 20; i++) await make(resource, `lost${i}`);
    await client.update(resource, { ...changed, data: { k: 'lost' } });
  };
  const shown = <T extends KubeObject>(items: T[]) =>
    new Map(items.map((item) => [item.metadata.name, item]));
  const restored = ['changed', 'deleted', 'same'];

  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterEach(async () => {
    await following.end();
  });
  afterAll(async () => {
    await plane.stop();
  });

  test('informers of every kind show the restored objects, and follow them', async () => {
    const resource = await configMapsIn('restored');
    const secrets: Resource<ConfigMap> = { ...resource, kind: 'Secret', plural: 'secrets' };
    const { client } = plane;
    await make(secrets, 'deleted');
    await make(secrets, 'same');
    await history(resource);
    await client.delete(secrets, 'deleted');
    await configMapsIn('lost');

    const [refusing, deafening, delaying] = [await httpProxy(), await httpProxy(), await httpProxy()];
    const direct = [follow(resource), follow(secrets), follow(namespaces as Resource<ConfigMap>)] as const;
    const refused = follow(resource, refusing.url);
    const deaf = follow(resource, deafening.url, { silenceMs });
    const late = follow(secrets, delaying.url);
    const all = [...direct, refused, deaf, late];
    const told: string[] = [];
    for (const { informer } of all)
      informer.onWentBack((from, to) => {
        told.push(Number(from) > Number(to) ? informer.resource.plural : `${from} to ${to}`);
      });
    await eventually(() => all.every(({ informer }) => informer.counters.watches > 0), found, {
      what: 'all watches',
    });
    const lost = Math.max(...all.map(({ informer }) => Number(informer.resourceVersion)));
    for (const { changes } of all) changes.length = 0;

    // a server answers all the time, so these need not list everything: they compare
    const away = { status: 503 };
    refusing.fault = deafening.fault = () => away;
    for (const proxy of [refusing, deafening]) proxy.cut();
    await eventually(() => [refused, deaf].every(({ informer }) => informer.lastError), found, {
      what: 'both to be refused',
    });
    await plane.killApiserver();
    // the first failure is the watch that broke
    await eventually(() => late.informer.counters.failures >= 2, found, {
      what: 'an attempt without answer',
    });
    delaying.fault = () => away;
    await plane.restore();
    refusing.fault = () => undefined;
    await within('a restore', [...direct, refused], followed);
    expect(await plane.etcd.revision()).toBeLessThan(lost);
    expect(told.sort()).toEqual(['configmaps', 'configmaps', 'namespaces', 'secrets']);

    // the API server accepts a watch from a version that it has not reached, and sends nothing
    deafening.fault = (_, url) => {
      if (url.includes('limit=1')) return { status: 200, body: `{"metadata":{"resourceVersion":"${lost}"}}` };
      return url.includes('/configmaps/') ? { status: 403 } : undefined;
    };
    await eventually(() => deaf.informer.counters.watches === 2, found, {
      what: 'a watch from the future',
    });
    deafening.fault = () => undefined;
    await within('a restore, on a watch that was silent', [deaf], followed);

    // other writes pass the version that was seen; events in between are not sent again, and the newest object is the
    // same
    const noise = await configMapsIn('noise');
    for (let i = 0; (await plane.etcd.revision()) <= lost; i++) await make(noise, `noise${i}`);
    delaying.fault = () => undefined;
    await within('a restore, after the old version was passed', [late], followed);

    const truth = shown((await client.list(resource)).items);
    expect([...truth.keys()].sort()).toEqual(restored);
    const maps = [direct[0], refused, deaf];
    for (const { informer, changes } of maps) {
      expect(shown(informer.list())).toEqual(truth);
      expect(changes.filter((change) => !/lost/.test(change))).toEqual(['~changed', '+deleted']);
      expect(changes).toContain('-lost0');
    }
    for (const { informer, changes } of [direct[1], late])
      expect([names(informer), changes]).toEqual([['deleted', 'same'], ['+deleted']]);
    expect(names(direct[2].informer)).not.toContain('lost');
    await make(resource, 'after');
    await eventually(() => maps.every(({ informer }) => informer.get('after') !== undefined), found, {
      what: 'what comes later',
    });
    expect(all.map(({ informer }) => informer.counters.restores)).toEqual(all.map(() => 1));
  });

  test('an API server that keeps running shows the restored state in reads of single objects, and in all reads after a restart', async () => {
    const resource = await configMapsIn('behind');
    const { client } = plane;
    await history(resource);
    const one = follow(resource, plane.server, { silenceMs });
    const asked = follow(resource);
    await eventually(() => [one, asked].every(({ informer }) => informer.counters.watches > 0), found, {
      what: 'the watches',
    });
    await plane.etcd.restore();
    // the API server's own cache still has the old state
    const lists = (await client.list(resource)).items;
    expect(lists.map(({ metadata }) => metadata.name)).toContain('lost0');
    expect(await client.get(resource, 'lost0')).toBeUndefined();
    expect(await asked.informer.refresh('lost0')).toBeUndefined();
    expect(asked.informer.get('lost0')).toBeUndefined();
    const changed = await asked.informer.refresh('changed');
    expect([changed?.data, asked.informer.get('changed'), asked.informer.counters.restores]).toEqual([
      undefined,
      changed,
      1,
    ]);
    await within('etcd put back behind an API server', [one], noticed);
    await plane.killApiserver();
    await plane.startApiserver();
    const holds = () => [one, asked].every(({ informer }) => names(informer).join() === restored.join());
    await eventually(holds, found, { what: 'the restored data', seconds: (10 * limitMs) / 1_000 });
  });
});
