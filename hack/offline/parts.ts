import { chmod, cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findExactParts, kubernetesVersion, type Parts } from '../parts.ts';
import { corednsModule, corednsVersion, kindModule, kindVersion, ownPart } from '../parts/cluster.ts';
import { command } from '../parts/command.ts';
import { goBuild, kubernetes } from '../parts/go.ts';
import { arch, downloadProgram, find, go, unpack, type Part } from '../parts/part.ts';

/** What a kind cluster is made of, beyond the parts of a lab. Directories. */
export interface ClusterParts extends Parts {
  kubernetes: string;
  containerd: string;
  coredns: string;
  pause: string;
  /** Stands in for runc, see hack/offline/runc. */
  runc: string;
  /** Files of kind's base image, as kind's own Dockerfile wants them. */
  kindFiles: string;
}

const containerdVersion = '2.1.4';
/** As kubeadm of this Kubernetes names them; `kubeadm config images list` tells. */
export const imageTags = {
  kubernetes: `v${kubernetesVersion}`,
  etcd: '3.6.5-0',
  coredns: `v${corednsVersion}`,
  pause: '3.10.1',
};
const programs = ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubeadm', 'kube-proxy'];
const nodePart: Part = {
  name: 'kubernetes-node',
  version: kubernetesVersion,
  files: programs,
  download: async (dir) => {
    for (const name of programs) {
      const url = `https://dl.k8s.io/v${kubernetesVersion}/bin/linux/${arch}/${name}`;
      await downloadProgram(dir, name, url, `${url}.sha256`);
    }
  },
  build: async (dir) => goBuild(await go(), dir, kubernetes(kubernetesVersion, programs)),
  buildTime: '4 to 9 minutes',
};

const containerdPart: Part = {
  name: 'containerd',
  version: containerdVersion,
  files: ['containerd', 'ctr', 'containerd-shim-runc-v2'],
  download: (dir) => {
    const release = `https://github.com/containerd/containerd/releases/download/v${containerdVersion}`;
    const url = `${release}/containerd-static-${containerdVersion}-linux-${arch}.tar.gz`;
    const members = ['containerd', 'ctr', 'containerd-shim-runc-v2'].map((name) => `bin/${name}`);
    return unpack(dir, url, `${url}.sha256sum`, members, 1);
  },
  build: async (dir) => {
    const module = 'github.com/containerd/containerd/v2';
    await goBuild(await go(), dir, {
      module: `${module}/cmd/containerd@v${containerdVersion}`,
      packages: ['containerd', 'ctr', 'containerd-shim-runc-v2'].map((name) => `${module}/cmd/${name}`),
      ldflags: `-X ${module}/version.Version=v${containerdVersion}`,
      // as kind builds it: snapshotters that it never uses
      tags: ['no_aufs', 'no_zfs', 'no_btrfs', 'no_devmapper'],
    });
  },
  buildTime: 'a minute and a half',
};

/** The module has the files without modes; kind's Dockerfile says: scripts 0755, everything else 0644. */
async function takeKindFiles(dir: string): Promise<void> {
  const json = await command(await go(), ['mod', 'download', '-json', kindModule]);
  const files = join((JSON.parse(json) as { Dir: string }).Dir, 'images', 'base', 'files');
  await cp(files, dir, { recursive: true });
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const script = /\/(usr\/local|kind)\/bin$/.test(entry.parentPath);
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() || script ? 0o755 : 0o644);
  }
}

const kindFilesPart: Part = {
  name: 'kind-files',
  version: kindVersion,
  files: ['usr/local/bin/entrypoint'],
  build: takeKindFiles,
  buildTime: 'a few seconds',
};

/** The OCI runtime of an engine of our own. */
export async function findRunc(): Promise<string> {
  return join(await find(ownPart('offline/runc', { version: '1', buildTime: 'a few seconds' })), 'runc');
}

/** All that an assembled node image is made of. */
export async function findClusterParts(): Promise<ClusterParts> {
  return {
    ...(await findExactParts()),
    kubernetes: await find(nodePart),
    containerd: await find(containerdPart),
    coredns: await find(
      ownPart('offline/coredns', { version: corednsVersion, module: corednsModule, buildTime: '2 minutes' }),
    ),
    pause: await find(ownPart('offline/pause', { version: '1', buildTime: 'a few seconds' })),
    runc: await findRunc(),
    kindFiles: await find(kindFilesPart),
  };
}
