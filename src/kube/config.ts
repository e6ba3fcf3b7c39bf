import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { CredentialsError } from './error.ts';
import { tellPlugin, whyNone } from './execplugin.ts';
import { filesIn, loadFiles } from './kubeconfig.ts';

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

/**
 * Loads `file`; when absent the files in KUBECONFIG, else the pod's service account.
 * @param context of the file, in place of its current one
 * @throws Error if none of these exists, the file cannot be read, or it names no cluster
 */
export const loadConfig = (file?: string, context?: string): KubeConfig => {
  const files = file === undefined ? filesIn(process.env.KUBECONFIG) : [file];
  const config = files.length > 0 ? loadFiles(files) : fromCluster();
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
  tellPlugin(config);
  return config;
};

function fromCluster(): KubeConfig {
  if (process.env.KUBERNETES_SERVICE_HOST === undefined)
    throw new Error('no API server: give --kubeconfig, set KUBECONFIG, or run inside a cluster');
  const config = new KubeConfig();
  config.loadFromCluster();
  return config;
}

/**
 * Reads certificate and token files, and runs an exec plugin whose credential has expired.
 * @throws CredentialsError
 */
export async function readCredentials(config: KubeConfig): Promise<Credentials> {
  try {
    const credentials = await credentialsOf(config);
    createSecureContext(credentials.tls); // throws where the certificates are none
    return credentials;
  } catch (error) {
    throw new CredentialsError(whyNone(config, error), { cause: error });
  }
}

async function credentialsOf(config: KubeConfig): Promise<Credentials> {
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
}
