import { apply, get, kubectl, onNode, tool, workers } from '../support/e2e.ts';
import {
  addressOf,
  makeNamespace,
  network,
  networkReady,
  nodeAddresses,
  pod,
  ready,
  service,
} from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

const namespace = 'ovt-isolation';
const [here, there] = workers;
const exec = (name: string, words: string) => tool(name, words, namespace);

beforeAll(async () => {
  await apply(network('blue', ['10.102.0.0/16 /24'], { isolation: { mode: 'Isolated', hosts: 'Deny' } }));
  await networkReady('blue');
  await makeNamespace(namespace);
  const probe = { readinessProbe: { periodSeconds: 1, httpGet: { path: '/healthz', port: 8080 } } };
  await apply(
    pod('blue-here', { namespace, node: here, network: 'blue', container: probe }),
    pod('blue-there', { namespace, node: there, network: 'blue', labels: { app: 'blue' }, container: probe }),
    pod('green', { namespace, node: here, labels: { app: 'green' } }),
    pod('green-there', { namespace, node: there }),
    service('blue', namespace),
    service('green', namespace),
  );
  // kubelet's HTTP probe tests that: a node always reaches its own pods
  await ready(namespace, 'blue-here', 'blue-there', 'green', 'green-there');
});
afterAll(async () => {
  await kubectl(`delete namespace ${namespace}`);
  await kubectl('delete overlaynetwork blue');
});

const url = async (name: string) => `http://${await addressOf(namespace, name)}:8080/`;

test('pods of an isolated network reach each other, also through their Service', async () => {
  expect(await exec('blue-here', `get ${await url('blue-there')}`)).toMatch(/^blue-there /);
  await eventually(
    async () => (await exec('blue-here', 'get http://blue/')).startsWith('blue-there '),
    found,
    { what: 'Service blue', seconds: 30 },
  );
});

test.each([
  ['into it, on one node', 'green', 'blue-here'],
  ['into it, from another node', 'green', 'blue-there'],
  ['out of it, on one node', 'blue-here', 'green'],
  ['out of it, to another node', 'blue-here', 'green-there'],
])('nothing passes %s', async (_, from, to) => {
  await expect(exec(from, `get ${await url(to)}`)).rejects.toThrow(/timeout|timed out|deadline/i);
});

test('a Service does not bypass isolation: kube-proxy’s rules come before ours, but ours still decide', async () => {
  await eventually(() => exec('green-there', 'get http://green/'), found, {
    what: 'Service green',
    seconds: 30,
  });
  await expect(exec('blue-here', 'get http://green/')).rejects.toThrow(/timeout|timed out|deadline/i);
  await expect(exec('green', 'get http://blue/')).rejects.toThrow(/timeout|timed out|deadline/i);
});

test('with hosts: Deny, processes of other nodes do not reach its pods', async () => {
  await expect(onNode(there, `curl -sf --max-time 3 ${await url('blue-here')}`)).rejects.toThrow();
  expect(await onNode(here, `curl -sf --max-time 3 ${await url('blue-here')}`)).toMatch(/^blue-here /);
});

test('its pods do not reach processes of other nodes, whether by address, Service or NodePort of their own node', async () => {
  const [[own], [other]] = await Promise.all([nodeAddresses(here), nodeAddresses(there)]);
  // kube-proxy's health port, on every node
  const port = 10_256;
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'process', namespace },
      spec: { type: 'NodePort', ports: [{ port }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'process', namespace, labels: { 'kubernetes.io/service-name': 'process' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [other], conditions: { ready: true } }],
      ports: [{ port, protocol: 'TCP' }],
    },
  );
  const { spec } = await get<{ spec: { clusterIP: string; ports: { nodePort: number }[] } }>(
    `-n ${namespace} service process`,
  );
  const urls = [`${other!}:${port}`, `${spec.clusterIP}:${port}`, `${own!}:${spec.ports[0]!.nodePort}`];
  for (const url of urls) {
    await eventually(() => exec('green', `get http://${url}/healthz`), found, { what: url, seconds: 30 });
    await expect(exec('blue-here', `get http://${url}/healthz`)).rejects.toThrow(
      /timeout|timed out|deadline/i,
    );
  }
  expect(await exec('blue-here', `get http://${own!}:${port}/healthz`)).toContain('lastUpdated');
});

test('cluster DNS works from an isolated network', async () => {
  expect(await exec('blue-here', 'lookup kubernetes.default.svc.cluster.local')).toMatch(/^10\.96\./);
});
