import { join } from 'node:path';
import { go } from '../../hack/parts/part.ts';
import { buildProgram } from '../../hack/parts/plugins.ts';
import { root } from '../../hack/testbed/lab.ts';

let built: Promise<string> | undefined;

/** Builds dist/frames, which sends and counts raw frames, where it has to be; once, however many ask. Returns its path. */
export const buildFrames = (): Promise<string> =>
  (built ??= buildProgram(join(root, 'test', 'chaos', 'frames'), join(root, 'dist', 'frames'), go));
