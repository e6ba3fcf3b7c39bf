import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAllocation } from '../../src/api/types.ts';

/** What the kernel of the bench's namespace holds of each kind of entry. */
export interface Entries {
  routes: number;
  neighbours: number;
  fdb: number;
}

const lines = (program: string, args: string[]): number =>
  spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 28 }).stdout.split('\n').length - 1;

export function count(): Entries {
  const link = ['dev', 'vtep1024'];
  return {
    routes:
      lines('ip', ['-4', 'route', 'show', 'table', 'all', ...link]) +
      lines('ip', ['-6', 'route', 'show', 'table', 'all', ...link]),
    neighbours: lines('ip', ['neigh', 'show', 'nud', 'permanent', ...link]),
    fdb: lines('bridge', ['fdb', 'show', ...link]),
  };
}

/** Watches the kernel's own notifications, so that nobody's word is taken for when the last entry was there. */
export class Monitor {
  /** When the kernel last told of a change, by performance.now(). */
  last = 0;
  private readonly child: ChildProcess;
  private readonly seen: ((text: string) => void)[] = [];

  constructor() {
    this.child = spawn('ip', ['monitor', 'route', 'neigh', 'nexthop'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.last = performance.now();
      if (this.seen.length > 0) for (const tell of this.seen) tell(chunk.toString());
    });
  }

  /** Resolves when nothing has changed for `quietMs`, with the time of the last change. */
  async quiet(quietMs: number): Promise<number> {
    while (this.last === 0 || performance.now() - this.last < quietMs) await sleep(20);
    return this.last;
  }

  /** The time at which a route to `subnet` was told of. */
  route(subnet: string): Promise<number> {
    let text = '';
    return new Promise((resolve) => {
      const tell = (chunk: string) => {
        text += chunk;
        if (!text.split('\n').some((line) => line.startsWith(`${subnet} nhid`))) return;
        this.seen.splice(this.seen.indexOf(tell), 1);
        resolve(performance.now());
      };
      this.seen.push(tell);
    });
  }

  stop(): void {
    this.child.kill();
  }
}

/** The same entries by `ip -batch` and `bridge -batch` alone, in a namespace of their own, in milliseconds. */
export function floor(allocations: readonly AgentAllocation[]): number {
  const program = join(import.meta.dirname, 'floor.ts');
  const input = JSON.stringify(allocations.map(({ spec }) => spec));
  const options = { input, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--net', '--', process.execPath, program],
    options,
  );
  if (status !== 0) throw new Error(`the floor could not be measured: ${stderr}`);
  return Number(stdout);
}
