import { CommandError, type Run } from '../linux/run.ts';
import { isErrno, reasonOf } from '../host/file.ts';
import type { Directories } from '../host/directories.ts';
import type { Log } from '../log.ts';

export interface SweepOptions {
  /** File of the CNI plugin. */
  plugin: string;
  directories: Pick<Directories, 'stateDir' | 'leaseDir'>;
  run: Run;
  log: Log;
}

/**
 * Has the plugin free what containers left that are gone: after a reboot, all of them.
 * @returns why it could not, in the plugin's words
 */
export async function sweep({ plugin, directories, run, log }: SweepOptions): Promise<string | undefined> {
  const { stateDir, leaseDir } = directories;
  const args = ['sweep', '--state-dir', stateDir, '--lease-dir', leaseDir];
  try {
    const { code, stdout, stderr } = await run(plugin, args);
    if (code !== 0) return `${plugin} sweep: ${stderr.trim() || stdout.trim() || `exit status ${code}`}`;
    const { freed = [], kept } = JSON.parse(stdout) as { freed?: unknown[]; kept?: number };
    if (stderr.trim() !== '') log.warn('swept, with problems', { said: stderr.trim() });
    log.info('swept', { freed: freed.length, kept, ...(freed.length === 0 ? {} : { what: freed }) });
    return undefined;
  } catch (error) {
    if (error instanceof CommandError && isErrno(error.cause, 'ENOENT')) {
      log.info('nothing to sweep with', { file: plugin });
      return undefined;
    }
    return `${plugin} sweep: ${reasonOf(error)}`;
  }
}
