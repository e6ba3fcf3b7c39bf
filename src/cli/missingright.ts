/** A right that a user lacks, parsed from the API server's message. */
interface Right {
  verb: string;
  /** The resource as kubectl writes it: `nodes`, `pods/log`, `overlaynetworks.overlaynet.dev`. */
  resource: string;
  /** Absent if the right is for the whole cluster. */
  namespace: string | undefined;
}

/** The rights of the ClusterRole overlaynet-command in overlaynet's namespace. */
const ofCommand: ReadonlySet<string> = new Set([
  'list pods',
  'get pods/portforward',
  'create pods/portforward',
  'get configmaps',
  'create serviceaccounts/token',
  'get leases.coordination.k8s.io',
]);
const reads: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

/**
 * Returns how an administrator grants a missing right.
 * @param message the API server's message
 * @param system overlaynet's namespace
 */
export function remedyOf(message: string, system: string): string {
  const right = rightIn(message);
  const bind = (role: string, namespace: string | undefined): string =>
    namespace === undefined
      ? `kubectl create clusterrolebinding NAME --clusterrole=${role} --user=YOU`
      : `kubectl create rolebinding -n ${namespace} NAME --clusterrole=${role} --user=YOU`;
  const given = (how: string) => `an administrator gives it: ${how}`;
  if (right === undefined)
    return `${given(bind('overlaynet-command', system))}; or give --server and --token`;
  const { verb, resource, namespace } = right;
  if (resource === 'serviceaccounts/token' && message.includes('"overlaynet-prober"'))
    return given(bind('overlaynet-prober-token', system));
  if (namespace === system && ofCommand.has(`${verb} ${resource}`))
    return `${given(bind('overlaynet-command', system))}; or give --server and --token`;
  if (namespace === undefined && resource.endsWith('.overlaynet.dev') && reads.has(verb))
    return given(bind('overlaynet-view', undefined));
  const role = `kubectl create clusterrole NAME --verb=${verb} --resource=${resource}`;
  return given(`${role}, and ${bind('NAME', namespace)}`);
}

function rightIn(message: string): Right | undefined {
  const [, verb, resource, group = '', namespace] =
    /cannot (\w+) resource "([^"]+)" in API group "([^"]*)" (?:at the cluster scope|in the namespace "([^"]+)")/.exec(
      message,
    ) ?? [];
  if (verb === undefined || resource === undefined) return undefined;
  const [plural = '', ...sub] = resource.split('/');
  return { verb, resource: [group === '' ? plural : `${plural}.${group}`, ...sub].join('/'), namespace };
}
