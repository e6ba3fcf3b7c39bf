import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { apiVersion, type KubeObject, type OverlayAgent } from '../../src/api/types.ts';
import { ApiError, connect, type Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodes,
  overlayAgents,
  overlayNetworks,
  pathOf,
  type Resource,
} from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { install } from '../support/refuses.ts';
import { agent, allocation, network } from '../support/manifests.ts';
import { eventually, found } from '../support/eventually.ts';

const namespace = 'overlaynet-system';
const serviceAccount = 'overlaynet-agent';

let plane: OwnControlPlane;
/**
 * Clients of node1's agent: with its pod's token, and with a token bound to the Node; and one with an unbound token.
 */
let own: Client, ofNode: Client, unbound: Client;

const overlayAgent = (node: string): OverlayAgent => ({ apiVersion, ...agent({}, node) }) as OverlayAgent;
const patchOf = (resource: Resource<KubeObject>, name: string, subresource?: string, manager = 'ovt') => ({
  what: `apply ${name}`,
  method: 'PATCH' as const,
  path: pathOf(resource, name, subresource),
  query: { fieldManager: manager, force: true },
  contentType: 'application/apply-patch+yaml',
});

/** Returns a client with a token of the agent's ServiceAccount that is bound to this object. */
async function boundTo(kind: string, name: string, uid: string): Promise<Client> {
  const answer = await plane.client.raw({
    what: 'create token',
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef: { apiVersion: 'v1', kind, name, uid } },
    },
  });
  const { token } = (JSON.parse(answer) as { status: { token: string } }).status;
  const kubeconfig = path.join(path.dirname(plane.kubeconfig), `kubeconfig-${kind}`);
  const text = readFileSync(plane.kubeconfig, 'utf8');
  writeFileSync(kubeconfig, text.replace(/token: "[^"]*"/, `token: "${token}"`), { mode: 0o600 });
  return connect({ kubeconfig });
}

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  const node = await plane.client.create<KubeObject>(nodes, { metadata: { name: 'node1' } });
  const pods: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespace };
  const pod = await plane.client.create(pods, {
    metadata: { name: 'agent-of-node1' },
    spec: {
      nodeName: 'node1',
      serviceAccountName: serviceAccount,
      containers: [{ name: 'agent', image: 'agent' }],
    },
  } as KubeObject);
  own = await boundTo('Pod', 'agent-of-node1', pod.metadata.uid!);
  ofNode = await boundTo('Node', 'node1', node.metadata.uid!);
  unbound = connect({ kubeconfig: await plane.kubeconfigFor({ name: serviceAccount, namespace }) });
  await plane.client.create(overlayAgents, overlayAgent('node2'));
  const probe = {
    what: 'probe',
    method: 'POST',
    path: pathOf(overlayAgents),
    query: { dryRun: 'All' },
  } as const;
  await eventually(() => isForbidden(unbound.raw({ ...probe, body: overlayAgent('ovt-probe') })), found, {
    what: 'the policy',
  });
});

afterAll(async () => {
  for (const client of [own, ofNode, unbound]) await client.close();
  await plane.stop();
});

async function isForbidden(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return false;
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'Forbidden') return true;
    throw error;
  }
}

const denied = (words: string) => ({
  status: 403,
  reason: 'Forbidden',
  message: expect.stringContaining(words) as string,
});

describe.each([
  ['its pod’s token', () => own],
  ['a token bound to its Node', () => ofNode],
])('an agent with %s', (_, client) => {
  const others = denied('the agent of node node1 must not write OverlayAgent node2');

  test('writes its own OverlayAgent and status', async () => {
    const created = await client().create(overlayAgents, overlayAgent('node1'));
    const moved = await client().update(overlayAgents, {
      ...created,
      spec: { ...created.spec, uplinkMTU: 9000 },
    });
    const networks = [{ name: 'dcos', state: 'OK' as const }];
    const said = await client().updateStatus(overlayAgents, { ...moved, status: { revision: 3, networks } });
    expect(said).toMatchObject({ spec: { uplinkMTU: 9000 }, status: { revision: 3, networks } });
    await plane.client.delete(overlayAgents, 'node1');
  });

  test('cannot write a peer’s, by any verb', async () => {
    const peer = (await plane.client.get(overlayAgents, 'node2'))!;
    const patch = denied('cannot patch resource');
    await expect(client().create(overlayAgents, overlayAgent('node3'))).rejects.toMatchObject(
      denied('the agent of node node1 must not write OverlayAgent node3'),
    );
    await expect(
      client().update(overlayAgents, { ...peer, spec: { ...peer.spec, uplinkMTU: 9000 } }),
    ).rejects.toMatchObject(others);
    await expect(
      client().updateStatus(overlayAgents, { ...peer, status: { revision: 1 } }),
    ).rejects.toMatchObject(others);
    await expect(
      client().patch(overlayAgents, 'node2', { spec: { uplinkMTU: 9000 } }, { type: 'merge' }),
    ).rejects.toMatchObject(patch);
    for (const name of ['node2', 'node3']) {
      await expect(
        client().raw({ ...patchOf(overlayAgents, name), body: overlayAgent(name) }),
      ).rejects.toMatchObject(patch);
    }
    expect(await plane.client.get(overlayAgents, 'node2')).toEqual(peer);
    expect(await plane.client.get(overlayAgents, 'node3')).toBeUndefined();
  });

  test('cannot use generateName', async () => {
    const metadata = { generateName: 'node' };
    const body = { ...overlayAgent(''), metadata };
    const create = client().raw({ what: 'create', method: 'POST', path: pathOf(overlayAgents), body });
    await expect(create).rejects.toMatchObject({ status: 403 });
    expect((await plane.client.list(overlayAgents)).items.map((item) => item.metadata.name)).toEqual([
      'node2',
    ]);
  });

  test('cannot delete one', async () => {
    await expect(client().delete(overlayAgents, 'node2')).rejects.toMatchObject(
      denied('cannot delete resource'),
    );
  });
});

test('an agent with an unbound token can write nothing', async () => {
  const words = denied('is bound to its Node or Pod; this one has no claim node-name');
  await expect(unbound.create(overlayAgents, overlayAgent('node1'))).rejects.toMatchObject(words);
  const peer = (await plane.client.get(overlayAgents, 'node2'))!;
  await expect(
    unbound.updateStatus(overlayAgents, { ...peer, status: { revision: 1 } }),
  ).rejects.toMatchObject(words);
  expect(await plane.client.get(overlayAgents, 'node1')).toBeUndefined();
});

test('the policy restricts an agent even if a role grants more', async () => {
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    plural: 'clusterrolebindings',
  };
  await plane.client.create(binding, {
    metadata: { name: 'ovt-too-much' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace }],
  } as KubeObject);
  try {
    await eventually(async () => !(await isForbidden(own.list(allocationLedgers))), found, {
      what: 'the role',
    });
    const another = { apiVersion, ...network({}) } as KubeObject;
    await expect(own.create<KubeObject>(overlayNetworks, another)).rejects.toMatchObject(
      denied('it must not CREATE overlaynetworks'),
    );
    // refused by this policy or by the operator's, in any order
    const mine = { apiVersion, ...allocation({}, 'node1') } as KubeObject;
    await expect(own.create<KubeObject>(agentAllocations, mine)).rejects.toMatchObject(
      denied('ValidatingAdmissionPolicy'),
    );
    const merge = { type: 'merge' as const };
    const status = { status: { revision: 1 } };
    for (const patched of [
      own.patch(overlayAgents, 'node2', { spec: { uplinkMTU: 9000 } }, merge),
      own.patch(overlayAgents, 'node2', status, { ...merge, subresource: 'status' }),
      own.raw({ ...patchOf(overlayAgents, 'node2'), body: overlayAgent('node2') }),
    ]) {
      await expect(patched).rejects.toMatchObject(
        denied('the agent of node node1 must not write OverlayAgent node2'),
      );
    }
    await expect(own.delete(overlayAgents, 'node2')).rejects.toMatchObject(
      denied('it must not DELETE overlayagents'),
    );
    const labels = { metadata: { labels: { team: 'a' } } };
    for (const written of [
      own.patch(nodes, 'node1', labels, merge),
      own.delete(nodes, 'node1'),
      own.create<KubeObject>(nodes, { metadata: { name: 'node7' } }),
    ]) {
      await expect(written).rejects.toMatchObject(denied('nothing else of Nodes'));
    }
    expect(await plane.client.get(overlayAgents, 'node2')).toBeDefined();
  } finally {
    await plane.client.delete(binding, 'ovt-too-much');
  }
});

test('the policy affects only agents', async () => {
  const operator = connect({
    kubeconfig: await plane.kubeconfigFor({ name: 'overlaynet-operator', namespace }),
  });
  try {
    await operator.create<KubeObject>(agentAllocations, {
      apiVersion,
      ...allocation({}, 'node1'),
    });
    expect(await operator.delete(agentAllocations, 'node1')).toBe(true);
    await plane.client.create(overlayAgents, overlayAgent('node9'));
    expect(await operator.delete(overlayAgents, 'node9')).toBe(true);
  } finally {
    await operator.close();
  }
});
