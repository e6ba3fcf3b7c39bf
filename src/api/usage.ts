import type { AddressUsage } from './types.ts';

/** Default of `spec.warnAt`: percentage of blocks, or of a node's addresses in use, at which a warning begins. */
export const defaultWarnAt = 80;

/** How full each network is on a node, by its name. */
export type NodeUsage = ReadonlyMap<string, readonly AddressUsage[]>;
