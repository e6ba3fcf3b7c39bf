import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { command } from '../parts/command.ts';
import type { Parts } from '../parts.ts';
import { apiAddress, installation, kubeconfig, root, type Lab } from './lab.ts';
import { until } from './processes.ts';
import { writeKubeconfig } from './controlplane.ts';

/** Runs kubectl as the administrator, without a cache in the user's home directory. */
export function kubectl(lab: Lab, parts: Parts, args: string[], input?: string): Promise<string> {
  const own = [`--kubeconfig=${kubeconfig(lab)}`, `--cache-dir=${join(lab.dir, 'kubectl')}`];
  return command(parts.kubectl, [...own, ...args], input === undefined ? {} : { input });
}

/** Applies the objects of deploy/ except the workloads: a lab has no kubelet and starts the programs itself. */
export async function applyDeployment(lab: Lab, parts: Parts, client: Client): Promise<void> {
  const all = await command(parts.kubectl, ['kustomize', join(root, 'deploy')]);
  const kept = parseAllDocuments(all).filter((one) => {
    const kind = (one.toJS() as KubeObject).kind ?? '';
    return !['Deployment', 'DaemonSet'].includes(kind);
  });
  const apply = ['apply', '--server-side', '--validate=ignore', '-f', '-'];
  await kubectl(lab, parts, apply, kept.map(String).join('\n---\n'));
  await until(
    'the CRDs are served',
    () =>
      client
        .raw({
          what: 'read the CRDs',
          method: 'GET',
          path: '/apis/overlaynet.dev/v1alpha1/overlaynetworks',
        })
        .catch(() => undefined),
    { lab, roles: ['api'] },
  );
}

/**
 * Writes the kubeconfig of one operator or agent with its ServiceAccount's token; an agent's is bound to its Node.
 * These users have exactly the rights that deploy/ grants.
 */
export async function writeAccess(
  lab: Lab,
  client: Client,
  name: string,
  serviceAccount: string,
  node?: { name: string; uid: string },
): Promise<void> {
  const token = await tokenFor(
    client,
    serviceAccount,
    node && { boundObjectRef: { apiVersion: 'v1', kind: 'Node', ...node } },
  );
  writeKubeconfig(lab, kubeconfig(lab, name), `https://${apiAddress}:6443`, token);
}

/**
 * Returns a ServiceAccount's token that is valid for a year.
 * @param spec further fields of the TokenRequest
 */
export async function tokenFor(client: Client, serviceAccount: string, spec?: object): Promise<string> {
  const answer = await client.raw({
    what: `request a token for ${serviceAccount}`,
    method: 'POST',
    path: `/api/v1/namespaces/${installation}/serviceaccounts/${serviceAccount}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 8760 * 3600, ...spec },
    },
  });
  return (JSON.parse(answer) as { status: { token: string } }).status.token;
}
