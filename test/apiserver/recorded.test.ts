import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import {
  agentAllocations,
  allocationLedgers,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  type Resource,
} from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { recorded, recordedFiles, versions } from '../support/recorded.ts';
import { install } from '../support/refuses.ts';

/** This version's CRDs accept and keep objects of earlier versions. */

type Recorded = KubeObject & { spec: object; status?: object };
const resources = [
  ...[overlayConfigs, overlayNetworks, overlayReservations],
  ...[overlayAgents, agentAllocations, allocationLedgers],
] as unknown as Resource<Recorded>[];
/** The kinds that a version knew. */
const known = (version: string) => {
  const files = recordedFiles('.', version);
  return resources.filter(({ plural }) => files.includes(`${plural}.json`));
};

let plane: OwnControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'crds');
});
afterAll(() => plane.stop());

test('the last recorded version knew every kind', () => {
  expect(known(versions.at(-1) ?? '')).toEqual(resources);
});

describe.each(versions)('version %s', (version) => {
  test.each(known(version).map((resource) => [resource.plural, resource] as const))(
    'its %s are taken, and no field is lost',
    async (plural, resource) => {
      const objects = recorded<Recorded>(plural, version);
      expect(objects.length).toBeGreaterThan(0);
      for (const { kind = '', metadata, spec, status } of objects) {
        const { name } = metadata;
        const created = await create(resource, { apiVersion, kind, metadata: { name }, spec });
        expect([name, created.spec]).toEqual([name, spec]);
        if (status !== undefined) {
          const stored = await plane.client.updateStatus(resource, { ...created, status });
          expect([name, stored.status]).toEqual([name, status]);
        }
        await plane.client.delete(resource, name);
      }
    },
  );
});

/** Creates an object. An AgentAllocation or a page must be created empty, and is then updated. */
async function create(resource: Resource<Recorded>, object: Recorded): Promise<Recorded> {
  const { client } = plane;
  if (resource === (agentAllocations as unknown)) {
    const { vtep, networks, ...empty } = object.spec as { vtep?: object; networks?: object };
    const made = await client.create(resource, { ...object, spec: empty });
    return client.update(resource, {
      ...made,
      spec: { ...empty, ...(vtep && { vtep }), ...(networks && { networks }) },
    });
  }
  const { page } = object.spec as { page?: object };
  if (page === undefined) return client.create(resource, object);
  const made = await client.create(resource, { ...object, spec: { page: { ...page, blocks: [] } } });
  return client.update(resource, { ...made, spec: { page } });
}
