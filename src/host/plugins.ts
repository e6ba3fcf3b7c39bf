import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Log } from '../log.ts';
import { readIfPresent, temporaryOf, writeAtomically } from './file.ts';
import type { Failure } from '../dataplane/state.ts';
import type { Removal } from './removal.ts';
import { isErrno, messageOf } from '../error.ts';

/**
 * Our plugin, and the standard plugins chained with it under names of ours. These always come from the image, because
 * the host's may not support the protocol version of our conflists. The others are standard plugins that the host may
 * have itself.
 */
const isOwn = (name: string): boolean => /^overlaynet(-|$)/.test(name);

/**
 * File in the plugins' directory with the sha256 of each that we installed. Runtimes look for plugins by name and never list
 * the directory.
 */
const recordName = '.overlaynet.json';

type Sums = Record<string, string[]>;

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Hash of a file; undefined if it does not exist. */
function digestOf(path: string): string | undefined {
  try {
    return digest(readFileSync(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Reads that file. An unreadable one counts as absent, so existing plugins count as the host's own. */
function recorded(dir: string): Sums {
  try {
    return JSON.parse(readIfPresent(join(dir, recordName)) ?? '{}') as Sums;
  } catch {
    return {};
  }
}

/**
 * Copies the image's plugins to the host, each atomically, while other processes may run them. A standard plugin is
 * copied only where it does not exist, or where it is the unchanged copy that we installed.
 * @param options.from the image's directory
 * @param options.to the host's directory, as this process sees it
 * @param options.shown the host's directory, as its user knows it
 * @throws Error that names the directory, the plugins it lacks, and what to do
 */
export function installPlugins(options: { from: string; to: string; shown: string; log: Log }): void {
  const { from, to, shown, log } = options;
  if (resolve(from) === resolve(to)) {
    log.info('plugins are where they come from: nothing is copied', { directory: shown });
    return;
  }
  // ours last: when a runtime finds it, the plugins that it is chained with exist already
  const names = readdirSync(from)
    .filter((name) => !name.startsWith('.'))
    .sort((a, b) => Number(a === 'overlaynet') - Number(b === 'overlaynet'));
  const record = recorded(to);
  const lacking: string[] = [];
  let reason = '';
  for (const name of names) {
    const bytes = readFileSync(join(from, name));
    const wanted = digest(bytes);
    const present = digestOf(join(to, name));
    if (present === wanted) continue;
    const ours = record[name] ?? [];
    if (!isOwn(name) && present !== undefined && !ours.includes(present)) {
      log.info("the host's own plugin stays", { plugin: `${shown}/${name}` });
      continue;
    }
    try {
      // the record first: whenever this ends, the installed files are known as ours
      record[name] = [...ours.slice(-1), wanted];
      writeAtomically(join(to, recordName), `${JSON.stringify(record)}\n`, 0o644);
      writeAtomically(join(to, name), bytes, 0o755);
      log.info('plugin copied', { plugin: `${shown}/${name}`, sha256: wanted });
    } catch (error) {
      lacking.push(present === undefined ? name : `${name} (another version is there)`);
      reason = isErrno(error, 'EROFS') ? 'is read-only' : `cannot be written: ${messageOf(error)}`;
    }
  }
  if (lacking.length === 0) return;
  throw new Error(
    `${shown} on the host ${reason}, and lacks ${lacking.join(', ')}: put the image's plugins there by what makes ` +
      'that directory, or let the container runtime (bin_dir) and the DaemonSet (volume cni-bin) use one that can be ' +
      'written',
  );
}

/** Removes the record and the unchanged plugins that we installed. */
export function removePlugins(dir: string, removal: Removal): Failure[] {
  const record = recorded(dir);
  const failures: Failure[] = [];
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (error) {
      failures.push({ message: messageOf(error) });
    }
  };
  for (const [name, ours] of Object.entries(record)) {
    attempt(() => {
      removal.remove(temporaryOf(join(dir, name)));
      const present = digestOf(join(dir, name));
      if (present !== undefined && ours.includes(present)) removal.remove(join(dir, name));
    });
  }
  attempt(() => {
    removal.remove(temporaryOf(join(dir, recordName)));
    if (failures.length === 0 && readIfPresent(join(dir, recordName)) !== undefined)
      removal.remove(join(dir, recordName));
  });
  return failures;
}
