import { lstatSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { isErrno } from '../error.ts';
import { faultOf, type Log } from '../log.ts';
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
 * out: a plugin that was killed leaves half a line. A file that cannot be read is logged.
 */
export function takeUntold(path: string, log: Log): Done[] {
  const taken = `${path}.taken`;
  try {
    // a plugin that writes at this moment makes a new file
    renameSync(path, taken);
    const { size } = lstatSync(taken);
    if (size > mostBytes) throw new Error(`the file has ${size} bytes`);
    return readFileSync(taken, 'utf8')
      .split('\n')
      .map(parseDone)
      .filter((one) => typeof one !== 'string');
  } catch (error) {
    if (!isErrno(error, 'ENOENT'))
      log.warn('ended commands of the CNI plugin are not counted', faultOf(path, error, `read ${path}`));
    return [];
  } finally {
    rmSync(taken, { force: true, recursive: true });
  }
}
