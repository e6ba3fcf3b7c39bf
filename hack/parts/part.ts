import { messageOf } from '../../src/error.ts';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { command } from './command.ts';
import { download, downloadsAllowed } from './download.ts';
import { findGo } from './go.ts';
import { locked } from './lock.ts';
import { executable, searchPath } from './packages.ts';
import { say, timed } from './progress.ts';

/** Executables, or other files, that are installed together in one directory. */
export interface Part {
  name: string;
  version: string;
  files: string[];
  /**
   * Directories that the user names with KUBEBUILDER_ASSETS or CNI_PATH; the PATH is searched after them. Absent: only
   * the cache is searched.
   */
  given?: string[];
  /** Oldest version that is accepted, as the program prints it on --version. Absent: any. */
  atLeast?: [number, number];
  /** Absent if it is published as source only. */
  download?: (dir: string) => Promise<void>;
  build: (dir: string) => Promise<void>;
  /** Time to build it on two cores with an empty cache. */
  buildTime: string;
}

export const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';

export function cacheDirectory(): string {
  const env = process.env;
  return env.OVERLAYNET_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'overlaynet');
}

export const go = () => findGo(cacheDirectory(), arch);

/** Unpacks `members` of a release archive into `dir`, without their leading directories. */
export async function unpack(
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

/** Downloads one published executable into `dir` and keeps its name. */
export async function downloadProgram(dir: string, name: string, url: string, sums: string): Promise<void> {
  await download(url, sums, join(dir, name));
  await command('chmod', ['755', join(dir, name)]);
}

async function serves(part: Part, dir: string): Promise<boolean> {
  if (!part.files.every((file) => executable(join(dir, file)))) return false;
  if (!part.atLeast) return true;
  const words = await command(join(dir, part.name), ['--version']).catch(() => '');
  const [, major, minor] = /v?(\d+)\.(\d+)\.\d/.exec(words) ?? [];
  const [leastMajor, leastMinor] = part.atLeast;
  return Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor);
}

/**
 * Makes a directory of the cache once: `make` fills a temporary directory, which is then renamed. Concurrent runs wait
 * for each other.
 */
export async function cachedDirectory(
  dir: string,
  complete: () => boolean,
  make: (fresh: string) => Promise<void>,
): Promise<string> {
  if (complete()) return dir;
  return locked(join(cacheDirectory(), 'bin', `linux-${arch}`, 'lock'), async () => {
    if (complete()) return dir; // another run made it while this one waited
    const fresh = `${dir}.${process.pid}`;
    try {
      await rm(fresh, { recursive: true, force: true });
      await mkdir(fresh, { recursive: true });
      await make(fresh);
      await rm(dir, { recursive: true, force: true });
      await rename(fresh, dir);
      return dir;
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  });
}

/**
 * Returns the directory of a part's files: named by the user, on the PATH or in the cache; else downloads or builds
 * them.
 */
export async function find(part: Part): Promise<string> {
  const places = part.given === undefined ? [] : [...part.given, ...searchPath()];
  for (const dir of places) if (await serves(part, dir)) return dir;
  const dir = join(cacheDirectory(), 'bin', `linux-${arch}`, `${part.name}-${part.version}`);
  const complete = () => part.files.every((file) => executable(join(dir, file)));
  return cachedDirectory(dir, complete, async (fresh) => {
    const where = part.given === undefined ? '' : 'not given, not on the PATH, ';
    const what = `${part.name} ${part.version}: ${where}not in the cache:`;
    const { download } = part;
    if (download && downloadsAllowed()) {
      try {
        await timed(`${what} downloading`, () => download(fresh));
        return;
      } catch (error) {
        say(`  ${messageOf(error)}`);
        await rm(fresh, { recursive: true, force: true });
        await mkdir(fresh, { recursive: true });
      }
    }
    await timed(`${what} building from Go modules, about ${part.buildTime} the first time`, () =>
      part.build(fresh),
    );
  });
}
