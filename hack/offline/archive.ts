import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { command } from '../parts/command.ts';

/** The path of a file on this machine, a symbolic link, or a directory with its mode. */
export type Entry = string | { link: string } | { directory: number };

/** An image in a docker-archive. */
export interface Image {
  tag: string;
  /** Tar files, lowest layer first. */
  layers: string[];
  config: { Entrypoint: string[]; Cmd?: string[]; Env?: string[]; User?: string };
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Files are sorted and have the same owner and time, so that the same files make the same layer. */
const tar = (file: string, directory: string) =>
  command('tar', [
    ...['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'],
    ...['-C', directory, '-cf', file, '.'],
  ]);

/** Runs `work` in a temporary directory beside `file`. */
async function staged(file: string, work: (directory: string) => Promise<unknown>): Promise<void> {
  const directory = await mkdtemp(`${file}.`);
  try {
    await chmod(directory, 0o755);
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Writes a layer. `entries` are keyed by their absolute paths in the image. */
export const writeLayer = (file: string, entries: Record<string, Entry>): Promise<void> =>
  staged(file, async (directory) => {
    for (const [name, entry] of Object.entries(entries)) {
      const to = join(directory, name);
      await mkdir(dirname(to), { recursive: true });
      if (typeof entry === 'string') {
        await copyFile(entry, to);
      } else if ('link' in entry) await symlink(entry.link, to);
      else {
        await mkdir(to, { recursive: true });
        await chmod(to, entry.directory);
      }
    }
    await tar(file, directory);
  });

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** Writes a docker-archive for `docker load`, `ctr images import` and `kind load image-archive`. */
export const writeArchive = (file: string, images: Image[]): Promise<void> =>
  staged(file, async (directory) => {
    const digests = new Map<string, string>();
    for (const layer of new Set(images.flatMap(({ layers }) => layers))) {
      const sum = await digest(layer);
      digests.set(layer, sum);
      // usually the same file system, so that a hard link saves a copy
      await link(layer, join(directory, `${sum}.tar`)).catch(() =>
        copyFile(layer, join(directory, `${sum}.tar`)),
      );
    }
    const manifest = [];
    for (const { tag, layers, config } of images) {
      const sums = layers.map((layer) => digests.get(layer) ?? '');
      const text = JSON.stringify({
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        created: '1970-01-01T00:00:00Z',
        config: { WorkingDir: '/', ...config, Env: [path, ...(config.Env ?? [])] },
        rootfs: { type: 'layers', diff_ids: sums.map((sum) => `sha256:${sum}`) },
        history: sums.map(() => ({
          created: '1970-01-01T00:00:00Z',
          created_by: basename(import.meta.filename),
        })),
      });
      const name = `${hashOf(text)}.json`;
      await writeFile(join(directory, name), text);
      manifest.push({ Config: name, RepoTags: [tag], Layers: sums.map((sum) => `${sum}.tar`) });
    }
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
    await tar(file, directory);
  });
