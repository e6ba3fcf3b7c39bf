import { existsSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Failure } from '../dataplane/state.ts';
import { isErrno, messageOf } from '../error.ts';

/** Removes files and directories and remembers their paths, or only finds those that it would remove. */
export class Removal {
  /** Paths and other things, in words, in the order in which they go. */
  readonly removed: string[] = [];
  /** Changes nothing; `removed` lists what would be removed. */
  readonly dry: boolean;

  constructor(options: { dry?: boolean } = {}) {
    this.dry = options.dry ?? false;
  }

  /** Removes a file, or a directory with all that is in it. One that is not there is no error. */
  remove(path: string): void {
    if (!existsSync(path)) return;
    if (!this.dry) rmSync(path, { recursive: true });
    this.removed.push(path);
  }

  /** Removes a directory that is empty, or will be. A mount stays, and so does one that holds other files. */
  removeEmpty(dir: string): Failure[] {
    try {
      if (this.dry) {
        const removed = new Set(this.removed);
        const others = readdirSync(dir).some((name) => !removed.has(join(dir, name)));
        if (others || isMount(dir)) return [];
      } else rmdirSync(dir);
      this.removed.push(dir);
    } catch (error) {
      if (['ENOENT', 'ENOTEMPTY', 'EBUSY'].some((code) => isErrno(error, code))) return [];
      return [{ message: messageOf(error) }];
    }
    return [];
  }
}

const isMount = (dir: string): boolean => statSync(dir).dev !== statSync(dirname(dir)).dev;
