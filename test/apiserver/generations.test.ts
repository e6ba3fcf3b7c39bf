import type { OverlayNetwork, OverlayNetworkSpec } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { Informer } from '../../src/kube/informer.ts';
import { overlayNetworks } from '../../src/kube/resources.ts';
import { silent } from '../../src/log.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { applyNetwork, joinNode } from '../support/leader.ts';
import { eventually } from '../support/eventually.ts';
import { OperatorProcess } from '../support/operator.ts';
import { install } from '../support/refuses.ts';

/**
 * GitOps tools trust conditions once observedGeneration equals the object's generation: from then on they must describe
 * that spec.
 */

const own = { cidr: '10.1.0.0/16', prefix: 24, state: 'Active' } as const;
const overlapping = { cidr: '9.128.0.0/16', prefix: 24, state: 'Active' } as const;

let plane: OwnControlPlane;
let client: Client;
let operator: OperatorProcess;

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  ({ client } = plane);
  const user = { name: 'overlaynet-operator', namespace: 'overlaynet-system' };
  operator = await OperatorProcess.start(await plane.kubeconfigFor(user));
  await joinNode(client, 'node1', '172.17.0.2');
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
});

afterAll(async () => {
  await operator.kill();
  await plane.stop();
});

const is = ({ status }: OverlayNetwork, type: string) =>
  status?.conditions?.find((condition) => condition.type === type);
const seen = ({ metadata, status }: OverlayNetwork) => status?.observedGeneration === metadata.generation;

test('a status is true of the generation that it names, at each step', async () => {
  const history: OverlayNetwork[] = [];
  const informer = new Informer(client, overlayNetworks, { log: silent });
  informer.onChange((name, object) => {
    if (name === 'dev' && object !== undefined) history.push(object);
  });
  informer.start();
  await informer.synced();
  // the expected conditions, by generation
  const expected = new Map<number, [accepted: string, isDisabled: boolean, isStalled: boolean]>();
  const steps: [Partial<OverlayNetworkSpec>, [string, boolean, boolean]][] = [
    [{ subnets: [own] }, ['Accepted', false, false]],
    [{ subnets: [own, overlapping] }, ['Overlap', false, true]],
    [{ enabled: false }, ['Overlap', true, true]],
    [{ subnets: [own] }, ['Accepted', true, false]],
    [{ enabled: true }, ['Accepted', false, false]],
    [{ warnAt: 50 }, ['Accepted', false, false]],
  ];
  let network = await applyNetwork(client, 'dev', [own]);
  for (const [change, says] of steps) {
    const spec = { ...network.spec, ...change };
    // the operator writes the finalizer and the status meanwhile
    network = await eventually(async () =>
      client.update(overlayNetworks, { ...(await client.get(overlayNetworks, 'dev'))!, spec }),
    );
    expected.set(network.metadata.generation!, says);
    await eventually(async () => (await client.get(overlayNetworks, 'dev'))!, seen);
  }
  await informer.stop();
  expect(expected.size).toBe(steps.length);
  let looked = 0;
  for (const object of history) {
    const { generation = 0 } = object.metadata;
    const { observedGeneration = 0 } = object.status ?? {};
    expect(observedGeneration).toBeLessThanOrEqual(generation);
    const says = expected.get(observedGeneration);
    if (says === undefined) continue;
    looked++;
    const [accepted, ready, stalled] = ['Accepted', 'Ready', 'Stalled'].map((type) => is(object, type));
    expect([
      observedGeneration,
      accepted?.reason,
      ready?.reason === 'Disabled',
      stalled?.status === 'True',
    ]).toEqual([observedGeneration, ...says]);
    for (const condition of [accepted, ready, stalled])
      if (condition !== undefined) expect(condition.observedGeneration).toBe(observedGeneration);
  }
  expect(looked).toBeGreaterThanOrEqual(steps.length);
});
