import { join } from 'node:path';
import { go } from '../../hack/parts/part.ts';
import { buildProgram } from '../../hack/parts/plugins.ts';
import { root } from '../../hack/testbed/lab.ts';

let built: Promise<string> | undefined;

/**
 * Builds dist/frames, which sends and counts raw frames, unless it is up to date. Concurrent callers share one build.
 * Returns its path.
 */
export const buildFrames = (): Promise<string> =>
  (built ??= buildProgram(join(root, 'test', 'chaos', 'frames'), join(root, 'dist', 'frames'), go));
