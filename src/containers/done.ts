import { lstatSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { isErrno } from '../error.ts';
import { takenFrom } from '../host/directories.ts';
import { faultOf, type Fault } from '../log.ts';
import { shown } from '../net/text.ts';

const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'];

/** How a command of the plugin ended: an error code, or 0. */
export interface Done {
  command: string;
  code: number;
  seconds: number;
}

/**
 * The largest code. CNI's own codes are below 100, a plugin's are 100 and more, libcni's is 999. A limit is needed because
 * each code becomes a time series.
 */
const largestCode = 999;
/** The longest duration that counts. No runtime waits so long, and one absurd value would spoil the sum for ever. */
const mostSeconds = 86_400;
/** The plugin writes no more than half of that into the file of reports that no agent took. */
const mostBytes = 128 * 1024;

/** Parses the report, or says what is wrong with it. */
export function parseDone(body: string): Done | string {
  let said: Partial<Done>;
  try {
    said = (JSON.parse(body) ?? {}) as Partial<Done>;
  } catch {
    return 'the report is not JSON';
  }
  const { command, code, seconds } = said;
  const wrong = (field: string, value: unknown, rule: string) =>
    `${field}: ${typeof value === 'number' ? value : shown(value === undefined ? '' : JSON.stringify(value))} is not ${rule}`;
  if (command === undefined || !commands.includes(command))
    return wrong('command', command, `one of ${commands.join(', ')}`);
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 0 || code > largestCode)
    return wrong('code', code, `a whole number from 0 to ${largestCode}`);
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= mostSeconds))
    return wrong('seconds', seconds, `a number from 0 to ${mostSeconds}`);
  return { command, code, seconds };
}

/**
 * Reads the reports that the plugin could not give to an agent, and removes the file. Lines that are no reports are left
 * out: a plugin that was killed leaves half a line.
 * @returns the reports, and as `faults` why the file could not be read or removed
 */
export function takeUntold(path: string): { ended: Done[]; faults: Fault[] } {
  const taken = takenFrom(path);
  const faults: Fault[] = [];
  const attempt = <Result>(command: string, work: () => Result): Result | undefined => {
    try {
      return work();
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) faults.push(faultOf(path, error, command));
      return undefined;
    }
  };
  const text = attempt(`read ${path}`, () => {
    // a plugin that writes at this moment makes a new file
    renameSync(path, taken);
    const file = lstatSync(taken);
    // a FIFO would block the whole agent, and a symbolic link leads to a file that is not the plugin's
    if (!file.isFile()) throw new Error('it is not a regular file; it is removed unread');
    if (file.size > mostBytes) throw new Error(`the file has ${file.size} bytes; it is removed unread`);
    return readFileSync(taken, 'utf8');
  });
  attempt(`rm -rf ${taken}`, () => {
    rmSync(taken, { force: true, recursive: true });
  });
  const lines = text?.split('\n') ?? [];
  return { ended: lines.map(parseDone).filter((one) => typeof one !== 'string'), faults };
}
