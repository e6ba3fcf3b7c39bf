import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { load } from 'js-yaml';
import { isErrno, messageOf } from '../error.ts';

/** kubectl's default file, if it exists. */
export const usersKubeconfig = (): string | undefined => {
  const file = path.join(homedir(), '.kube', 'config');
  return existsSync(file) ? file : undefined;
};

/** The files that a value of KUBECONFIG names. */
export const filesIn = (value: string | undefined): string[] =>
  (value ?? '').split(path.delimiter).filter((name) => name !== '');

/**
 * Merges the clusters, users and contexts of the files as kubectl does: of two with one name the first counts, and the first
 * current context counts. Files that do not exist are skipped.
 * @throws Error if none exists, or one cannot be read
 */
export function loadFiles(files: readonly string[]): KubeConfig {
  const found = files.filter((file) => existsSync(file));
  if (found.length === 0) throw new Error(`kubeconfig ${files.join(path.delimiter)}: there is no such file`);
  const [config, ...others] = found.map(loadFile) as [KubeConfig, ...KubeConfig[]];
  for (const other of others) {
    config.clusters = merged(config.clusters, other.clusters);
    config.users = merged(config.users, other.users);
    config.contexts = merged(config.contexts, other.contexts);
    if (!config.currentContext) config.currentContext = other.currentContext;
  }
  return config;
}

const merged = <T extends { name: string }>(first: T[], more: T[]): T[] => [
  ...first,
  ...more.filter(({ name }) => !first.some((known) => known.name === name)),
];

interface Content {
  users?: { name: string; user?: { tokenFile?: string } }[];
}

/** An exec plugin in a kubeconfig. */
export interface ExecPlugin {
  apiVersion?: string;
  command?: string;
  env?: { name: string; value: string }[] | null;
  installHint?: string;
  provideClusterInfo?: boolean;
}

function loadFile(file: string): KubeConfig {
  const content = contentOf(file);
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    throw new Error(`kubeconfig ${file}: ${messageOf(error)}`, { cause: error });
  }
  useTokenFiles(config, content, path.dirname(file));
  for (const { exec } of config.users as { exec?: ExecPlugin | null }[])
    // a path is relative to the file, and a bare name is on the PATH
    if (exec?.command?.includes('/') === true) exec.command = path.resolve(path.dirname(file), exec.command);
  return config;
}

function contentOf(file: string): Content {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const directory = isErrno(error, 'EISDIR');
    throw new Error(`kubeconfig ${file}: ${directory ? 'it is a directory' : messageOf(error)}`, {
      cause: error,
    });
  }
  let content: unknown;
  try {
    content = text.trim() === '' ? null : load(text);
  } catch (error) {
    // the other lines show the place in the file
    throw new Error(`kubeconfig ${file} is not valid YAML: ${messageOf(error).split('\n', 1)[0]}`, {
      cause: error,
    });
  }
  if (content === null) throw new Error(`kubeconfig ${file} is empty`);
  if (typeof content !== 'object' || Array.isArray(content))
    throw new Error(`kubeconfig ${file} is no kubeconfig: it has no clusters, users and contexts`);
  return content;
}

/** Makes `tokenFile` look like the in-cluster one, the only token file that client-node reads again. */
function useTokenFiles(config: KubeConfig, { users }: Content, dir: string): void {
  for (const { name, user } of Array.isArray(users) ? users : []) {
    if (user?.tokenFile === undefined) continue;
    const tokenFile = path.resolve(dir, user.tokenFile);
    config.users = config.users.map((known) =>
      known.name === name ? { name, authProvider: { name: 'tokenFile', config: { tokenFile } } } : known,
    );
  }
}
