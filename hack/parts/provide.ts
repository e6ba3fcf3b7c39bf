import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findParts } from '../parts.ts';

/** Puts the real programs where tests and the bench look for them: KUBEBUILDER_ASSETS and CNI_PATH, of this process. */
export async function provideParts(): Promise<void> {
  const parts = await findParts();
  const assets = join(import.meta.dirname, '..', '..', 'dist', 'assets');
  rmSync(assets, { recursive: true, force: true });
  mkdirSync(assets, { recursive: true });
  for (const file of [parts.etcd, parts.kubeApiserver, parts.kubectl]) {
    symlinkSync(file, join(assets, basename(file)));
  }
  process.env.KUBEBUILDER_ASSETS = assets;
  process.env.CNI_PATH = parts.cni;
}
