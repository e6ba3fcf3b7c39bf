import type { KubeObject } from '../../src/api/types.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { endpointSlices, nodes } from '../../src/kube/resources.ts';
import { agentPacketPath, sendPath } from '../../src/rows/send.ts';
import { rightOf } from '../../src/serve/gate.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { install } from '../support/refuses.ts';
import { discover, mayDo, rightsOf } from '../support/rights.ts';

const namespace = 'overlaynet-system';
const looked = ['default', 'kube-system', namespace];

let plane: OwnControlPlane;
let served: Awaited<ReturnType<typeof discover>>;
const clients: Client[] = [];

async function as(name: string, node?: string): Promise<Client> {
  const uid = node === undefined ? undefined : (await plane.client.get(nodes, node))?.metadata.uid;
  const bound = node === undefined || uid === undefined ? {} : { node: { name: node, uid } };
  const client = connect({ kubeconfig: await plane.kubeconfigFor({ name, namespace, ...bound }) });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  await plane.client.create<KubeObject>(nodes, { metadata: { name: 'node1' } });
  served = await discover(plane.client);
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await plane.stop();
});

const each = (verbs: string, resource: string, where = '') =>
  verbs.split(' ').map((verb) => `${verb} ${resource}${where}`);

/** Rights that Kubernetes gives every authenticated user. */
const everyone = [
  'create selfsubjectreviews.authentication.k8s.io',
  'create selfsubjectaccessreviews.authorization.k8s.io',
  'create selfsubjectrulesreviews.authorization.k8s.io',
];
const reviews = [
  'create tokenreviews.authentication.k8s.io',
  'create subjectaccessreviews.authorization.k8s.io',
];

test('discovery finds the resources to try', () => {
  const names = served.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      'pods',
      'pods/exec',
      'secrets',
      'nodes/proxy',
      'overlayagents.overlaynet.dev/status',
    ]),
  );
  expect(names.length).toBeGreaterThan(100);
});

test('the administrator passes everywhere, so that every refusal comes from authorization', async () => {
  const rights = await rightsOf(
    plane.client,
    served.filter(({ plural }) => plural === 'secrets' || plural === 'overlayagents'),
    ['default'],
  );
  expect(rights).toEqual(
    [
      ...each('list watch', 'secrets'),
      ...each('get list watch create update patch delete deletecollection', 'secrets', ' in default'),
      ...each('get list watch create update patch delete deletecollection', 'overlayagents.overlaynet.dev'),
      ...each('get create update patch delete', 'overlayagents.overlaynet.dev/status'),
    ].sort(),
  );
});

test('an agent has exactly these rights', async () => {
  const rights = await rightsOf(await as('overlaynet-agent', 'node1'), served, looked);
  expect(rights).toEqual(
    [
      ...everyone,
      ...reviews,
      ...each('get list watch', 'namespaces'),
      ...each('get list watch', 'overlayconfigs.overlaynet.dev'),
      ...each('get list watch', 'overlaynetworks.overlaynet.dev'),
      ...each('get list watch', 'agentallocations.overlaynet.dev'),
      ...each('get list watch create update', 'overlayagents.overlaynet.dev'),
      ...each('update', 'overlayagents.overlaynet.dev/status'),
      ...each('patch', 'nodes/status'),
    ].sort(),
  );
});

test("agent and operator may read only the API servers' EndpointSlice", async () => {
  const agent = await as('overlaynet-agent', 'node1');
  const slices = served.filter(({ plural }) => plural === 'endpointslices');
  for (const client of [agent, await as('overlaynet-operator')])
    expect(await rightsOf(client, slices, looked, 'kubernetes')).toEqual([
      'get endpointslices.discovery.k8s.io in default',
    ]);
  const named = { fieldSelector: 'metadata.name=kubernetes' };
  expect(await agent.list(endpointSlices('default'), named)).toHaveProperty('items');
});

test('the operator has exactly these rights', async () => {
  const operator = await as('overlaynet-operator');
  const unnamed = [
    ...everyone,
    ...reviews,
    ...each('get list watch', 'nodes'),
    ...each('get list watch create', 'overlayconfigs.overlaynet.dev'),
    ...each('update', 'overlayconfigs.overlaynet.dev/status'),
    ...each('get list watch update', 'overlaynetworks.overlaynet.dev'),
    ...each('update', 'overlaynetworks.overlaynet.dev/status'),
    ...each('get list watch', 'overlayreservations.overlaynet.dev'),
    ...each('update', 'overlayreservations.overlaynet.dev/status'),
    ...each('get list watch delete', 'overlayagents.overlaynet.dev'),
    ...each('get list watch create update delete', 'agentallocations.overlaynet.dev'),
    ...each('update', 'agentallocations.overlaynet.dev/status'),
    ...each('get list watch create update delete', 'allocationledgers.overlaynet.dev'),
    ...each('create list patch', 'events', ' in default'),
    ...each('create', 'leases.coordination.k8s.io', ` in ${namespace}`),
    ...each('create', 'configmaps', ` in ${namespace}`),
  ];
  expect(await rightsOf(operator, served, looked)).toEqual(unnamed.toSorted());
  const lease = each('get update', 'leases.coordination.k8s.io', ` in ${namespace}`);
  const there = served.filter(({ namespaced }) => namespaced);
  const inNamespace = unnamed.filter((right) => right.endsWith(` in ${namespace}`));
  expect(await rightsOf(operator, there, [namespace], 'overlaynet-operator')).toEqual(
    [...inNamespace, ...lease, ...each('get update', 'configmaps', ` in ${namespace}`)].sort(),
  );
  const definitions = served.filter(({ plural }) => plural === 'customresourcedefinitions');
  for (const kind of ['overlaynetworks', 'overlayreservations'])
    expect(await rightsOf(operator, definitions, [], `${kind}.overlaynet.dev`)).toEqual([
      'get customresourcedefinitions.apiextensions.k8s.io',
    ]);
});

const rows = ['networks', 'agents', 'blocks', 'spaces', 'findings', 'events', 'changes'].map((kind) =>
  rightOf(`/api/v1/${kind}`),
);
const inspected = [rightOf('/api/v1/containers'), '/overlay-agent/containers'];

test('an inspector may read a viewer’s rows and containers; the operator may ask agents for them', async () => {
  const inspector = await as('overlaynet-inspector');
  expect(await rightsOf(inspector, served, looked)).toEqual(everyone.toSorted());
  const viewer = await as('overlaynet-viewer');
  for (const path of [...rows, ...inspected]) {
    for (const verb of ['get', 'head']) expect(await mayDo(inspector, { path, verb })).toBe(true);
    expect({ path, allowed: await mayDo(viewer, { path, verb: 'get' }) }).toEqual({
      path,
      allowed: rows.includes(path),
    });
  }
  const operator = await as('overlaynet-operator');
  expect(await mayDo(operator, { path: '/overlay-agent/containers', verb: 'get' })).toBe(true);
});

test('only a prober may have packets sent, and only the operator may ask agents for that', async () => {
  const [send, packet] = [rightOf(sendPath), agentPacketPath];
  const prober = await as('overlaynet-prober');
  expect(await rightsOf(prober, served, looked)).toEqual(everyone.toSorted());
  for (const [name, path] of [
    ['overlaynet-prober', send],
    ['overlaynet-operator', packet],
  ] as const)
    for (const asked of [send, packet])
      expect(await mayDo(await as(name), { path: asked, verb: 'post' })).toBe(asked === path);
  for (const name of ['overlaynet-viewer', 'overlaynet-inspector', 'overlaynet-agent'])
    for (const path of [send, packet])
      expect(await mayDo(await as(name), { path, verb: 'post' })).toBe(false);
});

test('no right of ours is named /api/*, because Kubernetes gives every user that path', async () => {
  const nobody = await as('ovt-nobody');
  expect(await mayDo(nobody, { path: '/api/v1/containers', verb: 'get' })).toBe(true);
  for (const path of [...rows, ...inspected]) expect(await mayDo(nobody, { path, verb: 'get' })).toBe(false);
});

test('a viewer may read the three paths and nothing in the API', async () => {
  const viewer = await as('overlaynet-viewer');
  expect(await rightsOf(viewer, served, looked)).toEqual(everyone.toSorted());
  for (const path of ['/overlay-master/state', '/overlay-agent/overlay', '/metrics']) {
    for (const verb of ['get', 'head']) expect(await mayDo(viewer, { path, verb })).toBe(true);
    for (const verb of ['post', 'put', 'delete']) expect(await mayDo(viewer, { path, verb })).toBe(false);
  }
  for (const path of ['/', '/overlay-master', '/overlay-master/state/x', '/debug/pprof', '/logs']) {
    expect({ path, allowed: await mayDo(viewer, { path, verb: 'get' }) }).toEqual({ path, allowed: false });
  }
});

test.each(['overlaynet-agent', 'overlaynet-operator', 'overlaynet-viewer'])(
  '%s has none of the verbs that lead to others’ rights',
  async (name) => {
    const client = await as(name);
    const rbac = 'rbac.authorization.k8s.io';
    const certificates = 'certificates.k8s.io';
    const attempts = [
      ...['users', 'groups', 'serviceaccounts', 'uids'].map((resource) => ({
        verb: 'impersonate',
        resource,
      })),
      { verb: 'impersonate', resource: 'groups', name: 'overlaynet:break-glass' },
      { verb: 'post', path: '/overlay-master/agents/delete' },
      ...['roles', 'clusterroles'].flatMap((resource) =>
        ['bind', 'escalate'].map((verb) => ({ verb, group: rbac, resource })),
      ),
      ...['approve', 'sign'].map((verb) => ({ verb, group: certificates, resource: 'signers' })),
      { verb: 'create', resource: 'serviceaccounts', subresource: 'token', namespace },
      { verb: '*', group: '*', resource: '*' },
    ];
    for (const attempt of attempts)
      expect({ attempt, allowed: await mayDo(client, attempt) }).toEqual({ attempt, allowed: false });
  },
  30_000,
);
