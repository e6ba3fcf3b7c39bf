import { spawn } from 'node:child_process';

/** The failure of a command. The message quotes what the command printed. */
export class CommandFailed extends Error {
  readonly code: number;
  readonly stderr: string;
  constructor(program: string, args: string[], code: number, stderr: string) {
    super(`${program} ${args.join(' ')}: ${stderr.trim() || `exit status ${code}`}`);
    this.code = code;
    this.stderr = stderr;
  }
}

interface Options {
  input?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Exit statuses that count as success; only 0 by default. */
  accept?: number[];
}

/** Runs a program to its end and returns its standard output. Throws CommandFailed. */
export function command(program: string, args: string[], options: Options = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (error) => {
      reject(new CommandFailed(program, args, 127, error.message));
    });
    child.on('close', (code, signal) => {
      const status = code ?? 1;
      if ((options.accept ?? [0]).includes(status)) resolve(Buffer.concat(out).toString());
      else {
        const words = Buffer.concat([...err, ...out]).toString() || `ended by ${String(signal)}`;
        reject(new CommandFailed(program, args, status, words));
      }
    });
    // a program that exits before it has read its input breaks the pipe: its exit status is the better error
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
  });
}

/** Runs a command line that is given as one list. */
export function commandLine([program, ...args]: string[], options: Options = {}): Promise<string> {
  return command(program ?? '', args, options);
}
