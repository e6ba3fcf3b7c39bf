import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { rootCertificates } from 'node:tls';
import type { KubeObject } from '../../../src/api/types.ts';
import { ApiError, connect } from '../../../src/kube/client.ts';
import { leases, type Resource } from '../../../src/kube/resources.ts';
import { controlPlane, type ControlPlane } from '../../support/controlplane.ts';
import { HttpProxy, TcpProxy } from '../../support/kubeproxy.ts';

type ConfigMap = KubeObject & { data?: Record<string, string> };
/** A unique namespace, so that the suite can run again on the same API server. */
const namespace = `ovt-client-${Date.now().toString(36)}`;
const configMaps: Resource<ConfigMap> = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespace,
};
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

const refusal = async (call: Promise<unknown>): Promise<ApiError> => {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
};

describe('Client', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await controlPlane();
    await plane.client.apply(namespaces, { metadata: { name: namespace } });
  });
  afterAll(async () => {
    await plane.stop();
  });

  test('creates, reads, changes and deletes', async () => {
    const { client } = plane;
    const made = await client.create(configMaps, { metadata: { name: 'a' }, data: { k: '1' } });
    expect(made).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
    expect((await client.update(configMaps, { ...made, data: { k: '2' } })).data).toEqual({ k: '2' });
    expect((await client.patch(configMaps, 'a', { data: { l: '3' } }, { type: 'merge' })).data).toEqual({
      k: '2',
      l: '3',
    });
    expect((await client.apply(configMaps, { metadata: { name: 'a' }, data: { k: '4' } })).data).toEqual({
      k: '4',
      l: '3',
    });
    const read = await client.get(configMaps, 'a');
    expect(read?.data).toEqual({ k: '4', l: '3' });
    expect(JSON.stringify(read)).not.toContain('managedFields');
    expect(await client.delete(configMaps, 'a')).toBe(true);
    expect(await client.delete(configMaps, 'a')).toBe(false);
    expect(await client.get(configMaps, 'a')).toBeUndefined();
  });

  test('reports a lost compare-and-swap, a second create and a wrong precondition as 409', async () => {
    const { client } = plane;
    const first = await client.create(configMaps, { metadata: { name: 'cas' }, data: { k: '1' } });
    await client.update(configMaps, { ...first, data: { k: '2' } });
    const conflict = await refusal(client.update(configMaps, { ...first, data: { k: '3' } }));
    expect(conflict).toMatchObject({ status: 409, reason: 'Conflict' });
    expect(conflict.message).toMatch(/^update configmaps\/cas: 409 Conflict: .*the object has been modified/);
    const exists = await refusal(client.create(configMaps, { metadata: { name: 'cas' } }));
    expect(exists).toMatchObject({ status: 409, reason: 'AlreadyExists' });
    expect(exists.message).toMatch(/^create configmaps\/cas: /);
    expect(await refusal(client.delete(configMaps, 'cas', { uid: 'another' }))).toMatchObject({
      status: 409,
    });
    const old = first.metadata.resourceVersion!;
    expect(await refusal(client.delete(configMaps, 'cas', { resourceVersion: old }))).toMatchObject({
      status: 409,
    });
    expect(await client.delete(configMaps, 'cas', { uid: first.metadata.uid! })).toBe(true);
  });

  test('lists in pages and returns one list', async () => {
    const { client } = plane;
    const lease = leases(namespace);
    const names = Array.from({ length: 25 }, (_, i) => `l${String(i).padStart(2, '0')}`);
    await Promise.all(names.map((name) => client.create(lease, { metadata: { name } })));
    const { items, resourceVersion } = await client.list(lease, { pageSize: 10 });
    expect(items.map((item) => item.metadata.name)).toEqual(names);
    expect(items.every((item) => item.kind === 'Lease')).toBe(true);
    expect(Number(resourceVersion)).toBeGreaterThan(0);
    const one = await client.list(lease, { fieldSelector: 'metadata.name=l07' });
    expect(one.items.map((item) => item.metadata.name)).toEqual(['l07']);
  });

  test('starts a list over, in one page, when its next page has expired', async () => {
    const proxy = await HttpProxy.to(plane.server);
    const client = connect({ kubeconfig: plane.kubeconfigAt(proxy.url) });
    proxy.fault = (_, url) =>
      url.includes('continue=')
        ? { status: 410, body: '{"reason":"Expired","message":"too old"}' }
        : undefined;
    const { items } = await client.list(leases(namespace), { pageSize: 10 });
    expect(items.map((item) => item.metadata.name)).toEqual(
      Array.from({ length: 25 }, (_, i) => `l${String(i).padStart(2, '0')}`),
    );
    expect(proxy.requests.length).toBe(3);
    await client.close();
    await proxy.close();
  });

  test('reads only metadata', async () => {
    const { client } = plane;
    await client.create(configMaps, { metadata: { name: 'meta', labels: { a: 'b' } }, data: { k: '1' } });
    const metadata = { ...configMaps, metadataOnly: true };
    const object = await client.get(metadata, 'meta');
    expect(object).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'meta', labels: { a: 'b' } } });
    expect(object).not.toHaveProperty('data');
    expect(
      (await client.list(metadata, { fieldSelector: 'metadata.name=meta' })).items[0],
    ).not.toHaveProperty('data');
  });

  test('says that a kind is not served', async () => {
    const unknown: Resource<KubeObject> = {
      apiVersion: 'ovt.example/v1',
      kind: 'Nothing',
      plural: 'nothings',
    };
    const error = await refusal(plane.client.get(unknown, 'x'));
    expect(error.message).toMatch(/^get nothings\/x: 404: .*is the CRD installed/);
  });

  test('names the user and the missing right', async () => {
    const client = connect({ kubeconfig: await plane.kubeconfigFor({ name: 'nobody', rules: [] }) });
    const error = await refusal(client.list(configMaps));
    expect(error).toMatchObject({ status: 403, reason: 'Forbidden' });
    expect(error.message).toContain('system:serviceaccount:default:nobody');
    await client.close();
  });

  test('reuses its connections, for consecutive and for concurrent requests', async () => {
    const proxy = await TcpProxy.to(plane.server);
    const client = connect({ kubeconfig: plane.kubeconfigAt(proxy.url) });
    for (let i = 0; i < 20; i++) await client.list(configMaps);
    expect(proxy.connections).toBeLessThanOrEqual(2);
    for (let i = 0; i < 3; i++)
      await Promise.all(Array.from({ length: 100 }, () => client.get(configMaps, 'none')));
    expect(proxy.connections).toBeLessThanOrEqual(64);
    await client.close();
    await proxy.close();
  });

  test('surfaces 429 with its Retry-After and does not repeat a write', async () => {
    const proxy = await HttpProxy.to(plane.server);
    const client = connect({ kubeconfig: plane.kubeconfigAt(proxy.url) });
    proxy.fault = () => ({ status: 429, headers: { 'retry-after': '7' }, body: 'Too many requests' });
    const error = await refusal(client.create(configMaps, { metadata: { name: 'b' } }));
    expect(error).toMatchObject({ status: 429, retryAfterMs: 7000 });
    expect(error.message).toBe('create configmaps/b: 429: Too many requests');
    expect(proxy.requests.length).toBe(1);
    await client.close();
    await proxy.close();
  });

  test('gives up a request without an answer, and continues on a new connection', async () => {
    const proxy = await TcpProxy.to(plane.server);
    const client = connect({ kubeconfig: plane.kubeconfigAt(proxy.url), limits: { requestMs: 300 } });
    await client.get(configMaps, 'none');
    proxy.blackHole();
    await expect(client.get(configMaps, 'none')).rejects.toThrow(
      'get configmaps/none: no answer within 300 ms',
    );
    proxy.heal();
    expect(await client.get(configMaps, 'none')).toBeUndefined();
    await client.close();
    await proxy.close();
  });

  test('names the address if no server listens there', async () => {
    const client = connect({ kubeconfig: plane.kubeconfigAt('https://127.0.0.1:1') });
    await expect(client.get(configMaps, 'x')).rejects.toThrow(
      'get configmaps/x: connect ECONNREFUSED 127.0.0.1:1',
    );
    await client.close();
  });

  test('reads a token file again when the API server refuses its token', async () => {
    const [good, file] = [
      plane.kubeconfigAt(plane.server),
      path.join(path.dirname(plane.kubeconfig), 'ovt-token'),
    ];
    const token = /token: "(.*)"/.exec(readFileSync(good, 'utf8'))![1]!;
    const config = `${good}-file`;
    writeFileSync(config, readFileSync(good, 'utf8').replace(`token: "${token}"`, 'tokenFile: ovt-token'));
    writeFileSync(file, 'expired\n');
    const client = connect({ kubeconfig: config });
    expect(await refusal(client.get(configMaps, 'none'))).toMatchObject({ status: 401 });
    writeFileSync(file, `${token}\n`);
    expect(await client.get(configMaps, 'none')).toBeUndefined();
    await client.close();
  });

  test('trusts a CA file that was replaced', async () => {
    const config = `${plane.kubeconfigAt(plane.server)}-ca`;
    const dir = path.dirname(plane.kubeconfig);
    const [right, wrong] = [path.join(dir, 'apiserver.crt'), path.join(dir, 'ovt-ca.crt')];
    writeFileSync(config, readFileSync(plane.kubeconfigAt(plane.server), 'utf8').replace(right, wrong));
    writeFileSync(wrong, rootCertificates[0]!);
    const client = connect({ kubeconfig: config, limits: { credentialsMs: 0 } });
    await expect(client.get(configMaps, 'none')).rejects.toThrow('self-signed certificate');
    writeFileSync(wrong, readFileSync(right));
    expect(await client.get(configMaps, 'none')).toBeUndefined();
    await client.close();
  });
});
