import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAllocation } from '../../src/api/types.ts';

/** Number of entries of each kind in the kernel of the bench's namespace. */
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

/** Watches the kernel's notifications, so that the time of the last entry does not depend on the agent's report. */
export class Monitor {
  /** Time of the kernel's last notification, by performance.now(). */
  last = 0;
  readonly #child: ChildProcess;
  readonly #seen: ((text: string) => void)[] = [];

  constructor() {
    this.#child = spawn('ip', ['monitor', 'route', 'neigh', 'nexthop'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.last = performance.now();
      if (this.#seen.length > 0) for (const tell of this.#seen) tell(chunk.toString());
    });
  }

  /** Resolves when nothing has changed for `quietMs`, with the time of the last change. */
  async quiet(quietMs: number): Promise<number> {
    while (this.last === 0 || performance.now() - this.last < quietMs) await sleep(20);
    return this.last;
  }

  /** Resolves with the time at which the kernel announced a route to `subnet`. */
  route(subnet: string): Promise<number> {
    let text = '';
    return new Promise((resolve) => {
      const tell = (chunk: string) => {
        text += chunk;
        if (!text.split('\n').some((line) => line.startsWith(`${subnet} nhid`))) return;
        this.#seen.splice(this.#seen.indexOf(tell), 1);
        resolve(performance.now());
      };
      this.#seen.push(tell);
    });
  }

  stop(): void {
    this.#child.kill();
  }
}

/** Returns the milliseconds that `ip -batch` and `bridge -batch` take for the same entries, in their own namespace. */
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
