import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import { recorded } from '../support/recorded.ts';

/** deploy/gitops tried on objects that a real run left: Argo CD's checks, by Lua. */

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
