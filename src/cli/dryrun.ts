import type { KubeObject } from '../api/types.ts';
import { ApiError, type Client } from '../kube/client.ts';
import { pathOf } from '../kube/resources.ts';
import { isMap } from './difference.ts';
import { apiFailure, CommandFailure } from './failure.ts';
import type { Manifest } from './manifest.ts';

/** The object that the API server would store, or the reason why it would refuse. */
export type DryRun = { before: KubeObject | undefined } & ({ after: KubeObject } | { refusal: string });

/**
 * The roles in deploy/system/user-rights.yaml that may write a kind, by its plural. Only `overlaynet-admin` may write the
 * others.
 */
const roles: Record<string, string> = { overlaynetworks: 'overlaynet-edit' };

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Sends an object as a dry run: the API server applies defaults, schema, rules and admission, but stores nothing.
 * @param serverSide as `kubectl apply --server-side` does; else as `kubectl apply` does
 * @throws CommandFailure
 */
export async function dryRun(
  client: Client,
  manifest: Manifest,
  serverSide: boolean,
  namespace: string,
): Promise<DryRun> {
  const { resource, object, about } = manifest;
  const { name } = object.metadata;
  let before: KubeObject | undefined;
  try {
    before = await client.get(resource, name);
    const query = { dryRun: 'All', fieldValidation: 'Strict' };
    const request = serverSide
      ? {
          method: 'PATCH' as const,
          path: pathOf(resource, name),
          query: { ...query, fieldManager: 'kubectl' },
          contentType: 'application/apply-patch+yaml',
          body: object,
        }
      : before === undefined
        ? { method: 'POST' as const, path: pathOf(resource), query, body: object }
        : {
            method: 'PATCH' as const,
            path: pathOf(resource, name),
            query,
            contentType: 'application/merge-patch+json',
            body: mergePatch(appliedLast(before), object),
          };
    const answer = await client.raw({ what: `dry run of ${about}`, ...request });
    return { before, after: JSON.parse(answer) as KubeObject };
  } catch (error) {
    if (error instanceof ApiError && [400, 409, 422].includes(error.status))
      return { before, refusal: error.message.replace(/^dry run of [^:]*: \d+ /, '') };
    if (error instanceof ApiError && error.status === 403)
      throw new CommandFailure(
        `you lack a right: ${error.message}`,
        `who may apply a manifest may plan it: ask for a role that may create and patch ${resource.plural}, such as ${roles[resource.plural] ?? 'overlaynet-admin'}`,
        error,
      );
    throw apiFailure(error, client.server, namespace);
  }
}

/** The object that `kubectl apply` sent the last time. */
function appliedLast({ metadata }: KubeObject): unknown {
  try {
    return JSON.parse(metadata.annotations?.[lastApplied] ?? '{}') as unknown;
  } catch {
    return {}; // a hand wrote it, and kubectl would refuse it
  }
}

/**
 * A JSON merge patch (RFC 7386) to the wanted object. It also removes the fields that were wanted the last time and no
 * longer are.
 */
export function mergePatch(last: unknown, wanted: unknown): unknown {
  if (!isMap(wanted)) return wanted;
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(isMap(last) ? last : {})) if (!Object.hasOwn(wanted, key)) patch[key] = null;
  for (const [key, value] of Object.entries(wanted))
    patch[key] = mergePatch(isMap(last) ? last[key] : undefined, value);
  return patch;
}
