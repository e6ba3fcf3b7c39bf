import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import type { KubeObject } from '../../src/api/types.ts';

const root = join(import.meta.dirname, '..', 'recorded');

/** When a version was recorded: its lab made the objects then. */
const recordedAt = (version: string): number => {
  const [config] = recorded('overlayconfigs', version);
  return Date.parse(config?.metadata.creationTimestamp ?? '');
};

/** The recorded versions, by their commits, the oldest first. */
export const versions: readonly string[] = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort((a, b) => recordedAt(a) - recordedAt(b));

/** The version that was recorded last. */
const last = versions.at(-1) ?? '';

/** Reads a file that a version left on its node. */
export function recordedFile(path: string, version = last): string {
  return readFileSync(join(root, version, path), 'utf8');
}

/** Returns the names of the files in a folder of a version. */
export const recordedFiles = (dir: string, version = last): string[] =>
  readdirSync(join(root, version, dir), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, version).length + 1));

/** Returns the objects that a version left in its cluster. Throws if the version did not know the kind. */
export function recorded<T extends KubeObject = KubeObject>(kind: string, version = last): T[] {
  return (JSON.parse(recordedFile(`${kind}.json`, version)) as { items: T[] }).items;
}

/** Returns a version's bundle. */
export const recordedBundle = (program: 'agent' | 'operator', version = last): Buffer =>
  brotliDecompressSync(readFileSync(join(root, version, `${program}.js.br`)));
