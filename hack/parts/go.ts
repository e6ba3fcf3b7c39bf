import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { download, downloadsAllowed } from './download.ts';
import { executable, which } from './packages.ts';
import { timed } from './progress.ts';

const goVersion = '1.26.0';

/** The Go command: on the PATH, in its usual place, in the cache, or downloaded into it. Throws, saying what to install. */
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
  /** Module and version whose requirements decide all others: `go.etcd.io/etcd/server/v3@v3.6.5`. Absent: the standard library. */
  module?: string;
  /** Directory of a program of our own, which becomes package `.` of the throwaway module. */
  source?: string;
  /** Packages to build, each into an executable named after its last element, or a single one into `as`. */
  packages: string[];
  as?: string;
  /** Builds the tests of the package, an executable as well. */
  tests?: boolean;
  ldflags?: string;
  tags?: string[];
  /** Arguments of `go mod edit` that the module needs, worked out with the go command at hand. */
  edits?: (go: (args: string[]) => Promise<string>) => Promise<string[]>;
}

/** Builds static executables out of published modules into `dir`, by way of a throwaway module of their own. */
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
 * k8s.io/kubernetes is a module whose staging modules must be pinned beside it: v1.x.y goes with v0.x.y.
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
