import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../../hack/testbed/lab.ts';

/** The lab that all files of the suite share. */
export const labName = 'ovt-lab';

/** Jest's globalSetup of the lab suite: starts one lab for all its files. */
export default (): void => {
  const args = [join(root, 'hack', 'up.ts'), '--detach', '--name', labName];
  const { status } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (status !== 0) throw new Error(`the lab did not come up: exit status ${String(status)}`);
};
