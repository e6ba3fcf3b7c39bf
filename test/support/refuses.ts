import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { KubeObject } from '../../src/api/types.ts';
import { ApiError } from '../../src/kube/client.ts';
import type { Resource } from '../../src/kube/resources.ts';
import { controlPlane, type ControlPlane } from './controlplane.ts';
import { ours, refusal, type Manifest } from './dryrun.ts';

/** A description, the object, and words that the API server's message must contain: the field, the value, the rule. */
export type Case = [what: string, object: Manifest, says: string[]];

/** Gives the tests of a file an API server with our CRDs, which stops after the last test. */
export function apiServerWithCRDs(): () => ControlPlane {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await controlPlane();
    await install(plane, 'crds');
  }, 90_000);
  afterAll(() => plane.stop());
  return () => plane;
}

/** Applies a directory with our CRDs and waits until the API server serves each kind. */
export async function install(plane: ControlPlane, directory: 'crds' | 'deploy'): Promise<void> {
  const path = fileURLToPath(new URL(`../../${directory}`, import.meta.url));
  await plane.kubectl('apply', '--server-side', '--force-conflicts', '-k', path);
  await plane.kubectl('wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all');
  for (const resource of ours) await served(plane, resource);
}

/**
 * Waits until a kind is served: for a moment after it is established, the API server answers 404 and then 429 ("storage
 * is (re)initializing").
 */
async function served(plane: ControlPlane, resource: Resource<KubeObject>): Promise<void> {
  const until = Date.now() + 20_000;
  for (;;) {
    try {
      await plane.client.list(resource);
      return;
    } catch (error) {
      const soon = error instanceof ApiError && (error.status === 404 || error.status === 429);
      if (!soon || Date.now() > until) throw error;
    }
    await sleep(50);
  }
}

/** Makes a test of each case. */
export function refuses(plane: () => ControlPlane, cases: Case[]): void {
  test.each(cases)('%s', async (_, object, says) => {
    const words = await refusal(plane().client, object);
    expect(words).toBeDefined();
    for (const part of says) expect(words).toContain(part);
    // a rule that fails on its input would refuse the object too, but with a useless message
    expect(words).not.toContain('evaluation error');
    expect(words).not.toContain('messageExpression');
  });
}
