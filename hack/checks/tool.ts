import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { say } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';

export interface Running {
  env?: NodeJS.ProcessEnv;
  /** Before each line of the output. Absent: the tool has the terminal to itself. */
  label?: string | undefined;
  /** Hides the standard output. */
  quiet?: boolean;
  /** Resolves when the tool has to end. */
  cancelled?: Promise<unknown>;
}

/** Runs one of the project's tools in node_modules with the Node in use. Returns whether it succeeded. */
export function tool(name: string, args: string[], running: Running = {}): Promise<boolean> {
  const { env = process.env, label, quiet = false, cancelled } = running;
  const out = label === undefined ? 'inherit' : 'pipe';
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'node_modules', '.bin', name), ...args], {
      cwd: root,
      stdio: ['ignore', quiet ? 'ignore' : out, out],
      env,
    });
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
