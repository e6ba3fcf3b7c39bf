import type { KubeObject } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Resource,
} from '../../src/kube/resources.ts';
import { reasonIs } from '../support/conditions.ts';
import { applyNetwork, emptyPlane, joinNode, shown, wipe } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { eventually } from '../support/eventually.ts';
import { fewAtOnce } from '../support/few.ts';

/** One operator, and more nodes than a subnet has blocks. */

let client: Client;
let operator: OperatorProcess;

beforeAll(async () => {
  const plane = await emptyPlane();
  ({ client } = plane);
  operator = await OperatorProcess.start(plane.kubeconfig);
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
  await applyNetwork(client, 'dcos6', [{ cidr: 'fd01:b::/64', prefix: 80 }]);
  await applyNetwork(client, 'small', [{ cidr: '10.70.0.0/16', prefix: 24 }]);
});

afterAll(async () => {
  await operator.kill();
  await wipe(client);
});

test('the 257th node of a /16 cut into /24 gets its other networks, and the condition gives the numbers', async () => {
  const names = Array.from({ length: 257 }, (_, at) => `many${String(at).padStart(3, '0')}`);
  await fewAtOnce(names, (name, at) =>
    joinNode(client, name, `172.19.${Math.floor(at / 250)}.${(at % 250) + 1}`),
  );
  const found = await reasonIs(client, overlayNetworks, 'small', 'Ready', 'Exhausted');
  expect(found?.message).toMatch(
    /^10\.70\.0\.0\/16 has 256 blocks of \/24: 256 held, 0 free; 1 node waits: \w+$/,
  );
  const waiting = found!.message.replace(/.*: /, '');
  const texts = await eventually(
    async () => (await shown(client)).get(waiting) ?? [],
    (all) => all.length === 3,
  );
  expect(texts.some((text) => text.startsWith('9.'))).toBe(true);
  expect(texts.some((text) => text.startsWith('10.70.'))).toBe(false);
  const all = [...(await shown(client)).values()].flat();
  expect(new Set(all).size).toBe(all.length);
});

test('OverlayAgents and AgentAllocations of gone Nodes are deleted; for most Nodes at once only after a confirmation', async () => {
  const { items } = await client.list(nodes);
  const many = items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('many'));
  const left = async (resource: Resource<KubeObject>) =>
    (await client.list<KubeObject>(resource)).items.map(({ metadata }) => metadata.name).sort();
  const [one = '', ...others] = many;
  await client.delete(nodes, one);
  for (const resource of [overlayAgents, agentAllocations] as Resource<KubeObject>[]) {
    await eventually(
      () => left(resource),
      (names) => !names.includes(one),
      { seconds: 60 },
    );
  }
  await fewAtOnce(others, (name) => client.delete(nodes, name));
  const config = await eventually(
    () => client.get(overlayConfigs, 'default'),
    (object) => object?.status?.departures !== undefined,
  );
  const degraded = config!.status!.conditions!.find(({ type }) => type === 'Degraded')!;
  expect(degraded).toMatchObject({ status: 'True', reason: 'MassDeparture' });
  const kept = await left(agentAllocations);
  expect(kept.length).toBeGreaterThan(many.length / 3);

  const [annotation = '', id = ''] = /overlaynet\.dev\/confirm-departures=\S+/
    .exec(degraded.message)![0]
    .split('=');
  expect(id).toBe(config!.status!.departures!.id);
  await client.patch(
    overlayConfigs,
    'default',
    { metadata: { annotations: { [annotation]: id } } },
    { type: 'merge' },
  );
  for (const resource of [overlayAgents, agentAllocations] as Resource<KubeObject>[]) {
    await eventually(
      () => left(resource),
      (names) => names.length === 0,
      { seconds: 60 },
    );
  }
});
