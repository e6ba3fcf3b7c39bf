/**
 * What a request writes, in words such as `update agentallocations` or `update overlaynetworks/status`; undefined for one
 * that writes nothing. The ledger's index and its pages are told apart.
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

/** The resource that a watch follows; undefined for any other request. */
export function watchedBy(url: string): string | undefined {
  return /\/([^/?]+)\?.*\bwatch=true\b/.exec(url)?.[1];
}
