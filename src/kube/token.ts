import type { Client } from './client.ts';

/** Requests a token of a ServiceAccount for ten minutes, the shortest time that API servers accept. @throws ApiError, Error */
export async function requestToken(client: Client, namespace: string, account: string): Promise<string> {
  const answer = await client.raw({
    what: `create serviceaccounts/token of ${namespace}/${account}`,
    method: 'POST',
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(account)}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 600 },
    },
  });
  return (JSON.parse(answer) as { status: { token: string } }).status.token;
}
