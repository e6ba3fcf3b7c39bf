import { join } from 'node:path';
import { installSystem } from '../linux/system.ts';
import { run as runProgram, type Run } from '../linux/run.ts';
import { createLog, type Log } from '../log.ts';
import { reasonOf } from './file.ts';
import type { HostFlags } from './directories.ts';
import { installDropIns } from './dropins.ts';
import { installPlugins } from './plugins.ts';

/** `agent install` as the user gave it. */
interface InstallFlags extends HostFlags {
  /** The image's own plugins. */
  plugins: string;
}

/**
 * `agent install`: kernel modules, sysctls, drop-ins for systemd-networkd and NetworkManager, CNI plugins. What fails does not keep the rest
 * from being done. The conflists are not among it: a node gets them once its data path is complete.
 * @param parts for tests, which never touch this machine's own
 * @throws Error with all that could not be done and matters
 */
export async function install(
  { hostRoot, cniBinDir, plugins }: InstallFlags,
  parts: { log?: Log; run?: Run; sysctls?: string } = {},
): Promise<void> {
  const { log = createLog({ level: 'info', component: 'agent-install' }), run = runProgram, sysctls } = parts;
  const problems: string[] = [];
  await installSystem(log, run, sysctls).catch((error: unknown) => problems.push(reasonOf(error)));
  installDropIns(hostRoot, log);
  try {
    installPlugins({ from: plugins, to: join(hostRoot, cniBinDir), shown: cniBinDir, log });
  } catch (error) {
    problems.push(reasonOf(error));
  }
  if (problems.length > 0) throw new Error(`install: ${problems.join('; ')}`);
}
