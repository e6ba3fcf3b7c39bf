import { ApiError, type Client } from '../../src/kube/client.ts';
import { overlayConfigs } from '../../src/kube/resources.ts';
import { silent } from '../../src/log.ts';
import { startOperator } from '../../src/operator/run.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { applyNetwork, crdFiles, joinNode, Leader, shown, makeNamespace } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { eventually } from '../support/eventually.ts';

let plane: OwnControlPlane;
let client: Client;

beforeAll(async () => {
  plane = await startControlPlane();
  ({ client } = plane);
  await makeNamespace(client);
});

afterAll(async () => {
  await plane.stop();
});

test('an operator that starts before the CRDs reports what is missing, and begins once they exist', async () => {
  const operator = await OperatorProcess.start(plane.kubeconfig);
  try {
    const unsynced = await eventually(
      async () => {
        const response = await operator.get('/overlay-master/state').catch(() => undefined);
        return { status: response?.status, text: await response?.text() };
      },
      ({ text }) => text?.includes('overlaynetworks (') === true,
    );
    expect(unsynced.status).toBe(503);
    expect(unsynced.text).toContain('is the CRD installed?');
    expect((await operator.get('/readyz')).status).toBe(503);
    expect((await operator.get('/healthz')).status).toBe(200);
    await plane.apply(...crdFiles);
    await eventually(
      () => client.get(overlayConfigs, 'default').catch(() => undefined),
      (found) => found?.status?.conditions !== undefined,
    );
    expect((await operator.get('/overlay-master/state')).status).toBe(200);
  } finally {
    await operator.kill();
  }
});

test('an operator inside another process serves, leads, and releases the Lease when it stops', async () => {
  const namespace = 'overlaynet-system';
  const holder = async () => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/overlaynet-operator`;
    const text = await client.raw({ what: 'get the Lease', method: 'GET', path });
    return (JSON.parse(text) as { spec: { holderIdentity?: string } }).spec.holderIdentity ?? '';
  };
  const operator = await startOperator(
    {
      kubeconfig: plane.kubeconfig,
      listen: '127.0.0.1:0',
      addresses: [],
      identity: 'ovt-within',
      namespace,
      leaseDuration: 15_000,
      agentPort: 9181,
      renewDeadline: 10_000,
      page: '',
      retryPeriod: 100,
      logLevel: 'error',
      logFormat: 'text',
    },
    silent,
  );
  const ended = operator.run();
  try {
    expect((await fetch(`http://${operator.address}/healthz`)).status).toBe(200);
    await eventually(holder, (name) => name === 'ovt-within');
  } finally {
    await operator.stop();
  }
  await ended;
  expect(await holder()).toBe('');
});

test('a refused write does not delay writes of other nodes, and is tried again', async () => {
  let refusals = 0;
  const refusing = new Proxy(client, {
    get: (target, property) => {
      const method: unknown = Reflect.get(target, property, target);
      if (typeof method !== 'function') return method;
      return (...args: unknown[]) => {
        const [resource, object] = args as [
          { plural?: string },
          { metadata?: { name?: string } } | undefined,
        ];
        const isFirst =
          property === 'create' &&
          resource.plural === 'agentallocations' &&
          object?.metadata?.name === 'node1';
        if (!isFirst) return Reflect.apply(method, target, args) as unknown;
        refusals++;
        return Promise.reject(
          new ApiError('create agentallocations/node1', 403, { reason: 'Forbidden', message: 'no' }),
        );
      };
    },
  });
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  for (const at of [1, 2, 3]) await joinNode(client, `node${at}`, `172.17.0.${at}`);
  const leader = await new Leader(refusing).start();
  try {
    await expect(leader.run()).rejects.toThrow('create agentallocations/node1: 403');
    const all = await shown(client);
    expect([all.get('node2')?.length, all.get('node3')?.length]).toEqual([2, 2]);
    await expect(leader.run()).rejects.toThrow('403');
    expect(refusals).toBe(2);
  } finally {
    await leader.stop();
  }
});
