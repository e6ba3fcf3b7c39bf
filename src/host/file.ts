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

/** The error's own words; a file operation's name the file: `ENOSPC: no space left on device, write`. */
export function reasonOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : String(error);
}

export const isErrno = (error: unknown, code: string): boolean =>
  (error as { code?: unknown } | null)?.code === code;

/** The file's text, undefined where there is none. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** What `writeAtomically` writes first; one that was killed leaves it there. */
export const temporaryOf = (path: string, dir = dirname(path)): string => join(dir, `.${basename(path)}.tmp`);

/**
 * Replaces the file whole or not at all, and durably: a temporary file, fsync, rename, fsync of the directory.
 * @param scratch directory of the temporary file, for targets in a directory that others watch: on the same mount as
 *   the target. Where it is on another, or cannot be written, the temporary file is a dot file beside the target. In
 *   either case a dot file there takes the target's name at the end: containerd passes over a file that comes in from
 *   elsewhere, and loads what is there when one is renamed.
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
      // EXDEV: directories mounted each by itself; and whatever it is, beside the target it can still succeed, and if
      // not, that error is the one to tell
    }
  }
  writeThrough([beside, path], body, mode);
}

/** Writes the first of the paths, and gives it the names of the others in turn. */
function writeThrough(
  [temporary, ...names]: [string, ...string[]],
  body: string | Uint8Array,
  mode: number,
): void {
  let at = temporary;
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      fchmodSync(file, mode); // whatever the umask
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

/** A nearly full disk takes part of a write without an error. */
function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}
