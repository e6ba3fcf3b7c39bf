import {
  closeSync,
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

/**
 * Replaces the file whole or not at all, and durably: a temporary file, fsync, rename, fsync of the directory.
 * @param scratch directory of the temporary file, for targets in a directory that others watch; where it is missing,
 *   full or on another filesystem the temporary file is a dot file beside the target. By default beside the target.
 * @throws errors of the file system, with their code
 */
export function writeAtomically(path: string, body: string, mode: number, scratch = dirname(path)): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `.${basename(path)}.tmp`;
  if (scratch !== dirname(path)) {
    try {
      writeThrough(join(scratch, temporary), path, body, mode);
      return;
    } catch {
      // beside the target it can still succeed, and if not, that error is the one to tell
    }
  }
  writeThrough(join(dirname(path), temporary), path, body, mode);
}

function writeThrough(temporary: string, path: string, body: string, mode: number): void {
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      writeWhole(file, Buffer.from(body));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** A nearly full disk takes part of a write without an error. */
function writeWhole(file: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}
