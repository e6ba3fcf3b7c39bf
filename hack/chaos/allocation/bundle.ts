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

/** The operator broken on purpose. Throws where its text no longer is what the mutation changes. */
export async function mutantBundle({ name, file, find, replace }: Mutation): Promise<string> {
  const path = join(root, file);
  const source = readFileSync(path, 'utf8');
  const hits = source.split(find).length - 1;
  if (hits !== 1) throw new Error(`mutation ${name}: its text is ${hits} times in ${file}, not once`);
  const mutate: Plugin = {
    name: 'mutate',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, (args) =>
        args.path === path ? { contents: source.replace(find, () => replace), loader: 'ts' } : undefined,
      );
    },
  };
  const target = join(root, 'dist', 'mutants', `${name}.js`);
  await bundle('operator', target, [mutate]);
  return target;
}
