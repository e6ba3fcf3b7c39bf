import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { once } from 'node:events';
import { say } from './progress.ts';

/**
 * Runs `work` while holding the lock `file`. Prints a message if it must wait for another run.
 * The kernel holds the lock for a child that ends with this process, so that a killed run leaves no stale lock.
 */
export async function locked<T>(file: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const waiting = setTimeout(() => {
    say(`another run holds ${file}: waiting for it`);
  }, 1000);
  try {
    const failed = once(holder, 'exit').then(() => {
      throw new Error(`flock ${file} failed`);
    });
    await Promise.race([once(holder.stdout, 'data'), failed]);
    failed.catch(() => undefined);
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
  }
}
