import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Log } from '../log.ts';
import { Recurring } from '../recurring.ts';

const object = 'reports of the kernel';
const objects = ['link', 'address', 'route', 'rule', 'nexthop', 'neigh'];

/**
 * Whether a reported change concerns the data path. Neighbours that the kernel resolves come and go all the time;
 * ours are permanent, on the tunnel, and show as FAILED when they are deleted.
 */
export const matters = (line: string): boolean =>
  !/ (REACHABLE|STALE|DELAY|PROBE|INCOMPLETE|NOARP|FAILED) *$/.test(line) ||
  / dev vtep\d+ .*FAILED *$/.test(line);

export interface MonitorOptions {
  log: Log;
  /** For tests: runs this inside a network namespace instead of `ip monitor …`. */
  command?: [string, ...string[]];
  /** Delay in ms before a monitor that ended is started again; 5,000 by default. */
  restartMs?: number;
}

/**
 * Calls `onChange` whenever the kernel reports a change of links, addresses, routes, rules, nexthops or neighbours,
 * and after a gap in which reports may have been missed. The callee reads the kernel's state to learn what changed. A
 * burst of reports gives a burst of calls.
 */
export function monitor(
  onChange: () => void,
  { log, command, restartMs = 5_000 }: MonitorOptions,
): { stop: () => void } {
  const [program, ...args] = command ?? ['ip', 'monitor', ...objects];
  const faults = new Recurring(log, 'ip monitor ended; starting it again', 'ip monitor reports again');
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let started = false;

  const start = () => {
    const current = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child = current;
    let stderr = '';
    let ended = false;
    const end = (why: string) => {
      if (ended || stopped) return;
      ended = true;
      faults.failed([{ object, command: [program, ...args].join(' '), output: why }], { afterMs: restartMs });
      timer = setTimeout(start, restartMs);
    };
    createInterface({ input: current.stdout }).on('line', (line) => {
      faults.succeeded(object);
      if (!stopped && matters(line)) onChange();
    });
    current.stderr.on('data', (text: Buffer) => (stderr = (stderr + text.toString()).slice(-1000)));
    current.on('error', (error) => {
      end(error.message);
    });
    current.on('close', (code, signal) => {
      end(stderr.trim() || `exit status ${code ?? signal ?? ''}`);
    });
    if (started) onChange();
    started = true;
  };

  start();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      child?.kill();
    },
  };
}
