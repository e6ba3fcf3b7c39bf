import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import type { KubeObject } from '../../src/api/types.ts';

const root = join(import.meta.dirname, '..', 'recorded');

/** The versions that are recorded, by their commits. */
export const versions: readonly string[] = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

/** The version that landed before this one. */
const [last = ''] = versions;

/** A file that a version left on its node. */
export const recordedFile = (path: string, version = last): string =>
  readFileSync(join(root, version, path), 'utf8');

/** The names of the files in a folder of a version. */
export const recordedFiles = (dir: string, version = last): string[] =>
  readdirSync(join(root, version, dir), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, version).length + 1));

/** The objects that a version left in its cluster. */
export const recorded = <T extends KubeObject = KubeObject>(kind: string, version = last): T[] =>
  (JSON.parse(recordedFile(`${kind}.json`, version)) as { items: T[] }).items;

/** A version's bundle. */
export const recordedBundle = (program: 'agent' | 'operator', version = last): Buffer =>
  brotliDecompressSync(readFileSync(join(root, version, `${program}.js.br`)));
