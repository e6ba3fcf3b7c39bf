import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import { assets, startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { recorded } from '../support/recorded.ts';
import { install } from '../support/refuses.ts';

/** deploy/gitops tried on objects that a real run left: Argo CD's checks by Lua, Flux's by the API server's CEL. */

const run = promisify(execFile);
const gitops = (file: string): unknown => parse(readFileSync(`deploy/gitops/${file}`, 'utf8'));
const networks = recorded('overlaynetworks');
const named = (name: string) => networks.find(({ metadata }) => metadata.name === name)!;
const [config] = recorded('overlayconfigs');
const restored: KubeObject = {
  ...config!,
  ...{ status: { ...(config as { status?: object }).status, conditions: [condition('Restored')] } },
};
/** What somebody has just changed. */
const changed = {
  ...named('dcos6'),
  metadata: { ...named('dcos6').metadata, generation: (named('dcos6').metadata.generation ?? 0) + 1 },
};
const unseen = { apiVersion, kind: 'OverlayNetwork', metadata: { name: 'new', generation: 1 }, spec: {} };

function condition(type: string) {
  return {
    type,
    status: 'True',
    reason: 'Tried',
    message: `${type} it is`,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
}

/** A value in Lua's own words. */
function lua(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (typeof value !== 'object') return typeof value === 'string' ? luaString(value) : JSON.stringify(value);
  const fields = Array.isArray(value)
    ? value.map(lua)
    : Object.entries(value).map(([key, child]) => `[${luaString(key)}] = ${lua(child)}`);
  return `{ ${fields.join(', ')} }`;
}
const luaString = (text: string) =>
  `"${[...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`;

/** What Argo CD makes of an object: the health, and the words. */
function argo(object: object): string[] {
  const { data } = gitops('argocd-cm.yaml') as { data: Record<string, string> };
  const check = data[`resource.customizations.health.overlaynet.dev_${(object as KubeObject).kind}`]!;
  const program = `obj = ${lua(object)}\nlocal function check()\n${check}\nend\nlocal hs = check()\nprint(hs.status)\nprint(hs.message)`;
  return execFileSync('lua5.1', ['-'], { input: program, encoding: 'utf8' }).trimEnd().split('\n');
}

describe('Argo CD', () => {
  test.each([
    ['fine', 'dcos6', 'Healthy'],
    ['disabled', 'disabled', 'Healthy'],
    ['on no node', 'nowhere', 'Healthy'],
    ['refused', 'refused', 'Degraded'],
    ['without a free block', 'full', 'Degraded'],
    ['waiting for an agent', 'waiting', 'Progressing'],
    ['being deleted', 'dcos', 'Progressing'],
  ])('sees that a network is %s', (_, name, health) => {
    const [is, message = ''] = argo(named(name));
    expect([name, is, message !== '']).toEqual([name, health, true]);
  });

  test('shows the words of the condition that matters', () => {
    expect(argo(named('refused'))[1]).toContain('9.128.0.0/16 overlaps 9.0.0.0/8 of network dcos');
    expect(argo(named('dcos'))[1]).toContain('1 container uses it: container');
  });

  test('waits for the operator after each change', () => {
    for (const object of [changed, unseen])
      expect(argo(object)).toEqual(['Progressing', 'the operator has not looked at it yet']);
  });

  test('judges the other kinds, too', () => {
    expect(argo(config!)[0]).toBe('Healthy');
    expect(argo(restored)).toEqual(['Degraded', 'Restored it is']);
    const [agent] = recorded('overlayagents');
    expect(argo(agent!)).toEqual(['Healthy']);
    const failed = { ...condition('DataPathReady'), status: 'False', message: 'no vtep1024' };
    expect(argo({ ...agent, status: { conditions: [failed] } })).toEqual([
      'Degraded',
      'DataPathReady: no vtep1024',
    ]);
    const [allocation] = recorded('agentallocations');
    expect(argo(allocation!)[0]).toBe('Healthy');
    expect(argo(recorded('allocationledgers')[0]!)[0]).toBe('Healthy');
  });
});

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
    // Flux has the object's fields at the root; a policy has them in `object`, and says what is not true
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
          validations,
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
  const apply = (object: object) => kubectl(object, 'apply', '--server-side', '--force-conflicts');

  /** As Flux asks: what is in progress first, then what failed. */
  async function flux(recorded: KubeObject, observedGeneration?: number): Promise<string | undefined> {
    const { kind, metadata, spec, status } = recorded as KubeObject & { spec: object; status: object };
    await apply({ apiVersion, kind, metadata: { name: metadata.name }, spec });
    const object = { apiVersion, kind, metadata: { name: metadata.name }, spec };
    const now = { ...status, observedGeneration: observedGeneration ?? 1 };
    // a new policy is in force within a second or two
    for (let tries = 0; tries < 50; tries++) {
      const said = await kubectl(
        { ...object, status: now },
        ...['apply', '--server-side', '--force-conflicts', '--subresource=status'],
      );
      const verdict = verdicts.find((one) => said.includes(`VERDICT=${one}`));
      if (verdict !== undefined) return verdict;
      await kubectl(
        { ...object, status: { ...now, observedGeneration: 99 } },
        'apply',
        '--server-side',
        '--force-conflicts',
        '--subresource=status',
      );
    }
    return undefined;
  }

  test.each([
    ['fine', 'dcos6', 'current'],
    ['disabled', 'disabled', 'current'],
    ['on no node', 'nowhere', 'current'],
    ['refused', 'refused', 'failed'],
    ['without a free block', 'full', 'failed'],
    ['waiting for an agent', 'waiting', 'inProgress'],
  ])('sees that a network is %s', async (_, name, verdict) => {
    expect([name, await flux(named(name))]).toEqual([name, verdict]);
  });

  test('waits for the operator after each change', async () => {
    expect(await flux(named('dcos6'), 0)).toBe('inProgress');
  });

  test('judges the configuration, too', async () => {
    expect(await flux(config!)).toBe('current');
    expect(await flux(restored)).toBe('failed');
  });
});
