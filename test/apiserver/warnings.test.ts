import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiVersion, type OverlayConfig } from '../../src/api/types.ts';
import { overlayConfigs } from '../../src/kube/resources.ts';
import { assets, startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { install } from '../support/refuses.ts';

const run = promisify(execFile);

let plane: OwnControlPlane;
let dir: string;

/** Applies a network with that spec and returns kubectl's output. */
async function apply(name: string, spec: object): Promise<string> {
  const file = join(dir, `${name}.json`);
  writeFileSync(file, JSON.stringify({ apiVersion, kind: 'OverlayNetwork', metadata: { name }, spec }));
  const { stdout, stderr } = await run(join(assets(), 'kubectl'), [
    '--kubeconfig',
    plane.kubeconfig,
    ...['apply', '--server-side', '-f', file],
  ]);
  return `${stderr}${stdout}`;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-warnings-'));
  plane = await startControlPlane();
  await install(plane, 'deploy');
  const config = await plane.client.apply<OverlayConfig>(overlayConfigs, {
    metadata: { name: 'default' },
    spec: {} as OverlayConfig['spec'],
  });
  await plane.client.updateStatus(overlayConfigs, { ...config, status: { nodes: 37 } });
  // the API server applies a new policy and its parameters within a second or two
  for (
    let tries = 0;
    !(await apply('probe', { subnets: [{ cidr: '10.9.0.0/24', prefix: 25 }] })).includes('2 blocks');
    tries++
  ) {
    if (tries > 100) throw new Error('the policy is not in force after 10 s');
    await sleep(100);
  }
});

afterAll(async () => {
  await plane.stop();
  rmSync(dir, { recursive: true });
});

test('kubectl apply warns of a subnet with fewer blocks than nodes, and accepts it', async () => {
  const said = await apply('few', { subnets: [{ cidr: '10.1.0.0/19', prefix: 24 }] });
  expect(said).toContain(
    'spec.subnets: 10.1.0.0/19 with prefix 24 has 32 blocks, and 37 nodes or more have registered: those without a block wait',
  );
  expect(said).toContain('serverside-applied');
});

test('kubectl apply does not warn of a small subnet beside one of its family that has a block for each node', async () => {
  const small = { cidr: '10.4.0.0/23', prefix: 24 };
  const beside = (cidr: string, prefix: number) => apply('beside', { subnets: [small, { cidr, prefix }] });
  expect(await beside('fd04::/64', 80)).toContain('10.4.0.0/23 with prefix 24 has 2 blocks');
  expect(await beside('10.5.0.0/19', 24)).toContain(
    '10.4.0.0/23 with prefix 24 has 2 blocks, 10.5.0.0/19 with prefix 24 has 32 blocks, and 37 nodes',
  );
  expect(await beside('10.5.0.0/18', 24)).not.toContain('Warning');
});

test('kubectl apply warns of parts with fewer addresses than a node runs pods', async () => {
  const said = await apply('tight', {
    subnets: [
      { cidr: '10.2.0.0/16', prefix: 26 },
      { cidr: 'fd02::/112', prefix: 122 },
    ],
  });
  expect(said).toContain(
    'spec.subnets: 10.2.0.0/16 with prefix 26 leaves a node 29 addresses for pods, fd02::/112 with prefix 122 leaves a node 30 addresses for pods, and a node takes 110 pods',
  );
});

test('kubectl apply warns of nothing unless something is too small', async () => {
  const [dcos] = [{ cidr: '10.16.0.0/16', prefix: 24 }];
  const quiet = [
    await apply('fine', { subnets: [dcos, { cidr: 'fd03::/64', prefix: 80 }] }),
    await apply('chosen', {
      subnets: [{ cidr: '10.3.0.0/23', prefix: 24 }],
      nodeSelector: { matchLabels: { rack: 'a' } },
    }),
    await apply('docker', { subnets: [{ cidr: '10.4.0.0/16', prefix: 27 }], containerizers: ['Docker'] }),
    await apply('drains', { subnets: [{ cidr: '10.5.0.0/16', prefix: 26, state: 'Draining' }] }),
  ];
  for (const said of quiet) expect(said).not.toContain('Warning');
});

test('a warnAt that is not a percentage is refused with field, value and rule', async () => {
  await expect(apply('odd', { subnets: [{ cidr: '10.6.0.0/16', prefix: 24 }], warnAt: 101 })).rejects.toThrow(
    /spec\.warnAt.*warnAt 101 must be a percentage from 1 to 100/s,
  );
});
