import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import { overlayNetworks, pathOf } from '../../src/kube/resources.ts';
import { controlPlane, type ControlPlane } from '../support/controlplane.ts';
import { readCrds, schemaOf, walk } from '../support/crds.ts';
import { resourceOf } from '../support/dryrun.ts';
import { network } from '../support/manifests.ts';
import { install } from '../support/refuses.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await controlPlane();
  await install(plane, 'crds');
  await plane.client.create<KubeObject>(overlayNetworks, { apiVersion, ...network({}, 'ovt-columns') });
});

afterAll(async () => {
  await plane.client.delete(overlayNetworks, 'ovt-columns');
  await plane.stop();
});

describe('kubectl', () => {
  test('explains every field', async () => {
    for (const [kind, crd] of readCrds()) {
      const tree = await plane.kubectl('explain', kind, '--api-version', apiVersion, '--recursive');
      for (const [path] of walk(schemaOf(crd))) {
        const leaf = path
          .replaceAll(/\[\]|\{\}/g, '')
          .split('.')
          .at(-1)!;
        expect(tree).toContain(leaf);
      }
    }
    const text = await plane.kubectl('explain', 'onet.spec.subnets.prefix');
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      "Length of one node's block: 24 cuts 9.0.0.0/8 into 65,536 blocks",
    );
  });

  test('shows subnets, agents, ready and age of a network', async () => {
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'AllReady',
      message: 'ok',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const status = {
      subnets: '9.0.0.0/8,fd01:b::/64',
      agents: { allocated: 3, ready: 2, failed: 1, waiting: 0 },
      conditions: [condition, { ...condition, type: 'Accepted', reason: 'Accepted' }],
    };
    await plane.client.patch(
      resourceOf('OverlayNetwork'),
      'ovt-columns',
      { status },
      { type: 'merge', subresource: 'status' },
    );
    const [header, row] = (await plane.kubectl('get', 'onet', 'ovt-columns')).trimEnd().split('\n');
    expect(header!.split(/\s+/)).toEqual(['NAME', 'SUBNETS', 'AGENTS', 'READY', 'AGE']);
    expect(row!.split(/\s+/).slice(0, 4)).toEqual(['ovt-columns', '9.0.0.0/8,fd01:b::/64', '3', 'True']);
  });

  test.each([
    ['ocfg', 'NAME VTEPS VNI PORT UNDERLAY MTU DEFAULT ACCEPTED AGE'],
    ['oa', 'NAME ADDRESSES UPLINK MTU VTEP REVISION READY FAILED AGE'],
    ['aa', 'NAME ADDRESSES VTEP VTEP6 REVISION AGE'],
    ['al', 'NAME SPACE FIRST RETIRED NEXT PAGE AGE'],
  ])('shows columns of %s', async (short, columns) => {
    const path = pathOf(
      resourceOf(
        { ocfg: 'OverlayConfig', oa: 'OverlayAgent', aa: 'AgentAllocation', al: 'AllocationLedger' }[short]!,
      ),
    );
    const accept = 'application/json;as=Table;g=meta.k8s.io;v=v1';
    const table = JSON.parse(await plane.client.raw({ what: short, method: 'GET', path, accept })) as {
      columnDefinitions: { name: string; priority: number }[];
    };
    const shown = table.columnDefinitions
      .filter(({ priority }) => priority === 0)
      .map(({ name }) => name.toUpperCase());
    expect(shown.join(' ')).toBe(columns);
    await expect(plane.kubectl('get', short, 'ovt-absent')).rejects.toThrow('NotFound');
  });
});
