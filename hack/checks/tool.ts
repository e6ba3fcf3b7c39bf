import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cacheDirectory } from '../parts/part.ts';
import { say } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';

/**
 * The nice value of a program that gives way. At 19, the unit tests stood still beside two busy programs on two
 * processors.
 */
const lowPriority = 5;

export interface Running {
  env?: NodeJS.ProcessEnv;
  /** Prefix of each line of output. Absent: the tool writes to the terminal itself. */
  label?: string | undefined;
  /** Hides the standard output. */
  quiet?: boolean;
  /** Gets a smaller part of busy processors than other programs, and all of an idle one. */
  background?: boolean;
  /** The tool is ended when this resolves. */
  cancelled?: Promise<unknown>;
}

/** Returns the place of a file that a check of this checkout keeps for its next run. */
export const cacheFile = (name: string): string =>
  join(cacheDirectory(), 'checks', createHash('sha256').update(root).digest('hex').slice(0, 16), name);

/** Runs one of the tools in node_modules with the current Node. Returns whether it succeeded. */
export function tool(name: string, args: string[], running: Running = {}): Promise<boolean> {
  const { env = process.env, label, quiet = false, background = false, cancelled } = running;
  const out = label === undefined ? 'inherit' : 'pipe';
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'node_modules', '.bin', name), ...args], {
      cwd: root,
      stdio: ['ignore', quiet ? 'ignore' : out, out],
      env,
    });
    if (background && child.pid !== undefined) setPriority(child.pid, lowPriority);
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        say(`${label ?? ''}${line}`);
      });
    }
    void cancelled?.then(() => child.kill());
    child.on('error', reject);
    child.on('close', (code) => {
      resolve(code === 0);
    });
  });
}
