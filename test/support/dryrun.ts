import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import { ApiError, type Client } from '../../src/kube/client.ts';
import * as resources from '../../src/kube/resources.ts';
import { pathOf, type Resource } from '../../src/kube/resources.ts';

/** An object of ours as a user might write it: right or wrong. */
export interface Manifest {
  kind: string;
  metadata: { name: string };
  spec?: unknown;
}

export const ours: Resource<KubeObject>[] = [
  resources.overlayConfigs,
  resources.overlayNetworks,
  resources.overlayAgents,
  resources.agentAllocations,
  resources.allocationLedgers,
];

export function resourceOf(kind: string): Resource<KubeObject> {
  const resource = ours.find((candidate) => candidate.kind === kind);
  if (resource === undefined) throw new Error(`no kind ${kind}`);
  return resource;
}

/** What the API server would store, every admission passed; nothing is stored. An object that exists is replaced. */
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

/** The API server's words where it refuses the object, undefined where it takes it. */
export async function refusal(client: Client, object: Manifest): Promise<string | undefined> {
  try {
    await dryRun(client, object);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return error.message;
    throw error;
  }
}
