import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { buildBundles, bundle } from '../../build.ts';
import { root } from '../../testbed/lab.ts';
import type { Mutation } from './mutations.ts';

/** The operator as it is: its bundle's path. */
export async function operatorBundle(): Promise<string> {
  await buildBundles();
  return join(root, 'dist', 'operator.js');
}

/** The operator broken on purpose. Throws where a text is no longer there that the mutation changes. */
export async function mutantBundle({ name, edits }: Mutation): Promise<string> {
  const changed = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const path = join(root, file);
    const source = changed.get(path) ?? readFileSync(path, 'utf8');
    const hits = source.split(find).length - 1;
    if (hits !== 1) throw new Error(`mutation "${name}": ${file} has "${find}" ${hits} times, not once`);
    changed.set(
      path,
      source.replace(find, () => replace),
    );
  }
  const mutate: Plugin = {
    name: 'mutate',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = changed.get(path);
        return contents === undefined ? undefined : { contents, loader: 'ts' };
      });
    },
  };
  const target = join(root, 'dist', 'mutants', `${name.replaceAll(/[^a-z]+/gi, '-')}.js`);
  await bundle('operator', target, [mutate]);
  return target;
}
