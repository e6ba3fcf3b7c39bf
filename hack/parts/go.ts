import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { download, downloadsAllowed } from './download.ts';
import { executable, which } from './packages.ts';
import { timed } from './progress.ts';

const goVersion = '1.26.0';

/**
 * Finds the Go command on the PATH, in its usual place or in the cache; else downloads it. Throws and names what to
 * install.
 */
export async function findGo(cache: string, arch: string): Promise<string> {
  const cached = join(cache, `go-${goVersion}`, 'go', 'bin', 'go');
  const found = which('go') ?? ['/usr/local/go/bin/go', cached].find(executable);
  if (found !== undefined) return found;
  if (!downloadsAllowed()) throw new Error('Go 1.24 or later is needed on the PATH to build it');
  const dir = join(cache, `go-${goVersion}`);
  await timed(`Go ${goVersion}: not on this machine, needed to build: downloading`, async () => {
    await mkdir(dir, { recursive: true });
    const archive = join(dir, 'go.tar.gz');
    const url = `https://dl.google.com/go/go${goVersion}.linux-${arch}.tar.gz`;
    await download(url, `${url}.sha256`, archive);
    await command('tar', ['-xzf', archive, '-C', dir]);
    await rm(archive);
  });
  return cached;
}

interface Build {
  /**
   * Module and version whose requirements decide the versions of all other modules: `go.etcd.io/etcd/server/v3@v3.6.5`.
   * Absent: the program needs the standard library only.
   */
  module?: string;
  /** Directory of a program of our own, which becomes package `.` of the temporary module. */
  source?: string;
  /** Packages to build. Each becomes an executable named after its last element; a single one may be named by `as`. */
  packages: string[];
  as?: string;
  /** Builds the package's tests, which are an executable too. */
  tests?: boolean;
  ldflags?: string;
  tags?: string[];
  /** Returns the module's arguments for `go mod edit`; it may run the go command to find them. */
  edits?: (go: (args: string[]) => Promise<string>) => Promise<string[]>;
}

/** Builds static executables of published modules in `dir`, through a temporary module. */
export async function goBuild(go: string, dir: string, build: Build): Promise<void> {
  const work = join(dir, 'module');
  await mkdir(work, { recursive: true });
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod', GOWORK: 'off' };
  const run = (args: string[]) => command(go, args, { cwd: work, env });
  if (build.source !== undefined) await cp(build.source, work, { recursive: true });
  await writeFile(join(work, 'go.mod'), 'module overlaynet.dev/parts\n\ngo 1.24\n');
  if (build.edits) await run(['mod', 'edit', ...(await build.edits(run))]);
  else if (build.module !== undefined) await run(['get', build.module]);
  const ldflags = `-s -w ${build.ldflags ?? ''}`.trim();
  const out = build.as === undefined ? `${dir}/` : join(dir, build.as);
  const tags = build.tags === undefined ? [] : ['-tags', build.tags.join(' ')];
  const verb = build.tests === true ? ['test', '-c'] : ['build'];
  await run([...verb, '-trimpath', ...tags, '-ldflags', ldflags, '-o', out, ...build.packages]);
  await rm(work, { recursive: true });
}

/**
 * Builds programs of Kubernetes. The module k8s.io/kubernetes needs its staging modules pinned: v1.x.y goes with
 * v0.x.y.
 */
export function kubernetes(version: string, programs: string[]): Build {
  const pkg = 'k8s.io/component-base/version';
  const minor = version.split('.')[1] ?? '';
  return {
    module: `k8s.io/kubernetes@v${version}`,
    packages: programs.map((program) => `k8s.io/kubernetes/cmd/${program}`),
    ldflags: `-X ${pkg}.gitVersion=v${version} -X ${pkg}.gitMajor=1 -X ${pkg}.gitMinor=${minor}`,
    edits: async (go) => {
      const json = await go(['mod', 'download', '-json', `k8s.io/kubernetes@v${version}`]);
      const file = (JSON.parse(json) as { GoMod: string }).GoMod;
      const mod = JSON.parse(await go(['mod', 'edit', '-json', file])) as {
        Require: { Path: string; Version: string }[];
      };
      const staged = mod.Require.filter((one) => one.Version === 'v0.0.0').map((one) => one.Path);
      return [
        ...staged.map((path) => `-replace=${path}=${path}@v0.${version.slice(2)}`),
        `-require=k8s.io/kubernetes@v${version}`,
        '-godebug=default=go1.24',
      ];
    },
  };
}
