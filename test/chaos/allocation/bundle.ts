import { join } from 'node:path';
import type { Mutation } from '../../support/simulation/mutations.ts';
import { patching } from '../../support/simulation/patching.ts';
import { bundle } from '../../../hack/build.ts';
import { root } from '../../../hack/testbed/lab.ts';

/** Builds an operator that is broken on purpose. Throws if a text that the mutation changes does not exist any more. */
export async function mutantBundle({ name, edits }: Mutation): Promise<string> {
  const target = join(root, 'dist', 'mutants', `${name.replaceAll(/[^a-z]+/gi, '-')}.js`);
  await bundle('operator', target, [patching(edits)]);
  return target;
}
