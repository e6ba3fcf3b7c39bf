import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { command } from '../parts/command.ts';
import { cachedDirectory, cacheDirectory } from '../parts/part.ts';
import { timed } from '../parts/progress.ts';

/** Returns a short hash of `inputs`. */
export const hashOf = (inputs: unknown): string =>
  createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 12);

/**
 * Makes a file of the cache that depends on `inputs` only: the name of its directory contains their hash. Removes the
 * files that other inputs made under this name, because they are large.
 */
export async function cachedFile(
  name: string,
  inputs: unknown,
  make: (file: string) => Promise<void>,
): Promise<string> {
  const hash = hashOf(inputs);
  const stem = name.replace(/\..*$/, '');
  const dir = join(cacheDirectory(), 'images', `${stem}-${hash}`);
  await cachedDirectory(
    dir,
    () => existsSync(join(dir, name)),
    async (fresh) => {
      await make(join(fresh, name));
      for (const other of await readdir(dirname(dir)))
        if (other.startsWith(`${stem}-`) && other !== basename(fresh) && /-[0-9a-f]{12}$/.test(other))
          await rm(join(dirname(dir), other), { recursive: true, force: true });
    },
  );
  return join(dir, name);
}

/**
 * Returns this machine's Debian or Ubuntu release, such as `bookworm`: packages come from its mirror. Throws on other
 * systems.
 */
function release(): string {
  const name = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (name === undefined)
    throw new Error('an image is assembled from Debian packages: this is no Debian or Ubuntu');
  return name;
}

/** Returns this machine's apt sources of the distribution itself, without those of third parties. */
async function sources(suite: string): Promise<string> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
  const text = await command('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const lines = new Set(
    text.split('\n').filter((line) => {
      const [, of = '', component = ''] = line.split(' ');
      const own = [suite, `${suite}-updates`, `${suite}-security`].includes(of.replace(/\/updates$/, ''));
      return own && ['main', 'universe'].includes(component);
    }),
  );
  if (lines.size === 0) throw new Error(`apt has no sources of ${suite}: apt-get indextargets`);
  return [...lines].map((line) => `deb ${line}\n`).join('');
}

/** Returns apt's proxy settings, which mmdebstrap does not read itself. */
async function proxies(): Promise<string[]> {
  const dump = await command('apt-config', ['dump', 'Acquire']);
  return dump
    .split('\n')
    .filter((line) => /^Acquire::\w+::Proxy\b/.test(line))
    .map((line) => `--aptopt=${line}`);
}

/** Files that a container never reads. */
const leftOut = ['doc', 'man', 'info', 'locale', 'lintian'].map(
  (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
);

/**
 * Makes a root file system of Debian packages as a cached tar file, from the mirror that this machine uses.
 * `minbase` is a small Debian. `extract` only unpacks the packages and their dependencies, without configuring them.
 */
export function rootfs(name: string, variant: 'minbase' | 'extract', packages: string[]): Promise<string> {
  const suite = release();
  return cachedFile(`${name}.tar`, [suite, variant, packages, leftOut], (file) =>
    timed(`${name}: from ${suite}'s packages: ${packages.join(' ')}`, async () => {
      const args = [
        ...[`--variant=${variant}`, '--mode=root', '--quiet', '--skip=output/dev'],
        ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'],
        ...(await proxies()),
        ...leftOut,
        `--include=${packages.join(',')}`,
      ];
      await command('mmdebstrap', [...args, suite, file, '-'], { input: await sources(suite) });
    }),
  );
}
