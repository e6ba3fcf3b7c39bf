import { join } from 'node:path';
import { installSystem } from '../linux/system.ts';
import { run as runProgram, type Run } from '../linux/run.ts';
import { createLog, type Log } from '../log.ts';
import type { HostFlags } from './directories.ts';
import { installDropIns } from './dropins.ts';
import { installPlugins } from './plugins.ts';
import { messageOf } from '../error.ts';

/** The flags of `agent install` as the user gave them. */
interface InstallFlags extends HostFlags {
  /** The image's own plugins. */
  plugins: string;
}

/**
 * Runs `agent install`: kernel modules, sysctls, drop-ins for systemd-networkd and NetworkManager, CNI plugins. A
 * failure does not stop the rest. Conflists are not installed here, because a node gets them once its data path is
 * complete.
 * @param parts for tests, which must not change this machine
 * @throws Error with everything important that failed
 */
export async function install(
  { hostRoot, cniBinDir, plugins }: InstallFlags,
  parts: { log?: Log; run?: Run; sysctls?: string } = {},
): Promise<void> {
  const { log = createLog({ level: 'info', component: 'agent-install' }), run = runProgram, sysctls } = parts;
  const problems: string[] = [];
  await installSystem(log, run, sysctls).catch((error: unknown) => problems.push(messageOf(error)));
  installDropIns(hostRoot, log);
  try {
    installPlugins({ from: plugins, to: join(hostRoot, cniBinDir), shown: cniBinDir, log });
  } catch (error) {
    problems.push(messageOf(error));
  }
  if (problems.length > 0) throw new Error(`install: ${problems.join('; ')}`);
}
