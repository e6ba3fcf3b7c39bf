import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { command } from './command.ts';
import { goBuild } from './go.ts';
import { arch, downloadProgram, find, go, type Part } from './part.ts';

export const kindVersion = '0.30.0';
export const kindModule = `sigs.k8s.io/kind@v${kindVersion}`;
export const corednsVersion = '1.12.1';
export const corednsModule = `github.com/coredns/coredns@v${corednsVersion}`;

const kindPart: Part = {
  name: 'kind',
  version: kindVersion,
  files: ['kind'],
  given: [],
  atLeast: [0, 30],
  download: async (dir) => {
    const url = `https://github.com/kubernetes-sigs/kind/releases/download/v${kindVersion}/kind-linux-${arch}`;
    await downloadProgram(dir, `kind-linux-${arch}`, url, `${url}.sha256sum`);
    await command('mv', [join(dir, `kind-linux-${arch}`), join(dir, 'kind')]);
  },
  build: async (dir) =>
    goBuild(await go(), dir, { module: kindModule, packages: ['sigs.k8s.io/kind'], as: 'kind' }),
  buildTime: 'half a minute',
};

const hack = join(import.meta.dirname, '..');

/** A program of our own, whose source files are in `folder` of hack/. Its version includes their hash. */
export function ownPart(folder: string, rest: { version: string; module?: string; buildTime: string }): Part {
  const source = join(hack, folder);
  const name = basename(folder);
  const hash = createHash('sha256');
  for (const file of readdirSync(source).sort()) hash.update(readFileSync(join(source, file)));
  const { version, module, buildTime } = rest;
  return {
    name,
    version: `${version}-${hash.digest('hex').slice(0, 8)}`,
    files: [name],
    build: async (dir) =>
      goBuild(await go(), dir, { source, packages: ['.'], as: name, ...(module && { module }) }),
    buildTime,
  };
}

/** Finds the kind command on the PATH or in the cache; else downloads or builds it. */
export async function findKind(): Promise<string> {
  return join(await find(kindPart), 'kind');
}

/** Finds, or builds, the program of the tests' pods. */
export async function findTool(): Promise<string> {
  return join(await find(ownPart('kind/go/tool', { version: '1', buildTime: 'a few seconds' })), 'tool');
}
