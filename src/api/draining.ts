import type { NetworkSubnet } from './types.ts';

/** Whether the entry is removed by itself once no container uses it. */
export const goesWhenDrained = ({ state, removeWhenDrained }: NetworkSubnet): boolean =>
  state === 'Draining' && removeWhenDrained === true;
