import { messageOf } from '../src/error.ts';
import { join } from 'node:path';
import { goBuild, kubernetes } from './parts/go.ts';
import { arch, downloadProgram, find, go, unpack, type Part } from './parts/part.ts';
import { say } from './parts/progress.ts';

/** Paths of the real programs; `cni` is the directory of the CNI plugins and cnitool. */
export interface Parts {
  etcd: string;
  kubeApiserver: string;
  kubectl: string;
  cni: string;
}

const etcdVersion = '3.6.5';
export const kubernetesVersion = '1.34.4';
const pluginsVersion = '1.7.1';
const cnitoolVersion = '1.3.0';
const plugins = ['bridge', 'host-local', 'loopback', 'portmap', 'bandwidth'];

const directories = (variable: string) =>
  (process.env[variable] ?? '').split(':').filter((dir) => dir !== '');

function kubernetesPart(name: string, buildTime: string, atLeast?: [number, number]): Part {
  return {
    name,
    version: kubernetesVersion,
    files: [name],
    given: directories('KUBEBUILDER_ASSETS'),
    ...(atLeast && { atLeast }),
    download: (dir) => {
      const url = `https://dl.k8s.io/v${kubernetesVersion}/bin/linux/${arch}/${name}`;
      return downloadProgram(dir, name, url, `${url}.sha256`);
    },
    build: async (dir) => goBuild(await go(), dir, kubernetes(kubernetesVersion, [name])),
    buildTime,
  };
}

function etcdPart(name: string, module: string, buildTime: string): Part {
  const path = `go.etcd.io/etcd/${module}/v3`;
  return {
    name,
    version: etcdVersion,
    files: [name],
    given: directories('KUBEBUILDER_ASSETS'),
    download: (dir) => {
      const release = `https://github.com/etcd-io/etcd/releases/download/v${etcdVersion}`;
      const archive = `etcd-v${etcdVersion}-linux-${arch}`;
      return unpack(dir, `${release}/${archive}.tar.gz`, `${release}/SHA256SUMS`, [`${archive}/${name}`], 1);
    },
    build: async (dir) =>
      goBuild(await go(), dir, { module: `${path}@v${etcdVersion}`, packages: [path], as: name }),
    buildTime,
  };
}

async function buildCnitool(dir: string): Promise<void> {
  const tool = 'github.com/containernetworking/cni/cnitool';
  await goBuild(await go(), dir, { module: `${tool}@v${cnitoolVersion}`, packages: [tool] });
}

const parts = (): Record<'etcd' | 'kubeApiserver' | 'kubectl' | 'cni', Part> => ({
  etcd: { ...etcdPart('etcd', 'server', 'a minute'), atLeast: [3, 4] },
  // ValidatingAdmissionPolicy and the CIDR functions of CEL are in 1.31 and later
  kubeApiserver: kubernetesPart('kube-apiserver', '7 minutes', [1, 31]),
  kubectl: kubernetesPart('kubectl', 'half a minute to 3 minutes'),
  cni: {
    name: 'cni',
    version: pluginsVersion,
    files: [...plugins, 'cnitool'],
    given: directories('CNI_PATH'),
    download: async (dir) => {
      const release = `https://github.com/containernetworking/plugins/releases/download/v${pluginsVersion}`;
      const url = `${release}/cni-plugins-linux-${arch}-v${pluginsVersion}.tgz`;
      const members = plugins.map((plugin) => `./${plugin}`);
      await unpack(dir, url, `${url}.sha256`, members, 1);
      await buildCnitool(dir); // cnitool is published as source only
    },
    build: async (dir) => {
      const path = 'github.com/containernetworking/plugins/plugins';
      const kinds: Record<string, string> = { bridge: 'main', loopback: 'main', 'host-local': 'ipam' };
      await goBuild(await go(), dir, {
        module: `${path}/main/bridge@v${pluginsVersion}`,
        packages: plugins.map((plugin) => `${path}/${kinds[plugin] ?? 'meta'}/${plugin}`),
      });
      await buildCnitool(dir);
    },
    buildTime: 'half a minute',
  },
});

/**
 * Finds etcd, kube-apiserver, kubectl and the CNI plugins in KUBEBUILDER_ASSETS and CNI_PATH, on the PATH or in the
 * cache; else downloads or builds them. Reports steps that take time. Throws if all ways fail.
 */
export async function findParts(): Promise<Parts> {
  const all = parts();
  return {
    etcd: join(await find(all.etcd), 'etcd'),
    kubeApiserver: join(await find(all.kubeApiserver), 'kube-apiserver'),
    kubectl: join(await find(all.kubectl), 'kubectl'),
    cni: await find(all.cni),
  };
}

/** Finds the directory of the CNI plugins alone: images need no control plane. */
export const findPlugins = (): Promise<string> => find(parts().cni);

/** Finds etcdutl, which restores a backup of etcd. Only tests need it. */
export async function findEtcdutl(): Promise<string> {
  return join(await find(etcdPart('etcdutl', 'etcdutl', 'half a minute')), 'etcdutl');
}

/**
 * Finds the programs of findParts() in exactly these versions and ignores others, even those that the user names: a
 * node image is made of them.
 */
export async function findExactParts(): Promise<Parts> {
  const exact = ({ given: _given, atLeast: _atLeast, ...part }: Part) => find(part);
  const all = parts();
  return {
    etcd: join(await exact(all.etcd), 'etcd'),
    kubeApiserver: join(await exact(all.kubeApiserver), 'kube-apiserver'),
    kubectl: join(await exact(all.kubectl), 'kubectl'),
    cni: await exact(all.cni),
  };
}

if (process.argv[1] === import.meta.filename) {
  try {
    for (const [name, path] of Object.entries(await findParts())) console.log(`${name}\t${String(path)}`);
  } catch (error) {
    say(messageOf(error));
    process.exitCode = 1;
  }
}
