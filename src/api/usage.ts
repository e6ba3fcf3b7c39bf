import type { AddressUsage } from './types.ts';

/** Percent of blocks, or of a node's addresses, from which on a warning is raised where `spec.warnAt` is absent. */
export const defaultWarnAt = 80;

/** How full each network is on a node, by its name. */
export type NodeUsage = ReadonlyMap<string, readonly AddressUsage[]>;
