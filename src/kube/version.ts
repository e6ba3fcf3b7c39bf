/** The version as a number; an absent version is older than every other. */
const number = (resourceVersion: string | undefined): number => Number(resourceVersion ?? -1);

/**
 * Whether one version is newer. Kubernetes guarantees since 1.35 what always held: the resourceVersions of one
 * resource compare as numbers.
 */
export const isNewer = (resourceVersion: string | undefined, than: string | undefined): boolean =>
  number(resourceVersion) > number(than);
