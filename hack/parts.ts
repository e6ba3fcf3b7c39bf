import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { command } from './parts/command.ts';
import { download, downloadsAllowed } from './parts/download.ts';
import { findGo, goBuild, kubernetes } from './parts/go.ts';
import { locked } from './parts/lock.ts';
import { executable, searchPath } from './parts/packages.ts';
import { say, timed } from './parts/progress.ts';

/** Where the real programs are: paths of three, and the directory of the CNI plugins and cnitool. */
export interface Parts {
  etcd: string;
  kubeApiserver: string;
  kubectl: string;
  cni: string;
}

/** Executables that come together: all in one directory. */
interface Part {
  name: string;
  version: string;
  files: string[];
  /** Directories that the user names, by KUBEBUILDER_ASSETS or CNI_PATH. */
  given: string[];
  /** Oldest version that serves, of one that is found; it prints it on --version. Absent: any. */
  atLeast?: [number, number];
  download: (dir: string) => Promise<void>;
  build: (dir: string) => Promise<void>;
  /** What building takes on two cores with nothing cached. */
  buildTime: string;
}

const etcdVersion = '3.6.5';
const kubernetesVersion = '1.34.4';
const pluginsVersion = '1.7.1';
const cnitoolVersion = '1.3.0';
const plugins = ['bridge', 'host-local', 'loopback', 'portmap', 'bandwidth'];

const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';

export function cacheDirectory(): string {
  const env = process.env;
  return env.OVERLAYNET_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'overlaynet');
}

const directories = (variable: string) =>
  (process.env[variable] ?? '').split(':').filter((dir) => dir !== '');
const go = () => findGo(cacheDirectory(), arch);

/** Unpacks `members` of a release archive into `dir`, without the folders they are in there. */
async function unpack(
  dir: string,
  url: string,
  sums: string,
  members: string[],
  strip: number,
): Promise<void> {
  const archive = join(dir, 'archive.tgz');
  await download(url, sums, archive);
  await command('tar', ['-xzf', archive, '-C', dir, `--strip-components=${strip}`, ...members]);
  await rm(archive);
}

function kubernetesPart(name: string, buildTime: string, atLeast?: [number, number]): Part {
  return {
    name,
    version: kubernetesVersion,
    files: [name],
    given: directories('KUBEBUILDER_ASSETS'),
    ...(atLeast && { atLeast }),
    download: async (dir) => {
      const url = `https://dl.k8s.io/v${kubernetesVersion}/bin/linux/${arch}/${name}`;
      await download(url, `${url}.sha256`, join(dir, name));
      await command('chmod', ['755', join(dir, name)]);
    },
    build: async (dir) => goBuild(await go(), dir, kubernetes(kubernetesVersion, name)),
    buildTime,
  };
}

async function buildCnitool(dir: string): Promise<void> {
  const tool = 'github.com/containernetworking/cni/cnitool';
  await goBuild(await go(), dir, { module: `${tool}@v${cnitoolVersion}`, packages: [tool] });
}

const parts = (): Part[] => [
  {
    name: 'etcd',
    version: etcdVersion,
    files: ['etcd'],
    given: directories('KUBEBUILDER_ASSETS'),
    atLeast: [3, 4],
    download: (dir) => {
      const release = `https://github.com/etcd-io/etcd/releases/download/v${etcdVersion}`;
      const name = `etcd-v${etcdVersion}-linux-${arch}`;
      return unpack(dir, `${release}/${name}.tar.gz`, `${release}/SHA256SUMS`, [`${name}/etcd`], 1);
    },
    build: async (dir) => {
      const module = 'go.etcd.io/etcd/server/v3';
      await goBuild(await go(), dir, { module: `${module}@v${etcdVersion}`, packages: [module], as: 'etcd' });
    },
    buildTime: 'a minute',
  },
  // ValidatingAdmissionPolicy and the CIDR functions of CEL are in 1.31 and later
  kubernetesPart('kube-apiserver', '7 minutes', [1, 31]),
  kubernetesPart('kubectl', 'half a minute to 3 minutes'),
  {
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
];

async function serves(part: Part, dir: string): Promise<boolean> {
  if (!part.files.every((file) => executable(join(dir, file)))) return false;
  if (!part.atLeast) return true;
  const words = await command(join(dir, part.name), ['--version']).catch(() => '');
  const [, major, minor] = /v?(\d+)\.(\d+)\.\d/.exec(words) ?? [];
  const [leastMajor, leastMinor] = part.atLeast;
  return Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor);
}

/** The directory of a part's executables: given, on the PATH, cached, downloaded or built. */
async function find(part: Part): Promise<string> {
  for (const dir of [...part.given, ...searchPath()]) if (await serves(part, dir)) return dir;
  const bin = join(cacheDirectory(), 'bin', `linux-${arch}`);
  const dir = join(bin, `${part.name}-${part.version}`);
  const cached = () => part.files.every((file) => executable(join(dir, file)));
  if (cached()) return dir;
  return locked(join(bin, 'lock'), async () => {
    if (cached()) return dir; // another run made it while this one waited
    const fresh = `${dir}.${process.pid}`;
    const make = async (way: (dir: string) => Promise<void>) => {
      await rm(fresh, { recursive: true, force: true });
      await mkdir(fresh, { recursive: true });
      await way(fresh);
      await rm(dir, { recursive: true, force: true });
      await rename(fresh, dir);
    };
    const what = `${part.name} ${part.version}: not given, not on the PATH, not in the cache:`;
    try {
      if (downloadsAllowed()) {
        try {
          await timed(`${what} downloading`, () => make(part.download));
          return dir;
        } catch (error) {
          say(`  ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      await timed(`${what} building from Go modules, about ${part.buildTime} the first time`, () =>
        make(part.build),
      );
      return dir;
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  });
}

/**
 * Finds etcd, kube-apiserver, kubectl and the CNI plugins: where KUBEBUILDER_ASSETS and CNI_PATH say, on the PATH,
 * in the cache, by download, or by building them. Says what it does when it takes time. Throws when none works.
 */
export async function findParts(): Promise<Parts> {
  const found = new Map<string, string>();
  for (const part of parts()) found.set(part.name, await find(part));
  const at = (name: string) => found.get(name) ?? '';
  return {
    etcd: join(at('etcd'), 'etcd'),
    kubeApiserver: join(at('kube-apiserver'), 'kube-apiserver'),
    kubectl: join(at('kubectl'), 'kubectl'),
    cni: at('cni'),
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
