import { join } from 'node:path';
import type { Mutation } from '../../support/simulation/mutations.ts';
import { patching } from '../../support/simulation/patching.ts';
import { buildBundles, bundle } from '../../../hack/build.ts';
import { root } from '../../../hack/testbed/lab.ts';

/** The operator as it is: its bundle's path. */
export async function operatorBundle(): Promise<string> {
  await buildBundles();
  return join(root, 'dist', 'operator.js');
}

/** The operator broken on purpose. Throws where a text is no longer there that the mutation changes. */
export async function mutantBundle({ name, edits }: Mutation): Promise<string> {
  const target = join(root, 'dist', 'mutants', `${name.replaceAll(/[^a-z]+/gi, '-')}.js`);
  await bundle('operator', target, [patching(edits)]);
  return target;
}
