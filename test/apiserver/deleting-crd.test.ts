import { inUseFinalizer } from '../../src/api/inuse.ts';
import { overlayAgents, overlayNetworks } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { applyNetwork, crdFiles, joinNode, makeNamespace, shown } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { eventually } from '../support/eventually.ts';

let plane: OwnControlPlane;
let operator: OperatorProcess;

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.apply(...crdFiles);
  await makeNamespace(plane.client);
  operator = await OperatorProcess.start(plane.kubeconfig);
});

afterAll(async () => {
  await operator.kill();
  await plane.stop();
});

test('deleting the CRD deletes networks in use, and agents treat that as an accident', async () => {
  const { client } = plane;
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  await eventually(
    () => shown(client),
    (all) => all.get('node1')?.includes('9.0.0.0/24') === true,
  );
  const agent = (await client.get(overlayAgents, 'node1'))!;
  const networks = [{ name: 'dcos', state: 'OK' as const, inUse: true }];
  await client.updateStatus(overlayAgents, { ...agent, status: { networks } });
  await eventually(
    () => client.get(overlayNetworks, 'dcos'),
    (found) => found?.metadata.finalizers?.includes(inUseFinalizer) === true,
  );
  await plane.kubectl('delete', 'crd', 'overlaynetworks.overlaynet.dev', '--timeout=30s');
});
