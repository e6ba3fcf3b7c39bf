import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';

/** A change of one source file before it is bundled. */
export interface Edit {
  /** Path from the project's root: `src/operator/writer.ts`. */
  file: string;
  /** Text that occurs exactly once in the file. */
  find: string;
  replace: string;
}

const root = join(import.meta.dirname, '..', '..', '..');

/**
 * Returns the file's text after the edits.
 * @throws Error if the text of an edit does not occur exactly once
 */
function edited(text: string, file: string, edits: readonly Edit[]): string {
  return edits.reduce((before, { find, replace }) => {
    const parts = before.split(find);
    if (parts.length !== 2) {
      throw new Error(`${file} has ${parts.length - 1} times, not once: ${JSON.stringify(find)}`);
    }
    return parts.join(replace);
  }, text);
}

/** esbuild's plugin that applies edits, to break a program or to scale it down. */
export const patching = (edits: readonly Edit[]): Plugin => ({
  name: 'patching',
  setup(build) {
    const loaded = new Set<string>();
    const files = Map.groupBy(edits, ({ file }) => join(root, file));
    build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const own = files.get(path);
      if (own === undefined) return undefined;
      loaded.add(path);
      return { contents: edited(await readFile(path, 'utf8'), path, own), loader: 'ts' };
    });
    build.onEnd(() => {
      const missed = [...files.keys()].find((path) => !loaded.has(path));
      return missed === undefined ? {} : { errors: [{ text: `${missed} is no part of the program` }] };
    });
  },
});
