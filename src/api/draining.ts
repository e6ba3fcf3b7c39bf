import type { NetworkSubnet } from './types.ts';

/** The entry goes out of force by itself, once no container uses it. */
export const goesWhenDrained = ({ state, removeWhenDrained }: NetworkSubnet): boolean =>
  state === 'Draining' && removeWhenDrained === true;
