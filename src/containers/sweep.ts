import { CommandError, whyFailed, type Run } from '../linux/run.ts';
import type { Directories } from '../host/directories.ts';
import type { Log } from '../log.ts';
import { isErrno, messageOf, WorkError } from '../error.ts';

interface SweepOptions {
  /** Path of the CNI plugin's file. */
  plugin: string;
  directories: Pick<Directories, 'stateDir' | 'leaseDir'>;
  run: Run;
  log: Log;
}

const commandLine = ({
  plugin,
  directories: { stateDir, leaseDir },
}: SweepOptions): [string, ...string[]] => [
  plugin,
  ...['sweep', '--state-dir', stateDir, '--lease-dir', leaseDir],
];

/**
 * Runs the plugin's sweep, which frees what containers left that no longer exist; after a reboot that is everything.
 * @returns the plugin's reason if it failed
 */
export async function sweep(options: SweepOptions): Promise<string | undefined> {
  const { directories, run, log } = options;
  const [plugin, ...args] = commandLine(options);
  try {
    const { code, stdout, stderr } = await run(plugin, args);
    if (code !== 0) return `${plugin} sweep: ${whyFailed({ stderr: stderr.trim() || stdout, code })}`;
    const { freed = [], kept } = JSON.parse(stdout) as { freed?: unknown[]; kept?: number };
    if (stderr.trim() !== '') {
      const command = [plugin, ...args].join(' ');
      log.warn('swept, with problems', { object: directories.stateDir, command, output: stderr.trim() });
    }
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

/** The one sweep that an agent runs as soon as containers can come. */
export class FirstSweep {
  /** Why the last attempt failed. */
  problem: string | undefined;
  #state: 'not yet' | 'asked for' | 'done' = 'not yet';
  readonly #options: SweepOptions;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** Claims the sweep: true the first time only. */
  claim(): boolean {
    if (this.#state !== 'not yet') return false;
    this.#state = 'asked for';
    return true;
  }

  /**
   * Sweeps.
   * @throws Error with the reason, so that a queue tries again
   */
  async run(): Promise<void> {
    if (this.#state === 'done') return;
    this.problem = await sweep(this.#options);
    if (this.problem !== undefined) throw new WorkError(commandLine(this.#options).join(' '), this.problem);
    this.#state = 'done';
  }
}
