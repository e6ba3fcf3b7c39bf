import { chmod, cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findExactParts, kubernetesVersion, type Parts } from '../parts.ts';
import { corednsModule, corednsVersion, kindModule, kindVersion, ownPart } from '../parts/cluster.ts';
import { command } from '../parts/command.ts';
import { goBuild, kubernetes } from '../parts/go.ts';
import { arch, downloadProgram, find, go, unpack, type Part } from '../parts/part.ts';

/** The additional parts of a kind cluster, compared with a lab. Each is a directory. */
export interface ClusterParts extends Parts {
  kubernetes: string;
  containerd: string;
  coredns: string;
  pause: string;
  /** A wrapper of runc, see hack/offline/runc. */
  runc: string;
  /** Files that kind's own Dockerfile copies into its base image. */
  kindFiles: string;
}

const containerdVersion = '2.1.4';
/** Image tags that kubeadm of this Kubernetes version uses, as in `kubeadm config images list`. */
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
      // kind's own build leaves out these unused snapshotters, too
      tags: ['no_aufs', 'no_zfs', 'no_btrfs', 'no_devmapper'],
    });
  },
  buildTime: 'a minute and a half',
};

/**
 * Copies kind's files and sets their modes, which a Go module does not keep. kind's Dockerfile gives scripts 0755 and
 * other files 0644.
 */
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

/** Returns the OCI runtime of our own engine. */
export async function findRunc(): Promise<string> {
  return join(await find(ownPart('offline/runc', { version: '1', buildTime: 'a few seconds' })), 'runc');
}

/** Returns all parts of an assembled node image. */
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
