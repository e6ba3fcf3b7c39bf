import { apply, client, controlPlane, get, kubectl, onNode, tool, workers } from '../support/e2e.ts';
import { addressOf, makeNamespace, nodeAddresses, pod, ready } from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

const namespace = 'ovt-pods';
const [here, there] = workers;
const exec = (name: string, words: string) => tool(name, words, namespace);

beforeAll(async () => {
  await makeNamespace(namespace);
  const probe = { periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 2 };
  await apply(
    pod('a', { namespace, node: here }),
    pod('b', { namespace, node: here }),
    pod('c', { namespace, node: there }),
    pod('hostport', {
      namespace,
      node: here,
      container: { ports: [{ containerPort: 8080, hostPort: 8088 }] },
    }),
    pod('http', {
      namespace,
      container: {
        readinessProbe: { ...probe, httpGet: { path: '/healthz', port: 8080 } },
        livenessProbe: { ...probe, httpGet: { path: '/', port: 8080 } },
      },
    }),
    pod('tcp', { namespace, container: { readinessProbe: { ...probe, tcpSocket: { port: 8080 } } } }),
    pod('exec', {
      namespace,
      container: { readinessProbe: { ...probe, exec: { command: ['/tool', 'exists', '/tmp/ready'] } } },
    }),
  );
  await ready(namespace, 'a', 'b', 'c', 'hostport', 'http', 'tcp');
});

afterAll(() => kubectl(`delete namespace ${namespace} --wait=false`));

test('a pod has an address in its node’s block of the default network, dcos', async () => {
  const { spec } = await get<{
    spec: { networks: { name: string; subnets: { bridges: { cni: string } }[] }[] };
  }>(`agentallocation ${here}`);
  const [subnet] = spec.networks.find(({ name }) => name === 'dcos')!.subnets;
  expect(subnet!.bridges.cni).toMatch(/^9\.0\.\d+\.0\/25$/);
  expect(await addressOf(namespace, 'a')).toContain(subnet!.bridges.cni.replace(/0\/25$/, ''));
});

test.each([
  ['one node', 'a', 'b'],
  ['two nodes', 'a', 'c'],
  ['two nodes, the other way', 'c', 'a'],
])('pods on %s reach each other over TCP and UDP, and see the sender’s own address', async (_, from, to) => {
  const [own, address] = await Promise.all([addressOf(namespace, from), addressOf(namespace, to)]);
  expect(await exec(from, `get http://${address}:8080/`)).toBe(`${to} ${own}`);
  expect(await exec(from, `udp ${address}:8080`)).toBe('hello');
});

test('a pod reaches every node, and every node reaches the pod', async () => {
  const address = await addressOf(namespace, 'a');
  for (const node of [controlPlane, ...workers]) {
    const [ip] = await nodeAddresses(node);
    // kubelet's own port
    expect(await exec('a', `get http://${ip!}:10256/healthz`)).toContain('lastUpdated');
    expect(await onNode(node, `curl -s --max-time 4 http://${address}:8080/`)).toMatch(/^a /);
  }
});

test('a pod reaches the API server', async () => {
  expect(JSON.parse(await exec('c', 'api /version'))).toMatchObject({ major: '1' });
});

test('the API server reaches a pod', async () => {
  expect(await kubectl(`get --raw /api/v1/namespaces/${namespace}/pods/c:8080/proxy/`)).toMatch(/^c /);
});

test('a pod resolves names of the cluster', async () => {
  const { spec } = await get<{ spec: { clusterIP: string } }>('service kubernetes');
  expect(await exec('a', 'lookup kubernetes.default.svc.cluster.local')).toBe(spec.clusterIP);
});

test('kubectl logs and kubectl exec work', async () => {
  expect(await kubectl(`logs -n ${namespace} b`)).toBe('b serves on :8080\n');
  expect(await exec('b', 'address')).toContain(await addressOf(namespace, 'b'));
});

test('a hostPort answers on its node, from outside and from a pod on another', async () => {
  const [ip] = await nodeAddresses(here);
  expect(await client(`get http://${ip!}:8088/`)).toMatch(/^hostport /);
  expect(await exec('c', `get http://${ip!}:8088/`)).toMatch(/^hostport /);
});

const isReady = async (name: string): Promise<boolean> => {
  const { status } = await get<{ status: { conditions: { type: string; status: string }[] } }>(
    `pod -n ${namespace} ${name}`,
  );
  return status.conditions.some(({ type, status: now }) => type === 'Ready' && now === 'True');
};

test('kubelet’s probes reach pods by HTTP, TCP and exec, and see failures', async () => {
  expect(await isReady('exec')).toBe(false);
  await exec('exec', 'write /tmp/ready yes');
  await eventually(() => isReady('exec'), found, { what: 'the exec probe to succeed', seconds: 30 });
  await exec('http', 'get http://localhost:8080/switch?healthy=false');
  await eventually(async () => !(await isReady('http')), found, {
    what: 'the HTTP probe to fail',
    seconds: 30,
  });
});
