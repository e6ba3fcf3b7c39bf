import { readFileSync } from 'node:fs';
import type { Cluster, KubeConfig } from '@kubernetes/client-node';
import { isErrno, messageOf } from '../error.ts';
import type { ExecPlugin } from './kubeconfig.ts';

/** Where plugins read how they are run. */
const variable = 'KUBERNETES_EXEC_INFO';

/** The exec plugin of the current context's user; undefined if the user has none. */
const pluginOf = (config: KubeConfig): ExecPlugin | undefined =>
  (config.getCurrentUser()?.exec as ExecPlugin | null | undefined) ?? undefined;

/** Lets the current user's exec plugin know how it is run, as kubectl does: some refuse to run without. */
export function tellPlugin(config: KubeConfig): void {
  const plugin = pluginOf(config);
  const cluster = config.getCurrentCluster();
  if (plugin === undefined || cluster === null) return;
  const info = {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    // our standard input is not passed on
    spec: { interactive: false, ...(plugin.provideClusterInfo === true && { cluster: described(cluster) }) },
  };
  const others = (plugin.env ?? []).filter(({ name }) => name !== variable);
  plugin.env = [...others, { name: variable, value: JSON.stringify(info) }];
}

const described = ({ server, caData, caFile, skipTLSVerify, tlsServerName }: Cluster) => ({
  server,
  'certificate-authority-data':
    caData ?? (caFile === undefined ? undefined : readFileSync(caFile).toString('base64')),
  'insecure-skip-tls-verify': skipTLSVerify,
  'tls-server-name': tlsServerName,
});

/** Why the current user has no credentials, from what reading them threw. */
export function whyNone(config: KubeConfig, error: unknown): string {
  const name = config.getCurrentUser()?.name ?? '';
  const plugin = pluginOf(config);
  if (plugin === undefined) return `the credentials of user "${name}" cannot be used: ${messageOf(error)}`;
  const words = isErrno(error, 'ENOENT')
    ? 'there is no such program'
    : error instanceof SyntaxError
      ? 'what it printed is no ExecCredential'
      : messageOf(error).trim() || 'it failed without a message';
  const hint = plugin.installHint?.trim() ?? '';
  const more = isErrno(error, 'ENOENT') && hint !== '' ? `; ${hint}` : '';
  return `the exec plugin ${plugin.command ?? ''} of user "${name}" failed: ${words}${more}`;
}
