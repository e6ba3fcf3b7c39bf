/** Percent of blocks, or of a node's addresses, from which on a warning is raised where `spec.warnAt` is absent. */
export const defaultWarnAt = 80;
