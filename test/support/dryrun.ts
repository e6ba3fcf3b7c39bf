import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import { ApiError, type Client } from '../../src/kube/client.ts';
import * as resources from '../../src/kube/resources.ts';
import { pathOf, type Resource } from '../../src/kube/resources.ts';

/** One of our objects as a user might write it, valid or not. */
export interface Manifest {
  kind: string;
  metadata: { name: string };
  spec?: unknown;
}

export const ours = resources.ownKinds;

export function resourceOf(kind: string): Resource<KubeObject> {
  const resource = ours.find((candidate) => candidate.kind === kind);
  if (resource === undefined) throw new Error(`no kind ${kind}`);
  return resource;
}

/**
 * Returns the object that the API server would store after all admission. Stores nothing; an existing object is
 * replaced in the dry run.
 */
export async function dryRun(client: Client, object: Manifest): Promise<KubeObject & { spec: unknown }> {
  const { kind, metadata } = object;
  const resource = resourceOf(kind);
  const resourceVersion = (await client.get(resource, metadata.name))?.metadata.resourceVersion;
  const exists = resourceVersion !== undefined;
  const answer = await client.raw({
    what: `${kind} ${metadata.name}`,
    method: exists ? 'PUT' : 'POST',
    path: exists ? pathOf(resource, metadata.name) : pathOf(resource),
    query: { dryRun: 'All' },
    body: { apiVersion, ...object, metadata: { ...metadata, resourceVersion } },
  });
  return JSON.parse(answer) as KubeObject & { spec: unknown };
}

/** Returns the API server's message if it refuses the object, else undefined. */
export async function refusal(client: Client, object: Manifest): Promise<string | undefined> {
  try {
    await dryRun(client, object);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return error.message;
    throw error;
  }
}
