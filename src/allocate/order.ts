/**
 * Sorts nodes in the order in which they get blocks: the older first, then by name. Times are RFC 3339 in UTC, so they
 * sort as text.
 */
export function byAge(
  a: { creationTimestamp?: string; name: string },
  b: { creationTimestamp?: string; name: string },
): number {
  const [x, y] = [a.creationTimestamp ?? '', b.creationTimestamp ?? ''];
  if (x !== y) return x < y ? -1 : 1;
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1;
}
