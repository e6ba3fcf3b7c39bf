/** An absent version is older than every other. */
const number = (resourceVersion: string | undefined): number => Number(resourceVersion ?? -1);

/** Since Kubernetes 1.35 the API promises what always held: resourceVersions of one resource compare as numbers. */
export const isNewer = (resourceVersion: string | undefined, than: string | undefined): boolean =>
  number(resourceVersion) > number(than);
