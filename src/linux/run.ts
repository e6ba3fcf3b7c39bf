import { spawn } from 'node:child_process';

export interface RunOptions {
  /** Written to its standard input. */
  input?: string;
  /** After which it is killed and the call fails; 60,000 unless told. */
  timeoutMs?: number;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Gets each line of its standard output, which is not kept then. */
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

/** Characters of output that are kept: a text of more than about 512 million cannot be. */
const mostKept = 256 * 2 ** 20;

/**
 * Runs `program` without a shell and waits for its end.
 * @throws CommandError where it cannot be started, is killed by a signal, takes longer than it may, or prints more than can
 *   be kept
 */
export const run: Run = (program, args, { input = '', timeoutMs = 60_000, env, onLine } = {}) =>
  new Promise((resolve, reject) => {
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
          : cause.message;
      reject(new CommandError(`${program}: ${reason}`, { cause }));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (why === undefined && code !== null) {
        if (onLine !== undefined && output.stdout !== '') onLine(output.stdout);
        resolve(onLine === undefined ? { ...output, code } : { ...output, stdout: '', code });
      } else {
        why ??= `killed by ${signal ?? 'a signal'}`;
        reject(new CommandError(`${program}: ${why} (${[program, ...args].join(' ')})`));
      }
    });
    // a program that ends without reading its input must not end this one
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
