import { jest } from '@jest/globals';
import { apply, client, eventually, get, kubectl, tool, workers } from '../support/e2e.ts';
import {
  addressOf,
  makeNamespace,
  nodeAddresses,
  pod,
  ready,
  service,
  workload,
} from '../support/e2e-objects.ts';

jest.setTimeout(120_000);
const namespace = 'ovt-services';
const [here, there] = workers;
const exec = (name: string, words: string) => tool(name, words, namespace);

beforeAll(async () => {
  await makeNamespace(namespace);
  await apply(
    pod('client', { namespace, node: here }),
    pod('lonely', { namespace, node: here, labels: { app: 'own' } }),
    service('own', namespace),
    pod('remote', { namespace, node: there, labels: { app: 'remote' } }),
    service('remote', namespace),
    workload('Deployment', 'pair', 2, { namespace, node: here }),
    service('pair', namespace),
    service('port', namespace, { type: 'NodePort' }, 'remote'),
    service('local', namespace, { type: 'NodePort', externalTrafficPolicy: 'Local' }, 'remote'),
  );
  await ready(namespace, 'client', 'lonely', 'remote');
  await kubectl(`rollout status -n ${namespace} deployment/pair --timeout=60s`);
  // kube-proxy hears of endpoints a moment later
  for (const name of ['own', 'remote', 'pair'])
    await eventually(`Service ${name}`, () => exec('client', `get http://${name}/`));
});

/** Names of the pods that answer a URL asked 20 times. */
const answering = async (from: string, url: string): Promise<string[]> => {
  const lines = (await exec(from, `get ${url} 20`)).split('\n');
  return [...new Set(lines.map((line) => line.split(' ')[0]!))].sort();
};

afterAll(() => kubectl(`delete namespace ${namespace} --wait=false`));

test('a pod reaches itself by its own Service', async () => {
  expect(await answering('lonely', 'http://own/')).toEqual(['lonely']);
});

test('a Service whose endpoint is on another node answers by TCP and UDP, and the endpoint sees the pod’s own address', async () => {
  expect(await exec('client', 'get http://remote/')).toBe(`remote ${await addressOf(namespace, 'client')}`);
  expect(await exec('client', 'udp remote:80')).toBe('hello');
});

const pairs = async (): Promise<string[]> => {
  const { items } = await get<{ items: { metadata: { name: string } }[] }>(
    `-n ${namespace} pods -l app=pair`,
  );
  return items.map(({ metadata }) => metadata.name).sort();
};

test('a Service with two endpoints on the client’s node answers from both', async () => {
  expect(await answering('client', 'http://pair/')).toEqual(await pairs());
});

test('each of two endpoints reaches both by their Service', async () => {
  const names = await pairs();
  expect(names).toHaveLength(2);
  for (const name of names) expect(await answering(name, 'http://pair/')).toEqual(names);
});

const nodePort = async (name: string): Promise<number> =>
  (await get<{ spec: { ports: { nodePort: number }[] } }>(`-n ${namespace} service ${name}`)).spec.ports[0]!
    .nodePort;

test('a NodePort answers on every node, whichever has the endpoint', async () => {
  const port = await nodePort('port');
  for (const node of workers) {
    const [ip] = await nodeAddresses(node);
    expect(await client(`get http://${ip!}:${port}/`)).toMatch(/^remote /);
    expect(await exec('client', `get http://${ip!}:${port}/`)).toMatch(/^remote /);
  }
});

test('externalTrafficPolicy Local: the endpoint’s node answers and shows the client’s address, another doesn’t answer', async () => {
  const port = await nodePort('local');
  const [with_] = await nodeAddresses(there);
  const [without] = await nodeAddresses(here);
  const outside = (await client(`get http://${with_!}:${port}/`)).split(' ');
  expect(outside[0]).toBe('remote');
  expect(outside[1]).not.toBe(with_);
  expect(outside[1]).toMatch(/^172\./);
  await expect(client(`get http://${without!}:${port}/`)).rejects.toThrow();
});
