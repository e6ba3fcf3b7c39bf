import { join } from 'node:path';
import { go } from '../parts/part.ts';
import { buildProgram } from '../parts/plugins.ts';
import { root } from '../testbed/lab.ts';

let built: Promise<string> | undefined;

/** Builds dist/frames, which sends and counts raw frames, where it has to be; once, however many ask. Returns its path. */
export const buildFrames = (): Promise<string> =>
  (built ??= buildProgram(join(root, 'hack', 'frames'), join(root, 'dist', 'frames'), go));
