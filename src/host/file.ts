import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isErrno } from '../error.ts';

/** The file's text; undefined if it does not exist. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Name of the temporary file of `writeAtomically`; a killed process leaves it behind. */
export const temporaryOf = (path: string, dir = dirname(path)): string => join(dir, `.${basename(path)}.tmp`);

/**
 * Replaces the file atomically and durably: temporary file, fsync, rename, fsync of the directory.
 * @param scratch directory of the temporary file, for targets in a watched directory; it must be on the same mount as
 * the target. Otherwise, or if it cannot be written, the temporary file is a dot file beside the target. In both
 * cases a dot file there is finally renamed to the target: containerd ignores a file that comes from another
 * directory, and loads one that is renamed in place.
 * @throws errors of the file system, with their code
 */
export function writeAtomically(
  path: string,
  body: string | Uint8Array,
  mode: number,
  scratch = dirname(path),
): void {
  mkdirSync(dirname(path), { recursive: true });
  const beside = temporaryOf(path);
  if (scratch !== dirname(path)) {
    try {
      mkdirSync(scratch, { recursive: true });
      writeThrough([temporaryOf(path, scratch), beside, path], body, mode);
      return;
    } catch {
      // EXDEV means that the directories are separate mounts. After any error, writing beside the target may still
      // succeed; if not, that second error is reported
    }
  }
  writeThrough([beside, path], body, mode);
}

/** Writes the first of the paths, and renames the file to the others in turn. */
function writeThrough(
  [temporary, ...names]: [string, ...string[]],
  body: string | Uint8Array,
  mode: number,
): void {
  let at = temporary;
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      fchmodSync(file, mode); // regardless of the umask
      writeWhole(file, typeof body === 'string' ? Buffer.from(body) : body);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    for (const name of names) {
      renameSync(at, name);
      at = name;
    }
  } catch (error) {
    rmSync(at, { force: true });
    throw error;
  }
  const directory = openSync(dirname(at), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Writes everything: on a nearly full disk a write may store a part without an error. */
function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}
