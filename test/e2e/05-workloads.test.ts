import { jest } from '@jest/globals';
import { apply, get, kubectl, onNode, tool, workers } from '../support/e2e.ts';
import {
  eventsOf,
  makeNamespace,
  network,
  networkReady,
  pod,
  ready,
  service,
  workload,
} from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

jest.setTimeout(240_000);
const namespace = 'ovt-workloads';
const [here] = workers;

interface Pods {
  items: {
    metadata: { name: string; uid: string };
    status: { phase: string; podIP?: string; conditions?: { type: string; status: string }[] };
  }[];
}
const podsOf = async (app: string) => (await get<Pods>(`-n ${namespace} pods -l app=${app}`)).items;
const running = async (app: string) => (await podsOf(app)).filter(({ status }) => status.phase === 'Running');

beforeAll(async () => {
  await apply(network('tiny', ['10.105.0.0/20 /28']));
  await networkReady('tiny');
  await makeNamespace(namespace);
  await apply(pod('client', { namespace, node: here }));
});
afterAll(async () => {
  await kubectl(`delete namespace ${namespace}`);
  await kubectl('delete overlaynetwork tiny');
});

test('a StatefulSet rolls: each pod comes back with its name and is reachable by it', async () => {
  await apply(
    service('web', namespace, { clusterIP: 'None', publishNotReadyAddresses: false }),
    workload('StatefulSet', 'web', 3, { namespace }),
  );
  await kubectl(`rollout status -n ${namespace} statefulset/web --timeout=60s`);
  await ready(namespace, 'client');
  const before = new Set((await podsOf('web')).map(({ metadata }) => metadata.uid));
  await kubectl(`rollout restart -n ${namespace} statefulset/web`);
  await kubectl(`rollout status -n ${namespace} statefulset/web --timeout=120s`);
  for (const { metadata, status } of await podsOf('web')) {
    expect(before.has(metadata.uid)).toBe(false);
    const name = `${metadata.name}.web`;
    // CoreDNS caches answers for up to five seconds
    await eventually(
      async () => (await tool('client', `lookup ${name}`, namespace)) === status.podIP,
      found,
      { what: `${name} to resolve`, seconds: 30 },
    );
    expect(await tool('client', `get http://${name}:8080/`, namespace)).toMatch(
      new RegExp(`^${metadata.name} `),
    );
  }
});

test('a burst of 40 pods on one node: each gets its own address', async () => {
  await apply(workload('Deployment', 'burst', 40, { namespace, node: here }));
  await kubectl(`rollout status -n ${namespace} deployment/burst --timeout=180s`);
  const addresses = (await running('burst')).map(({ status }) => status.podIP);
  expect(new Set(addresses).size).toBe(40);
  await kubectl(`delete deployment -n ${namespace} burst`);
});

test('pods beyond a subnet’s size say why they wait, the node stays Ready, and freed addresses are used', async () => {
  // the CNI half of the node's /28 is a /29: eight addresses less network, broadcast and gateway
  await apply(workload('Deployment', 'tiny', 8, { namespace, node: here, network: 'tiny' }));
  await eventually(async () => (await running('tiny')).length === 5, found, {
    what: 'five pods to run',
    seconds: 60,
  });
  const waiting = (await podsOf('tiny')).find(({ status }) => status.phase !== 'Running')!;
  await eventually(
    async () =>
      /network tiny.*(full|no (free )?address)/i.test(await eventsOf(namespace, waiting.metadata.name)),
    found,
    { what: 'the event', seconds: 30 },
  );
  const leases = async () =>
    (await onNode(here, 'ls /var/lib/cni/networks/tiny'))
      .split('\n')
      .filter((name) => name.startsWith('10.'));
  expect(await leases()).toHaveLength(5);
  expect(await running('tiny')).toHaveLength(5);
  const { status } = await get<{ status: { conditions: { type: string; status: string }[] } }>(
    `node ${here}`,
  );
  expect(status.conditions.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'True' });
  const [first, second, third] = await running('tiny');
  await kubectl(`scale -n ${namespace} deployment/tiny --replicas=5`);
  await kubectl(
    `delete pod -n ${namespace} ${first!.metadata.name} ${second!.metadata.name} ${third!.metadata.name} --wait=false`,
  );
  await kubectl(`rollout status -n ${namespace} deployment/tiny --timeout=120s`);
  await kubectl(`delete deployment -n ${namespace} tiny`);
  await eventually(async () => (await leases()).length === 0, found, { what: 'no lease left', seconds: 30 });
});
