import { apply, client, get, kubectl, nodes, onNode, tool, workers } from '../support/e2e.ts';
import {
  addressOf,
  host,
  makeNamespace,
  nodeAddresses,
  pod,
  ready,
  service,
  workload,
} from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

const namespace = 'ovt-services';
const [here, there] = workers;
const exec = (name: string, words: string) => tool(name, words, namespace);

const ipv6 = { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv6'] };

beforeAll(async () => {
  await makeNamespace(namespace);
  await apply(
    pod('client', { namespace, node: here }),
    pod('lonely', { namespace, node: here, labels: { app: 'own' } }),
    service('own', namespace),
    pod('remote', {
      namespace,
      node: there,
      labels: { app: 'remote' },
      container: { ports: [{ containerPort: 8080, hostPort: 8089 }] },
    }),
    service('remote', namespace),
    workload('Deployment', 'pair', 2, { namespace, node: here }),
    service('pair', namespace),
    service('port', namespace, { type: 'NodePort' }, 'remote'),
    pod('remote6', {
      namespace,
      node: there,
      network: 'dcos6',
      labels: { app: 'remote6' },
      container: { ports: [{ containerPort: 8080, hostPort: 8090 }] },
    }),
    ...nodes.map((node) =>
      pod(`on-${node}`, { namespace, node, args: ['sleep'], spec: { hostNetwork: true } }),
    ),
    service('port6', namespace, { type: 'NodePort', ...ipv6 }, 'remote6'),
    service('local6', namespace, { type: 'NodePort', externalTrafficPolicy: 'Local', ...ipv6 }, 'remote6'),
    service('local', namespace, { type: 'NodePort', externalTrafficPolicy: 'Local' }, 'remote'),
  );
  await ready(namespace, 'client', 'lonely', 'remote', 'remote6', ...nodes.map((node) => `on-${node}`));
  await kubectl(`rollout status -n ${namespace} deployment/pair --timeout=60s`);
  // kube-proxy adds endpoints a moment later
  for (const name of ['own', 'remote', 'pair'])
    await eventually(() => exec('client', `get http://${name}/`), found, {
      what: `Service ${name}`,
      seconds: 30,
    });
});

/** Returns the names of the pods that answer 20 requests of a URL. */
const answering = async (from: string, url: string): Promise<string[]> => {
  const lines = (await exec(from, `get ${url} 20`)).split('\n');
  return [...new Set(lines.map((line) => line.split(' ')[0]!))].sort();
};

afterAll(() => kubectl(`delete namespace ${namespace} --wait=false`));

test('a pod reaches itself through its own Service', async () => {
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

test('each of two endpoints reaches both through their Service', async () => {
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

test('externalTrafficPolicy Local: the endpoint’s node answers and keeps the client’s address, another node does not answer', async () => {
  const port = await nodePort('local');
  const [with_] = await nodeAddresses(there);
  const [without] = await nodeAddresses(here);
  const outside = (await client(`get http://${with_!}:${port}/`)).split(' ');
  expect(outside[0]).toBe('remote');
  expect(outside[1]).not.toBe(with_);
  expect(outside[1]).toMatch(/^172\./);
  await expect(client(`get http://${without!}:${port}/`)).rejects.toThrow();
});

test('nodes drop packets that arrive by another link than the route back to their source', async () => {
  for (const node of nodes)
    expect((await onNode(node, 'sysctl -n net.ipv4.conf.all.rp_filter')).trim()).toBe('1');
});

/** Returns the TCP and UDP ports of a NodePort Service. */
const nodePorts = async (name: string): Promise<{ tcp: number; udp: number }> => {
  const { spec } = await get<{ spec: { ports: { protocol: string; nodePort: number }[] } }>(
    `-n ${namespace} service ${name}`,
  );
  const of = (wanted: string) => spec.ports.find(({ protocol }) => protocol === wanted)?.nodePort ?? 0;
  return { tcp: of('TCP'), udp: of('UDP') };
};

test.each([
  { name: 'port', family: 4, policy: 'Cluster' },
  { name: 'local', family: 4, policy: 'Local' },
  { name: 'port6', family: 6, policy: 'Cluster' },
  { name: 'local6', family: 6, policy: 'Local' },
])(
  'a node’s own process reaches the NodePort of each node: IPv$family, $policy',
  async ({ name, family, policy }) => {
    const { tcp, udp } = await nodePorts(name);
    const endpoint = family === 4 ? 'remote' : 'remote6';
    for (const from of nodes)
      for (const to of nodes.filter((node) => policy === 'Cluster' || node === there)) {
        const address = host((await nodeAddresses(to))[family === 4 ? 0 : 1]!);
        expect([from, to, await exec(`on-${from}`, `get http://${address}:${tcp}/`)]).toEqual([
          from,
          to,
          expect.stringMatching(new RegExp(`^${endpoint} `)),
        ]);
        expect([from, to, await exec(`on-${from}`, `udp ${address}:${udp}`)]).toEqual([from, to, 'hello']);
      }
  },
);

test('a node’s own process reaches the hostPort of each other node, over both families', async () => {
  for (const from of nodes.filter((node) => node !== there)) {
    const [ip, ip6] = await nodeAddresses(there);
    expect(await exec(`on-${from}`, `get http://${ip!}:8089/`)).toMatch(/^remote /);
    expect(await exec(`on-${from}`, `get http://${host(ip6!)}:8090/`)).toMatch(/^remote6 /);
  }
});
