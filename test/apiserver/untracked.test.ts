import type { Client } from '../../src/kube/client.ts';
import { controlPlane, type ControlPlane } from '../support/controlplane.ts';
import { applyNetwork, crdFiles, joinNode, Leader, wipe } from '../support/leader.ts';

let plane: ControlPlane;
let client: Client;

beforeAll(async () => {
  plane = await controlPlane();
  ({ client } = plane);
  await plane.apply(...crdFiles);
  await wipe(client);
});

afterAll(async () => {
  await wipe(client);
});

test('the API server does not keep field owners of objects that the operator has filled', async () => {
  const leader = await new Leader(client).start();
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  await leader.runUntil(() => leader.caches.allocations.get('node1')?.spec.networks !== undefined);
  await leader.stop();
  // every agent gets the first object on every change; the second one has thousands of entries
  for (const what of ['agentallocations/node1', 'allocationledgers/net-dcos-1']) {
    const text = await plane.kubectl('get', what, '-o', 'json', '--show-managed-fields');
    expect({ what, tracked: text.includes('managedFields') }).toEqual({ what, tracked: false });
  }
});
