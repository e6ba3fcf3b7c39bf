import { ApiError, type Client } from '../../src/kube/client.ts';

/** Returns the findings of the API server's pod security check for a pod of that template, one a line. */
export async function violations(client: Client, spec: object, namespace: string): Promise<string[]> {
  const create = client.raw({
    what: 'create pod',
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods`,
    query: { dryRun: 'All' },
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'ovt-pod' },
      spec: { ...spec, priorityClassName: '' },
    },
  });
  const words = await create.then(
    () => '',
    (error: unknown) => {
      if (error instanceof ApiError && error.status === 403) return error.message;
      throw error;
    },
  );
  if (words === '') return [];
  const [, list] = words.split(/violates PodSecurity "[^"]*": /);
  if (list === undefined) throw new Error(words);
  return list
    .split(/\), /)
    .map((violation) => violation.replace(/ \(.*/, ''))
    .sort();
}
