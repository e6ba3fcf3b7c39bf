import { ApiError, type Client } from '../../src/kube/client.ts';

/** A resource as discovery names it, including subresources (`pods/log`). */
interface Served {
  /** `/api/v1`, `/apis/apps/v1` */
  base: string;
  /** `pods`, `deployments.apps`, `pods/log` */
  name: string;
  plural: string;
  subresource?: string;
  namespaced: boolean;
}

interface ResourceList {
  resources: { name: string; namespaced: boolean }[];
}

/** Returns all resources that the API server serves, each in one version, because rights do not depend on versions. */
export async function discover(client: Client): Promise<Served[]> {
  const get = async <T>(path: string) =>
    JSON.parse(await client.raw({ what: path, method: 'GET', path })) as T;
  const { groups } = await get<{ groups: { name: string; versions: { version: string }[] }[] }>('/apis');
  const bases = groups.flatMap(({ name, versions }) =>
    versions.map(({ version }) => ({ base: `/apis/${name}/${version}`, group: `.${name}` })),
  );
  const lists = await Promise.all(
    [{ base: '/api/v1', group: '' }, ...bases].map(async ({ base, group }) => {
      const { resources } = await get<ResourceList>(base);
      return resources.map(({ name, namespaced }): Served => {
        const [plural = '', ...rest] = name.split('/');
        const sub = rest.length === 0 ? {} : { subresource: rest.join('/') };
        return { base, name: [`${plural}${group}`, ...rest].join('/'), plural, namespaced, ...sub };
      });
    }),
  );
  return [...new Map(lists.flat().map((resource) => [resource.name, resource])).values()];
}

const methods = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
} as const;

type Verb = keyof typeof methods;
const verbs = Object.keys(methods) as Verb[];
const ofCollection = new Set<Verb>(['list', 'watch', 'create', 'deletecollection']);

interface Attempt {
  /** `create pods/eviction in default` */
  what: string;
  verb: Verb;
  path: string;
}

/**
 * Returns an attempt for every verb on the resource. A subresource needs an object; for other resources the object
 * `name` and the collection are tried.
 */
function attemptsOn(resource: Served, namespace: string | undefined, name: string): Attempt[] {
  const { base, plural, subresource } = resource;
  const collection = [base, ...(namespace === undefined ? [] : ['namespaces', namespace]), plural].join('/');
  return verbs
    .filter((verb) => subresource === undefined || verb === 'create' || !ofCollection.has(verb))
    .map((verb) => ({
      what: `${verb} ${resource.name}${namespace === undefined ? '' : ` in ${namespace}`}`,
      verb,
      path:
        subresource === undefined
          ? ofCollection.has(verb)
            ? collection
            : `${collection}/${name}`
          : `${collection}/${name}/${subresource}`,
    }));
}

/** Returns whether the request passes authorization. It has no effect then (dry run, or no such object). */
async function passes(client: Client, { what, verb, path }: Attempt): Promise<boolean> {
  const method = methods[verb];
  const query =
    method === 'GET' ? { watch: verb === 'watch' ? 1 : undefined, timeoutSeconds: 1 } : { dryRun: 'All' };
  const body = method === 'GET' ? {} : { body: {}, contentType: patchType(method) };
  try {
    await client.raw({ what, method, path, query, ...body });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) throw error;
    return error.reason !== 'Forbidden';
  }
}

const patchType = (method: string) =>
  method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';

/**
 * Returns the requests that pass authorization, sorted: every verb on every resource, cluster-wide and in these
 * namespaces. Objects have the given name, so that rights to that object alone are found, too.
 */
export async function rightsOf(
  client: Client,
  served: Served[],
  namespaces: string[],
  name = 'ovt-none',
): Promise<string[]> {
  const attempts = served.flatMap((resource) => [
    ...attemptsOn(resource, undefined, name).filter(
      // only lists and watches of a namespaced resource can include all namespaces
      ({ verb }) => !resource.namespaced || verb === 'list' || verb === 'watch',
    ),
    ...(resource.namespaced ? namespaces.flatMap((namespace) => attemptsOn(resource, namespace, name)) : []),
  ]);
  const passed = new Set<string>();
  for (let at = 0; at < attempts.length; at += 50) {
    await Promise.all(
      attempts.slice(at, at + 50).map(async (attempt) => {
        if (await passes(client, attempt)) passed.add(attempt.what);
      }),
    );
  }
  return [...passed].sort();
}

/**
 * Returns the answer of a SelfSubjectAccessReview, for verbs that no request can test, and for paths that the API
 * server does not serve.
 */
export async function mayDo(client: Client, attributes: object): Promise<boolean> {
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: 'path' in attributes ? { nonResourceAttributes: attributes } : { resourceAttributes: attributes },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const answer = await client.raw({ what: 'review', method: 'POST', path, body });
  return (JSON.parse(answer) as { status: { allowed: boolean } }).status.allowed;
}
