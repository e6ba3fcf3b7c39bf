import { mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findEtcdutl, findParts } from '../parts.ts';
import { go } from './part.ts';
import { pluginDirectory } from './plugins.ts';

/** Sets KUBEBUILDER_ASSETS and CNI_PATH of this process, in which tests and the bench look for the real programs. */
export async function provideParts(): Promise<void> {
  const parts = await findParts();
  // resolved before the directory is made anew: the programs may have been found in it
  const files = Object.entries({
    etcd: parts.etcd,
    etcdutl: await findEtcdutl(),
    'kube-apiserver': parts.kubeApiserver,
    kubectl: parts.kubectl,
  }).map(([name, file]) => [name, realpathSync(file)] as const);
  const assets = join(import.meta.dirname, '..', '..', 'dist', 'assets');
  rmSync(assets, { recursive: true, force: true });
  mkdirSync(assets, { recursive: true });
  for (const [name, file] of files) symlinkSync(file, join(assets, name));
  process.env.KUBEBUILDER_ASSETS = assets;
  process.env.CNI_PATH = await pluginDirectory(parts.cni, go);
}
