import { execFileSync } from 'node:child_process';
import { apiVersion, type KubeObject } from '../../src/api/types.ts';
import {
  changed,
  condition,
  fine,
  gitops,
  having,
  network,
  reservation,
  states,
  unseenYet,
  type Conditions,
} from '../support/gitops.ts';
import { recorded } from '../support/recorded.ts';

/** Argo CD's checks of deploy/gitops, run with Lua on objects of a real run. */

const [agent] = recorded('overlayagents');
const [allocation] = recorded('agentallocations');
const unseen = { apiVersion, kind: 'OverlayNetwork', metadata: { name: 'new', generation: 1 }, spec: {} };

/** Formats a value in Lua. */
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

/** Returns Argo CD's health and message of an object. */
function argo(object: object): string[] {
  const { data } = gitops('argocd-cm.yaml') as { data: Record<string, string> };
  const check = data[`resource.customizations.health.overlaynet.dev_${(object as KubeObject).kind}`]!;
  const program = `obj = ${lua(object)}\nlocal function check()\n${check}\nend\nlocal hs = check()\nprint(hs.status)\nprint(hs.message)`;
  return execFileSync('lua5.1', ['-'], { input: program, encoding: 'utf8' }).trimEnd().split('\n');
}

describe('Argo CD', () => {
  test.each(states)('sees that %s', (_, object, health, words) => {
    const [is, message = ''] = argo(object);
    expect([is, message === '']).toEqual([health, false]);
    expect(message).toContain(words);
  });

  test('waits for the operator after each change', () => {
    for (const object of [...fine.map(([, one]) => changed(one)), unseen])
      expect(argo(object)).toEqual(['Progressing', unseenYet]);
  });

  test('sees that a network is being deleted, and which containers still use it', () => {
    const [is, message] = argo(network('dcos'));
    expect([is, message]).toEqual(['Progressing', expect.stringContaining('2 containers use it: container')]);
  });

  test.each([
    ['a network', network('dcos6')],
    ['a reservation', reservation('bound')],
  ])('sees that %s is being deleted before the operator does', (_, object) => {
    const metadata = { ...object.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
    expect(argo({ ...object, metadata })).toEqual(['Progressing', 'it is being deleted']);
  });

  test('judges an agent by its conditions', () => {
    expect(argo(agent!)).toEqual(['Healthy']);
    expect(argo({ ...agent, status: {} })).toEqual(['Progressing', 'the agent has not reported yet']);
    for (const { type } of (agent as Conditions).status?.conditions ?? [])
      expect(argo(having(agent!, condition(type, 'False')))).toEqual(['Degraded', `${type}: ${type} it is`]);
    expect(argo(having(agent!, condition('Holding')))).toEqual(['Degraded', 'Holding: Holding it is']);
    expect(argo(having(agent!, condition('Holding', 'False')))).toEqual(['Healthy']);
  });

  test('judges an allocation and the ledger', () => {
    const { vtep, ...without } = (allocation as unknown as { spec: { vtep?: object } }).spec;
    expect(argo(allocation!)).toEqual(['Healthy']);
    expect([vtep !== undefined, argo({ ...allocation, spec: without })]).toEqual([
      true,
      ['Progressing', 'the node has no VTEP yet'],
    ]);
    expect(argo(having(allocation!, condition('Accepted')))).toEqual(['Healthy']);
    expect(argo(having(allocation!, condition('Accepted', 'False')))).toEqual(['Degraded', 'Accepted it is']);
    expect(argo(recorded('allocationledgers')[0]!)).toEqual(['Healthy']);
  });
});
