import { readFileSync } from 'node:fs';
import { loadAll } from 'js-yaml';
import { apiVersion, type OverlayConfig } from '../api/types.ts';
import { overlayConfigs } from '../kube/resources.ts';

/**
 * The spec of the OverlayConfig in a file, with which the first one is created. What the values must be the API server
 * says when it is created.
 * @throws Error for a file that is not there, or holds anything else
 */
export function readFirstConfig(file: string): Partial<OverlayConfig['spec']> {
  const documents = loadAll(readFileSync(file, 'utf8')) as (Partial<OverlayConfig> | null)[];
  // one and no other
  const object = documents.length === 1 ? documents[0] : undefined;
  const name = object?.metadata?.name;
  if (object?.apiVersion !== apiVersion || object.kind !== overlayConfigs.kind || name !== 'default') {
    throw new Error(`--first-config: ${file} is not the ${overlayConfigs.kind} "default" of ${apiVersion}`);
  }
  return object.spec ?? {};
}
