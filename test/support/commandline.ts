import { spawn } from 'node:child_process';
import path from 'node:path';
import { bundle, bundled } from '../../hack/build.ts';
import { TempDir } from './kubeprocess.ts';
import { patching, type Edit } from './simulation/patching.ts';

/** The result of a process of the bundled command. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The command as users have it: one file. */
export class CommandLine {
  readonly file: string;
  readonly #temp: TempDir;

  private constructor(temp: TempDir, file: string) {
    this.#temp = temp;
    this.file = file;
  }

  /** @param edits changes of its source; without them it is the command that is shipped */
  static async build(edits: readonly Edit[] = []): Promise<CommandLine> {
    const shipped = edits.length === 0 ? await bundled('cli') : undefined;
    const temp = new TempDir('ovt-command-');
    const file = shipped ?? path.join(temp.path, 'kubectl-overlay');
    if (shipped === undefined) await bundle('cli', file, [patching(edits)]);
    return new CommandLine(temp, file);
  }

  /**
   * Runs the command.
   * @param env its environment, beside PATH; nothing else of this process is passed
   * @param input its standard input
   */
  run(args: string[], env: Record<string, string> = {}, input = ''): Promise<Ran> {
    const child = spawn(this.file, args, {
      env: { PATH: process.env.PATH, HOME: this.#temp.path, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 240_000,
    });
    // a process that reads nothing closes the pipe
    child.stdin.on('error', () => undefined).end(input);
    const ran: Ran = { code: -1, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.stderr += text));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        resolve({ ...ran, code: code ?? -1 });
      });
    });
  }

  remove(): Promise<void> {
    return this.#temp.remove();
  }
}
