import { spawn } from 'node:child_process';
import path from 'node:path';
import { bundle } from '../../hack/build.ts';
import { TempDir } from './kubeprocess.ts';

/** What a process of the bundled command did. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The command as users have it: one file. */
export class CommandLine {
  readonly file: string;
  readonly #temp: TempDir;

  private constructor(temp: TempDir) {
    this.#temp = temp;
    this.file = path.join(temp.path, 'kubectl-overlay');
  }

  static async build(): Promise<CommandLine> {
    const command = new CommandLine(new TempDir('ovt-command-'));
    await bundle('cli', command.file);
    return command;
  }

  /** @param env beside PATH and nothing else of this process */
  run(args: string[], env: Record<string, string> = {}): Promise<Ran> {
    const child = spawn(this.file, args, {
      env: { PATH: process.env.PATH, HOME: this.#temp.path, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
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
