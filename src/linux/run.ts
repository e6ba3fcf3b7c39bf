import { spawn } from 'node:child_process';

export interface RunOptions {
  /** Text for its standard input. */
  input?: string;
  /** The program is killed and the call fails after this time; 60,000 by default. */
  timeoutMs?: number;
  /** Variables added to this process's environment. */
  env?: Record<string, string>;
  /** Receives each line of standard output, which is not kept then. */
  onLine?: (line: string) => void;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  code: number;
}

/** Runs a program to its end, whatever its exit status. */
export type Run = (program: string, args: string[], options?: RunOptions) => Promise<RunResult>;

/** Why a program failed: what it printed, or else its exit status. */
export const whyFailed = ({ stderr, code }: Pick<RunResult, 'stderr' | 'code'>): string =>
  stderr.trim() || `exit status ${code}`;

/** A program did not run to its end: it was not found, was killed, or took too long. */
export class CommandError extends Error {
  override name = 'CommandError';
  /** Its command line. */
  readonly command?: string;

  constructor(message: string, options: ErrorOptions & { command?: string } = {}) {
    super(message, options);
    if (options.command !== undefined) this.command = options.command;
  }
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

/** The most characters of output that are kept; a string cannot be longer than about 512 million. */
const mostKept = 256 * 2 ** 20;

/**
 * Runs `program` without a shell and waits for its end.
 * @throws CommandError if it cannot be started, is killed by a signal, exceeds its time, or prints more than can
 * be kept
 */
export const run: Run = (program, args, { input = '', timeoutMs = 60_000, env, onLine } = {}) =>
  new Promise((resolve, reject) => {
    const command = [program, ...args].join(' ');
    const child = spawn(program, args, {
      env: env === undefined ? process.env : { ...process.env, ...env },
      stdio: 'pipe',
    });
    let why: string | undefined;
    const kill = (reason: string) => {
      why ??= reason;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => {
      kill(`no answer within ${timeoutMs / 1000} s`);
    }, timeoutMs);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      const lines = stream === 'stdout' ? onLine : undefined;
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        if (output[stream].length + text.length > mostKept) {
          kill(`printed more than ${mostKept / 2 ** 20} MB`);
          return;
        }
        output[stream] += text;
        if (lines === undefined) return;
        const ended = output[stream].split('\n');
        output[stream] = ended.pop() ?? '';
        ended.forEach(lines);
      });
    }
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = packageOf(program);
      const reason =
        cause.code === 'ENOENT'
          ? `not found${missing === undefined ? '' : `; install ${missing}`}`
          : cause.code === 'EACCES'
            ? 'may not be run (EACCES)'
            : cause.message;
      reject(new CommandError(`${program}: ${reason}`, { cause, command }));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (why === undefined && code !== null) {
        if (onLine !== undefined && output.stdout !== '') onLine(output.stdout);
        resolve(onLine === undefined ? { ...output, code } : { ...output, stdout: '', code });
      } else {
        why ??= `killed by ${signal ?? 'a signal'}`;
        reject(new CommandError(`${program}: ${why} (${command})`, { command }));
      }
    });
    // a program that ends without reading its input must not end this one
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
