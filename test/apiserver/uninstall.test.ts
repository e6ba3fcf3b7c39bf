import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inUseFinalizer } from '../../src/api/inuse.ts';
import type { KubeObject } from '../../src/api/types.ts';
import { overlayNetworks, type Resource } from '../../src/kube/resources.ts';
import { assets, startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';
import { applyNetwork, joinNode, shown } from '../support/leader.ts';
import { OperatorProcess } from '../support/operator.ts';
import { install } from '../support/refuses.ts';

/** Runs the commands of docs/install.md and docs/deleting.md, exactly as documented, against a real API server. */

const root = join(import.meta.dirname, '..', '..');
const system = 'overlaynet-system';
const namespaces = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' } as Resource<KubeObject>;

/** Returns the indented commands of a page that begin with `start`. */
function documented(page: string, start: string): string[] {
  const found = readFileSync(join(root, 'docs', page), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`    ${start}`))
    .map((line) => line.split(/\s{2,}#/)[0]!.trim());
  if (found.length === 0) throw new Error(`docs/${page} has no command ${start}`);
  return found;
}
const [deleteSystem = '', deleteKinds = ''] = documented('install.md', 'kubectl delete -k ');

let plane: OwnControlPlane;
let dir: string;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-uninstall-'));
  plane = await startControlPlane();
  await install(plane, 'deploy');
});

afterEach(async () => {
  await plane.stop();
  rmSync(dir, { recursive: true });
});

/**
 * Runs a command in the checkout, as a person types it.
 * @throws Error with its output, unless it exits with 0
 */
async function type(command: string): Promise<void> {
  mkdirSync(join(dir, 'home'), { recursive: true });
  const env = {
    ...{ HOME: join(dir, 'home'), KUBECONFIG: plane.kubeconfig },
    PATH: [assets(), process.env.PATH].join(delimiter),
  };
  await promisify(execFile)('bash', ['-o', 'pipefail', '-c', command], { cwd: root, env, timeout: 120_000 });
}

async function empty(...kinds: string[]): Promise<void> {
  await plane.kubectl('-n', system, 'delete', kinds.join(), '--all', '--ignore-not-found', '--wait=false');
}

/**
 * Does the work of the controller manager, which does not run here: it empties a namespace that is being deleted and
 * removes its finalizer. It does so after the operator; test/e2e/10-uninstall.test.ts runs both at once.
 */
async function letNamespacesGo(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const found = await plane.client.get(namespaces, system).catch(() => undefined);
    if (found?.metadata.deletionTimestamp !== undefined && (await guarded()).length === 0) {
      await empty(
        'all',
        'serviceaccounts',
        'configmaps',
        'roles',
        'rolebindings',
        'leases',
        'resourcequotas',
      );
      const file = join(dir, 'namespace.json');
      writeFileSync(
        file,
        JSON.stringify({ ...found, apiVersion: 'v1', kind: 'Namespace', spec: { finalizers: [] } }),
      );
      await plane
        .kubectl('replace', '--raw', `/api/v1/namespaces/${system}/finalize`, '-f', file)
        .catch(() => '');
    }
    await sleep(100);
  }
}

const guarded = async () =>
  (await plane.client.list(overlayNetworks).catch(() => ({ items: [] }))).items.filter(({ metadata }) =>
    metadata.finalizers?.includes(inUseFinalizer),
  );

/** Makes a network of which a node has a block, with an operator that has the rights of its ServiceAccount. */
async function use(): Promise<OperatorProcess> {
  const { client } = plane;
  const user = { name: 'overlaynet-operator', namespace: system };
  const operator = await OperatorProcess.start(await plane.kubeconfigFor(user));
  await joinNode(client, 'node1', '172.17.0.2');
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await eventually(
    () => shown(client),
    (all) => all.get('node1')?.includes('9.0.0.0/24') === true,
    { seconds: 60 },
  );
  expect(await guarded()).toHaveLength(1);
  return operator;
}

test('uninstalling in the documented order ends, even if the namespace is emptied before kubectl continues', async () => {
  const operator = await use();
  const ended = new AbortController();
  const controller = letNamespacesGo(ended.signal);
  try {
    await empty('deployments', 'daemonsets', 'configmaps', 'resourcequotas');
    await type(deleteSystem);
    await operator.kill();
    await type(deleteKinds);
    expect(await plane.kubectl('get', 'crd', '-o', 'name')).toBe('');
    // an interrupted command is typed again
    await type(deleteSystem);
    await type(deleteKinds);
  } finally {
    ended.abort();
    await controller;
    await operator.kill();
  }
}, 400_000);

test('if the operator was deleted first, the documented command removes the finalizer, and the kinds can be deleted', async () => {
  const operator = await use();
  await operator.kill();
  await plane.kubectl('delete', '-k', join(root, 'crds'), '--wait=false');
  await eventually(guarded, ([one]) => one?.metadata.deletionTimestamp !== undefined, {
    seconds: 60,
  });
  for (const command of documented('deleting.md', 'kubectl get onet -o name')) await type(command);
  await eventually(
    () => plane.kubectl('get', 'crd', '-o', 'name'),
    (crds) => crds === '',
    { seconds: 60 },
  );
}, 300_000);
