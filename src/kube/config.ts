import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import type { RequestOptions } from 'node:https';
import path from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { load } from 'js-yaml';

/** What TLS and the Authorization header need at this moment. */
export interface Credentials {
  tls: {
    ca?: Buffer | string;
    cert?: Buffer | string;
    key?: Buffer | string;
    rejectUnauthorized?: boolean;
    servername?: string;
  };
  headers: Record<string, string>;
}

interface KubeconfigFile {
  users?: { name: string; user?: { tokenFile?: string } }[];
}

/**
 * Makes a kubeconfig's `tokenFile` look like the in-cluster one, the only token file that client-node reads again.
 */
const useTokenFiles = (config: KubeConfig, file: string): void => {
  const users = (load(readFileSync(file, 'utf8')) as KubeconfigFile | null)?.users ?? [];
  for (const { name, user } of users) {
    if (user?.tokenFile === undefined) continue;
    const tokenFile = path.resolve(path.dirname(file), user.tokenFile);
    config.users = config.users.map((known) =>
      known.name === name ? { name, authProvider: { name: 'tokenFile', config: { tokenFile } } } : known,
    );
  }
};

/** kubectl's own default, where there is such a file. */
export const usersKubeconfig = (): string | undefined => {
  const file = path.join(homedir(), '.kube', 'config');
  return existsSync(file) ? file : undefined;
};

/**
 * Loads `file`; when absent the files in KUBECONFIG, else the pod's service account.
 * @param context of the file, in place of its current one
 * @throws Error where none of these exists, the file cannot be read, or it names no cluster
 */
export const loadConfig = (file?: string, context?: string): KubeConfig => {
  const config = new KubeConfig();
  const files = (file ?? process.env.KUBECONFIG ?? '').split(path.delimiter).filter((name) => name !== '');
  if (file !== undefined) {
    config.loadFromFile(file);
  } else if (files.length > 0) {
    config.loadFromDefault();
  } else if (process.env.KUBERNETES_SERVICE_HOST !== undefined) {
    config.loadFromCluster();
  } else {
    throw new Error('no API server: give --kubeconfig, set KUBECONFIG, or run inside a cluster');
  }
  for (const name of files) useTokenFiles(config, name);
  if (context !== undefined) {
    const known = config.contexts.map(({ name }) => name);
    if (!known.includes(context))
      throw new Error(`kubeconfig: no context "${context}"; there are ${known.join(', ') || 'none'}`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new Error(`kubeconfig ${files.join(path.delimiter)}: the current context names no cluster`);
  if (cluster.proxyUrl !== undefined) throw new Error(`cluster ${cluster.name}: proxy-url is not supported`);
  return config;
};

/** Reads certificate and token files, and runs an exec plugin whose credential has expired. */
export const readCredentials = async (config: KubeConfig): Promise<Credentials> => {
  const options: RequestOptions & { headers: Record<string, string> } = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  // a token file usually ends with a line break, which is not allowed in a header
  for (const [name, value] of Object.entries(options.headers)) headers[name] = value.trim();
  const user = config.getCurrentUser() as { authProvider?: { config?: { tokenFile?: string } } } | null;
  const tokenFile = user?.authProvider?.config?.tokenFile;
  // client-node caches a token for 60 s, even one that was just refused
  if (tokenFile !== undefined) headers.Authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`;
  if (typeof options.auth === 'string') {
    headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  }
  const tls: Credentials['tls'] = {};
  if (options.ca !== undefined) tls.ca = options.ca as Buffer;
  if (options.cert !== undefined) tls.cert = options.cert as Buffer;
  if (options.key !== undefined) tls.key = options.key as Buffer;
  if (options.rejectUnauthorized !== undefined) tls.rejectUnauthorized = options.rejectUnauthorized;
  if (options.servername !== undefined) tls.servername = options.servername;
  return { tls, headers };
};
