import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  apiVersion,
  type AgentAllocation,
  type AllocationLedger,
  type KubeObject,
} from '../../src/api/types.ts';
import { ApiError, connect, type Client } from '../../src/kube/client.ts';
import { agentAllocations, allocationLedgers, pathOf, type Resource } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { allocation, block, ledger, page } from '../support/manifests.ts';
import { install } from '../support/refuses.ts';

const namespace = 'overlaynet-system';
const own = (spec = {}, name = 'node1') => ({ apiVersion, ...allocation(spec, name) }) as AgentAllocation;
const ownPage = (more = {}) =>
  ({ apiVersion, ...ledger('net-dcos-0', { page: page(more) }) }) as AllocationLedger;
const breakGlass = ['--as=somebody', '--as-group=overlaynet:break-glass'];

let plane: OwnControlPlane;
let operator: Client, somebody: Client;

/** A ServiceAccount with all rights of RBAC, so that only the policy can stop it. */
async function administrator(name: string): Promise<Client> {
  await plane.client.apply(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      plural: 'clusterrolebindings',
    },
    {
      metadata: { name: `ovt-${name}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    } as KubeObject,
  );
  return connect({ kubeconfig: await plane.kubeconfigFor({ name, namespace: 'default' }) });
}

const isRefused = async (attempt: Promise<unknown>): Promise<boolean> => {
  try {
    await attempt;
    return false;
  } catch (error) {
    if (error instanceof ApiError && error.message.includes('only the operator says')) return true;
    throw error;
  }
};

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  operator = connect({ kubeconfig: await plane.kubeconfigFor({ name: 'overlaynet-operator', namespace }) });
  somebody = await administrator('somebody');
  const probe = {
    what: 'probe',
    method: 'POST',
    path: pathOf(agentAllocations),
    query: { dryRun: 'All' },
    body: own({}, 'ovt-probe'),
  } as const;
  // the API server applies a new policy within a second or two
  for (let tries = 0; !(await isRefused(plane.client.raw(probe))); tries++) {
    if (tries > 100) throw new Error('the policy is not in force after 10 s');
    await sleep(100);
  }
});

afterAll(async () => {
  await operator.close();
  await somebody.close();
  await plane.stop();
});

/** Makes one object of both kinds, as the operator does. */
beforeEach(async () => {
  await operator.create(agentAllocations, own());
  await operator.create(allocationLedgers, ownPage());
});
afterEach(async () => {
  for (const resource of [agentAllocations, allocationLedgers] as Resource<KubeObject>[]) {
    await plane.kubectl(...breakGlass, 'delete', resource.plural, '--all');
  }
});

const words = (what: string) => ({
  status: 403,
  reason: 'Forbidden',
  message: expect.stringMatching(
    new RegExp(`must not ${what} \\(.*--as-group=overlaynet:break-glass`),
  ) as string,
});

const merge = { type: 'merge' as const };

/** Every way to change them, except metadata. */
const attempts: [string, string, (client: Client) => Promise<unknown>][] = [
  ['creates', 'CREATE agentallocations/node2', (c) => c.create(agentAllocations, own({}, 'node2'))],
  [
    'replaces spec',
    'UPDATE agentallocations/node1',
    async (c) =>
      c.update(agentAllocations, {
        ...(await c.get(agentAllocations, 'node1'))!,
        spec: own({ revision: 9 }).spec,
      }),
  ],
  [
    'patches spec',
    'UPDATE allocationledgers/net-dcos-0',
    (c) => c.patch(allocationLedgers, 'net-dcos-0', { spec: { page: { blocks: [block(300)] } } }, merge),
  ],
  [
    'applies',
    'UPDATE agentallocations/node1',
    (c) => c.apply(agentAllocations, { metadata: { name: 'node1' }, spec: own({ revision: 9 }).spec }),
  ],
  [
    'patches the status',
    'UPDATE agentallocations/node1',
    (c) =>
      c.patch(agentAllocations, 'node1', { status: { conditions: [] } }, { ...merge, subresource: 'status' }),
  ],
  ['deletes', 'DELETE allocationledgers/net-dcos-0', (c) => c.delete(allocationLedgers, 'net-dcos-0')],
  [
    'deletes all',
    'DELETE agentallocations',
    (c) => c.raw({ what: 'delete all', method: 'DELETE', path: pathOf(agentAllocations) }),
  ],
];

test.each(attempts)('only the operator %s', async (_, what, attempt) => {
  await expect(attempt(plane.client)).rejects.toMatchObject(words(what));
  await expect(attempt(somebody)).rejects.toMatchObject(words(what));
  expect((await operator.get(agentAllocations, 'node1'))?.spec.revision).toBe(1);
  expect((await operator.get(allocationLedgers, 'net-dcos-0'))?.spec.page?.blocks).toEqual([]);
});

test('the operator writes and deletes both', async () => {
  const stored = (await operator.get(agentAllocations, 'node1'))!;
  const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24' }] }];
  await operator.update(agentAllocations, { ...stored, spec: { ...stored.spec, revision: 2, networks } });
  const said = (await operator.get(agentAllocations, 'node1'))!;
  await operator.updateStatus(agentAllocations, { ...said, status: { conditions: [] } });
  const held = (await operator.get(allocationLedgers, 'net-dcos-0'))!;
  await operator.update(allocationLedgers, {
    ...held,
    spec: { page: { ...held.spec.page!, blocks: [block(300) as never] } },
  });
  expect(await operator.delete(agentAllocations, 'node1')).toBe(true);
  expect(await operator.delete(allocationLedgers, 'net-dcos-0')).toBe(true);
});

test('metadata may be changed, so that finalizers can be removed and storage can be migrated', async () => {
  const finalizers = ['example.org/wait'];
  await plane.client.patch(agentAllocations, 'node1', { metadata: { finalizers } }, merge);
  await operator.delete(agentAllocations, 'node1');
  expect(await plane.client.get(agentAllocations, 'node1')).toBeDefined();
  const stored = (await plane.client.get(allocationLedgers, 'net-dcos-0'))!;
  await plane.client.update(allocationLedgers, stored);
  await plane.client.patch(agentAllocations, 'node1', { metadata: { finalizers: null } }, merge);
  expect(await plane.client.get(agentAllocations, 'node1')).toBeUndefined();
});

test('in an emergency the break-glass group may write, and has no other right', async () => {
  const spec = JSON.stringify({ spec: { page: { blocks: [block(300, { state: 'Quarantined' })] } } });
  const patch = ['patch', 'allocationledger', 'net-dcos-0', '--type=merge', '--patch', spec];
  await expect(plane.kubectl(...patch)).rejects.toThrow('only the operator says');
  await plane.kubectl(...breakGlass, ...patch);
  expect((await operator.get(allocationLedgers, 'net-dcos-0'))?.spec.page?.blocks).toHaveLength(1);
  await plane.kubectl(...breakGlass, 'delete', 'agentallocation', 'node1');
  expect(await operator.get(agentAllocations, 'node1')).toBeUndefined();
  await expect(plane.kubectl(...breakGlass, 'get', 'nodes')).rejects.toThrow('cannot list resource "nodes"');
});

test('a user without the right to impersonate the group cannot use it', async () => {
  const kubeconfig = await plane.kubeconfigFor({ name: 'overlaynet-agent', namespace });
  const attempt = plane.kubectl(
    `--kubeconfig=${kubeconfig}`,
    ...breakGlass,
    'delete',
    'agentallocation',
    'node1',
  );
  await expect(attempt).rejects.toThrow('cannot impersonate resource');
  expect(await operator.get(agentAllocations, 'node1')).toBeDefined();
});

// the last test: it removes the kinds
test('deleting the CRDs deletes the objects, although the policy is in force', async () => {
  await plane.kubectl('delete', '--timeout=30s', '-k', fileURLToPath(new URL('../../crds', import.meta.url)));
  expect(await plane.kubectl('get', 'crds', '-o', 'name')).toBe('');
  await install(plane, 'deploy');
  expect((await plane.client.list(agentAllocations)).items).toEqual([]);
  expect((await plane.client.list(allocationLedgers)).items).toEqual([]);
  await operator.create(agentAllocations, own());
});
