import { installSystem } from '../linux/system.ts';
import { createLog } from '../log.ts';

/** `agent install`: kernel modules and forwarding. @throws Error with what could not be done and matters */
export const install = (): Promise<void> =>
  installSystem(createLog({ level: 'info', component: 'agent-install' }));
