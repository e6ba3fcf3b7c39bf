import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import { assets, startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';
import { fine, gitops, states } from '../support/gitops.ts';
import { install } from '../support/refuses.ts';

/** Flux's expressions of deploy/gitops, evaluated by the API server's CEL on objects of a real run. */

const run = promisify(execFile);

interface Expressions {
  kind: string;
  inProgress: string;
  failed: string;
  current: string;
}
const { spec } = gitops('flux-health.yaml') as { spec: { healthCheckExprs: Expressions[] } };
const verdicts = ['inProgress', 'failed', 'current'] as const;

describe('Flux', () => {
  let plane: OwnControlPlane;
  let dir: string;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'ovt-gitops-'));
    plane = await startControlPlane();
    await install(plane, 'crds');
    // Flux has the object's fields at the root; a policy has them in `object`, and reports expressions that are false
    for (const { kind, ...expressions } of spec.healthCheckExprs) {
      const name = kind.toLowerCase();
      const validations = verdicts.map((verdict) => ({
        expression: `!(${expressions[verdict].replace(/(?<![.\w])(status|metadata|spec)(?=\.)/g, 'object.$1')})`,
        message: `VERDICT=${verdict}`,
      }));
      await apply({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name },
        spec: {
          failurePolicy: 'Fail',
          matchConstraints: {
            resourceRules: [
              {
                apiGroups: ['overlaynet.dev'],
                apiVersions: ['*'],
                operations: ['UPDATE'],
                resources: [`${name}s/status`],
              },
            ],
          },
          // the last validation shows that the policy is in force, which takes a second or two
          validations: [...validations, { expression: 'false', message: 'VERDICT=asked' }],
        },
      });
      await apply({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name },
        spec: { policyName: name, validationActions: ['Warn'] },
      });
    }
  }, 90_000);
  afterAll(async () => {
    await plane.stop();
    rmSync(dir, { recursive: true });
  });

  const kubectl = async (object: object, ...args: string[]) => {
    const file = join(dir, 'object.json');
    writeFileSync(file, JSON.stringify(object));
    const { stderr, stdout } = await run(join(assets(), 'kubectl'), [
      '--kubeconfig',
      plane.kubeconfig,
      ...args,
      '-f',
      file,
    ]);
    return stderr + stdout;
  };
  const apply = (object: object, ...args: string[]) =>
    kubectl(object, 'apply', '--server-side', '--force-conflicts', ...args);

  /**
   * Evaluates as Flux does: first what is in progress, then what failed. `none` (nothing is true) counts as in
   * progress, too.
   */
  async function flux(object: KubeObject, observedGeneration = 1): Promise<string> {
    const { kind, metadata, spec, status } = object as KubeObject & { spec: object; status: object };
    const desired = { apiVersion, kind, metadata: { name: metadata.name }, spec };
    await apply(desired);
    const now = { ...desired, status: { ...status, observedGeneration } };
    const said = await eventually(
      () => apply(now, '--subresource=status'),
      (text) => text.includes('VERDICT=asked'),
    );
    return verdicts.find((one) => said.includes(`VERDICT=${one}`)) ?? 'none';
  }

  test.each(states)('sees that %s', async (_, object, _health, _words, verdict) => {
    expect(await flux(object)).toBe(verdict);
  });

  test.each(fine)('waits for the operator after each change of %s', async (_, object) => {
    expect(await flux(object, 0)).toBe('inProgress');
  });

  test.each(fine)('waits for the first conditions of %s', async (_, object) => {
    expect(await flux({ ...object, status: {} } as KubeObject)).toBe('inProgress');
  });
});
