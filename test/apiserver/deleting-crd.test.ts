import { inUseFinalizer } from '../../src/api/inuse.ts';
import { overlayNetworks } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { applyNetwork, crdFiles, joinNode, makeNamespace, shown } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { eventually } from '../support/eventually.ts';

/** CRDs are deleted by mistake: an operator lets networks go with their CRD. */

let plane: OwnControlPlane;
let operator: OperatorProcess;

beforeEach(async () => {
  plane = await startControlPlane();
  await plane.apply(...crdFiles);
  await makeNamespace(plane.client);
  operator = await OperatorProcess.start(plane.kubeconfig);
  const { client } = plane;
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', '172.17.0.2');
  await eventually(
    () => shown(client),
    (all) => all.get('node1')?.includes('9.0.0.0/24') === true,
  );
  expect((await client.get(overlayNetworks, 'dcos'))?.metadata.finalizers).toEqual([inUseFinalizer]);
});

afterEach(async () => {
  await operator.kill();
  await plane.stop();
});

const networksKind = 'customresourcedefinition.apiextensions.k8s.io/overlaynetworks.overlaynet.dev';
const kinds = async () => (await plane.kubectl('get', 'crd', '-o', 'name')).trim().split('\n').sort();

test('deleting the CRD of networks alone ends', async () => {
  await plane.kubectl('delete', 'crd', 'overlaynetworks.overlaynet.dev', '--timeout=30s');
});

test('deleting all CRDs ends, although nothing can be allocated any more', async () => {
  await plane.kubectl('delete', 'crd', '--all', '--timeout=60s');
});

test('deleting all CRDs ends, also if no operator runs before the others are gone', async () => {
  await operator.kill();
  await plane.kubectl('delete', 'crd', '--all', '--wait=false');
  await eventually(kinds, (left) => left.join() === networksKind);
  operator = await OperatorProcess.start(plane.kubeconfig);
  await eventually(kinds, (left) => left.join() === '');
});
