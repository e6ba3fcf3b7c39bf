import { join } from 'node:path';
import { goBuild, kubernetes } from './parts/go.ts';
import { arch, downloadProgram, find, go, unpack, type Part } from './parts/part.ts';
import { say } from './parts/progress.ts';

/** Where the real programs are: paths of three, and the directory of the CNI plugins and cnitool. */
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
      await buildCnitool(dir); // is published as source only
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
 * Finds etcd, kube-apiserver, kubectl and the CNI plugins: where KUBEBUILDER_ASSETS and CNI_PATH say, on the PATH,
 * in the cache, by download, or by building them. Says what it does when it takes time. Throws when none works.
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

/** The program that puts a backup of etcd back: for tests alone. */
export async function findEtcdutl(): Promise<string> {
  return join(await find(etcdPart('etcdutl', 'etcdutl', 'half a minute')), 'etcdutl');
}

/** What findParts() finds, in exactly these versions, wherever others are given or on the PATH: what a node image is made of. */
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
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
