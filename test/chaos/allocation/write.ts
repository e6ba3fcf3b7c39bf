/**
 * Returns what a request writes, such as `update agentallocations` or `update overlaynetworks/status`; undefined if it
 * writes nothing. The ledger's index and its pages have different names.
 */
export function writeOf(method: string, url: string, body: string): string | undefined {
  const verb = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }[method];
  if (verb === undefined) return undefined;
  const path = url.replace(/\?.*/, '');
  const match =
    /\/(?:apis\/[^/]+|api)\/[^/]+\/(?:namespaces\/[^/]+\/)?([^/]+)(?:\/([^/]+)(\/status)?)?$/.exec(path);
  const [, resource = path, name = '', status = ''] = match ?? [];
  if (resource !== 'allocationledgers') return `${verb} ${resource}${status}`;
  const isIndex = name === 'spaces' || (name === '' && body.includes('"name":"spaces"'));
  return `${verb} ${isIndex ? 'spaces' : 'ledger page'}`;
}

/** Returns the resource that a watch follows; undefined for other requests. */
export function watchedBy(url: string): string | undefined {
  return /\/([^/?]+)\?.*\bwatch=true\b/.exec(url)?.[1];
}
