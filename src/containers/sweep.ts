import { CommandError, whyFailed, type Run } from '../linux/run.ts';
import type { Directories } from '../host/directories.ts';
import type { Log } from '../log.ts';
import { isErrno, messageOf } from '../error.ts';

interface SweepOptions {
  /** File of the CNI plugin. */
  plugin: string;
  directories: Pick<Directories, 'stateDir' | 'leaseDir'>;
  run: Run;
  log: Log;
}

/**
 * Runs the plugin's sweep, which frees what gone containers left; after a reboot that is everything.
 * @returns why it failed, in the plugin's words
 */
export async function sweep({ plugin, directories, run, log }: SweepOptions): Promise<string | undefined> {
  const { stateDir, leaseDir } = directories;
  const args = ['sweep', '--state-dir', stateDir, '--lease-dir', leaseDir];
  try {
    const { code, stdout, stderr } = await run(plugin, args);
    if (code !== 0) return `${plugin} sweep: ${whyFailed({ stderr: stderr.trim() || stdout, code })}`;
    const { freed = [], kept } = JSON.parse(stdout) as { freed?: unknown[]; kept?: number };
    if (stderr.trim() !== '') log.warn('swept, with problems', { said: stderr.trim() });
    log.info('swept', { freed: freed.length, kept, ...(freed.length === 0 ? {} : { what: freed }) });
    return undefined;
  } catch (error) {
    if (error instanceof CommandError && isErrno(error.cause, 'ENOENT')) {
      log.info('nothing to sweep with', { file: plugin });
      return undefined;
    }
    return `${plugin} sweep: ${messageOf(error)}`;
  }
}

/** The sweep that an agent asks the plugin for once, as soon as containers can come. */
export class FirstSweep {
  /** Why the last attempt failed. */
  problem: string | undefined;
  #state: 'not yet' | 'asked for' | 'done' = 'not yet';
  readonly #options: SweepOptions;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** True the first time. */
  claim(): boolean {
    if (this.#state !== 'not yet') return false;
    this.#state = 'asked for';
    return true;
  }

  /** @throws Error with what failed, for a queue to try again */
  async run(): Promise<void> {
    if (this.#state === 'done') return;
    this.problem = await sweep(this.#options);
    if (this.problem !== undefined) throw new Error(this.problem);
    this.#state = 'done';
  }
}
