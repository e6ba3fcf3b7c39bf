import { spawn } from 'node:child_process';

export interface RunOptions {
  /** Written to its standard input. */
  input?: string;
  /** After which it is killed and the call fails; 60,000 unless told. */
  timeoutMs?: number;
  /** Added to this process's environment. */
  env?: Record<string, string>;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  code: number;
}

/** Runs a program to its end, whatever its exit status. */
export type Run = (program: string, args: string[], options?: RunOptions) => Promise<RunResult>;

/** A program that did not run to its end: not found, killed, or took too long. */
export class CommandError extends Error {
  override name = 'CommandError';
}

const packages: Record<string, string> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  ipset: 'ipset',
  nft: 'nftables',
  modprobe: 'kmod',
  conntrack: 'conntrack',
};

const packageOf = (program: string): string | undefined =>
  packages[program] ?? (/^ip6?tables-/.test(program) ? 'iptables' : undefined);

/**
 * Runs `program` without a shell and waits for its end.
 * @throws CommandError where it cannot be started, is killed by a signal, or takes longer than it may.
 */
export const run: Run = (program, args, { input = '', timeoutMs = 60_000, env } = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: env === undefined ? process.env : { ...process.env, ...env },
      stdio: 'pipe',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => (output[stream] += text));
    }
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = packageOf(program);
      const why =
        cause.code === 'ENOENT'
          ? `not found${missing === undefined ? '' : `; install ${missing}`}`
          : cause.message;
      reject(new CommandError(`${program}: ${why}`, { cause }));
    });
    child.on('close', (code, signal) => {
      const late = child.killed;
      clearTimeout(timer);
      if (code !== null) resolve({ ...output, code });
      else {
        const why = late ? `no answer within ${timeoutMs / 1000} s` : `killed by ${signal ?? 'a signal'}`;
        reject(new CommandError(`${program}: ${why} (${[program, ...args].join(' ')})`));
      }
    });
    // a program that ends without reading its input must not end this one
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
