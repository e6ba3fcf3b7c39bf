import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locked } from '../../../hack/parts/lock.ts';
import { findParts, findPlugins } from '../../../hack/parts.ts';

const saved = { ...process.env };
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-parts-'));
  process.env.OVERLAYNET_DOWNLOAD = 'never';
  process.env.OVERLAYNET_CACHE = join(dir, 'cache');
  process.env.KUBEBUILDER_ASSETS = join(dir, 'assets');
  process.env.CNI_PATH = join(dir, 'cni');
  process.env.PATH = `${join(dir, 'path')}:${saved.PATH ?? ''}`;
  program('assets/etcd', 'etcd Version: 3.6.5');
  program('assets/kube-apiserver', 'Kubernetes v1.34.4');
  program('path/kubectl', '');
  for (const name of ['bridge', 'host-local', 'loopback', 'portmap', 'bandwidth', 'cnitool'])
    program(`cni/${name}`, '');
});
afterEach(() => {
  process.env = { ...saved };
  rmSync(dir, { recursive: true });
});

/** A program that prints its version. */
function program(path: string, version: string): void {
  mkdirSync(join(dir, path, '..'), { recursive: true });
  writeFileSync(join(dir, path), `#!/bin/sh\necho '${version}'\n`);
  chmodSync(join(dir, path), 0o755);
}

test('what the user names is taken first, then the PATH', async () => {
  program('path/etcd', 'etcd Version: 3.6.5');
  expect(await findParts()).toEqual({
    etcd: join(dir, 'assets/etcd'),
    kubeApiserver: join(dir, 'assets/kube-apiserver'),
    kubectl: join(dir, 'path/kubectl'),
    cni: join(dir, 'cni'),
  });
});

test('images get their plugins without a control plane, which would take minutes to build', async () => {
  rmSync(join(dir, 'assets'), { recursive: true });
  expect(await findPlugins()).toBe(join(dir, 'cni'));
});

test('one that is too old is passed over', async () => {
  program('assets/etcd', 'etcd Version: 3.3.25');
  program('path/etcd', 'etcd Version: 3.4.23');
  expect((await findParts()).etcd).toBe(join(dir, 'path/etcd'));
});

test('a lock is held by one at a time', async () => {
  const order: string[] = [];
  const hold = (name: string) =>
    locked(join(dir, 'lock'), async () => {
      order.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push(`${name} out`);
    });
  await Promise.all([hold('a'), hold('b')]);
  expect(order.map((entry) => entry.split(' ')[1])).toEqual(['in', 'out', 'in', 'out']);
  expect(order[0]?.[0]).toBe(order[1]?.[0]);
});
