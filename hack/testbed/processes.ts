import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { logFile, UserError, type Lab } from './lab.ts';

/**
 * A process of a lab. Its environment names its lab, role and node, and its children inherit that. So exactly these
 * processes are found, even if the command that started them was killed.
 */
interface LabProcess {
  pid: number;
  /** True if `start` started it, in its own session. The others are its children, which may outlive it for a while. */
  leads: boolean;
  lab: string;
  role: string;
  node: string;
  paused: boolean;
}

export const marks = (lab: Lab, role: string, node = '') => ({
  OVERLAYNET_LAB: lab.dir,
  OVERLAYNET_ROLE: role,
  OVERLAYNET_NODE: node,
});

function read(pid: number): LabProcess | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    const value = (name: string) =>
      environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    const lab = Buffer.from(value('OVERLAYNET_LAB'), 'latin1').toString();
    if (lab === '') return undefined;
    // the fields after the command's name, which is in parentheses and may contain any character
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    const [state, , , session] = stat;
    if (state === 'Z' || state === 'X') return undefined;
    const paused = state === 'T';
    const role = value('OVERLAYNET_ROLE');
    return { pid, leads: Number(session) === pid, lab, role, node: value('OVERLAYNET_NODE'), paused };
  } catch {
    return undefined; // the process has ended
  }
}

/** Returns all processes of all labs on this machine, except this one. */
function allProcesses(): LabProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => read(Number(name)))
    .filter((one) => one !== undefined);
}

export function processesOf(lab: Lab, select: { role?: string; node?: string } = {}): LabProcess[] {
  return allProcesses().filter(
    (one) =>
      one.lab === lab.dir &&
      (select.role === undefined || one.role === select.role) &&
      (select.node === undefined || one.node === select.node),
  );
}

/** Returns the directories of other checkouts' running labs with this name: they would use the same namespaces. */
export function namesakes(lab: Lab): string[] {
  const dirs = allProcesses().map((one) => one.lab);
  return [...new Set(dirs)].filter((dir) => dir !== lab.dir && dir.endsWith(`/.lab/${lab.name}`));
}

/** Returns the process that was started for a role. */
export const leaderOf = (lab: Lab, role: string): LabProcess | undefined =>
  processesOf(lab, { role }).find(({ leads }) => leads);

/** Starts a process that outlives this one and writes to its role's log. Returns its pid. */
export function start(
  lab: Lab,
  role: string,
  argv: string[],
  options: { node?: string; env?: Record<string, string> } = {},
): number {
  const [program = '', ...args] = argv;
  const file = logFile(lab, role);
  mkdirSync(dirname(file), { recursive: true });
  const log = openSync(file, 'a');
  const child = spawn(program, args, {
    cwd: lab.dir,
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env, ...marks(lab, role, options.node) },
  });
  closeSync(log);
  child.on('error', () => undefined); // there is no pid then, which is reported below
  child.unref();
  if (child.pid === undefined) throw new Error(`${role}: cannot start ${program}`);
  return child.pid;
}

/** Returns the last lines of a role's log, for error messages. */
export function lastWords(lab: Lab, role: string): string {
  try {
    const lines = readFileSync(logFile(lab, role), 'utf8').trimEnd().split('\n');
    return `${join('logs', `${role}.log`)} ends:\n${lines.slice(-8).join('\n')}`;
  } catch {
    return 'it wrote no log';
  }
}

/**
 * Calls `probe` every 50 ms until it returns a value. Throws if a process of one of the roles has ended, or after
 * `seconds`, with the last lines of their logs.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  options: { seconds?: number; lab?: Lab; roles?: string[] } = {},
): Promise<T> {
  const { seconds = 60, lab, roles = [] } = options;
  const end = performance.now() + seconds * 1000;
  const words = (of: string[]) => of.map((role) => (lab ? `\n${lastWords(lab, role)}` : '')).join('');
  for (let asked = 1; ; asked++) {
    const result = await probe();
    if (result !== undefined) return result;
    await sleep(50);
    if (asked % 10 !== 0) continue; // looking for processes costs more than a probe
    const ended = roles.filter((role) => lab && !leaderOf(lab, role));
    if (ended.length > 0) throw new Error(`${what}: ${ended.join(' and ')} ended${words(ended)}`);
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s${words(roles)}`);
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // the process has ended
  }
}

/** Sends a signal to the process of a role. Throws UserError if it is not running. */
export function signalRole(lab: Lab, role: string, signal: NodeJS.Signals): void {
  const leader = leaderOf(lab, role);
  if (!leader) throw new UserError(`${role} is not running`);
  kill(leader.pid, signal);
}

/** Ends the selected processes, at once or after a chance to end by themselves, and waits until they are gone. */
export async function end(
  lab: Lab,
  select: { role?: string; node?: string },
  how: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  const graceEnd = performance.now() + (how === 'SIGTERM' ? 10_000 : 0);
  const leader = select.role === undefined ? undefined : leaderOf(lab, select.role);
  if (how === 'SIGTERM' && leader) {
    kill(leader.pid, 'SIGTERM');
    if (leader.paused) kill(leader.pid, 'SIGCONT');
  }
  for (;;) {
    const remaining = processesOf(lab, select);
    if (remaining.length === 0) return;
    const leaderLives = leader !== undefined && remaining.some((one) => one.pid === leader.pid);
    if (!leaderLives || performance.now() > graceEnd) for (const one of remaining) kill(one.pid, 'SIGKILL');
    await sleep(20);
  }
}
