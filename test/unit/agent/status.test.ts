import { findingsOf, type Health } from '../../../src/agent/findings.ts';
import { brief, renderStatus, sameStatus, type Applied } from '../../../src/agent/status.ts';
import { node2 } from './fixture.ts';

const now = '2026-01-01T00:00:00Z';
const applied = (changes: Partial<Applied> = {}): Applied => ({
  allocation: node2,
  networks: new Set(['dcos', 'dcos6']),
  failures: [],
  ...changes,
});
const of = (changes: Partial<Parameters<typeof renderStatus>[0]>) =>
  renderStatus({
    allocation: node2,
    applied: applied(),
    findings: [],
    stored: undefined,
    now,
    ...changes,
  });

test('what the kernel shows is OK, with the revision', () => {
  expect(of({})).toEqual({
    revision: 3,
    networks: [
      { name: 'dcos', state: 'OK' },
      { name: 'dcos6', state: 'OK' },
    ],
    conditions: [],
  });
});

test("a network's failure is told in its own words, the others stay OK", () => {
  const failures = [{ network: 'dcos6', message: 'RTNETLINK answers: File exists' }];
  expect(of({ applied: applied({ failures }) }).networks).toEqual([
    { name: 'dcos', state: 'OK' },
    { name: 'dcos6', state: 'Failed', message: 'RTNETLINK answers: File exists' },
  ]);
});

test('a failure without a network is every network’s, and the revision is not reached', () => {
  const failures = [{ message: 'ip: not found' }];
  const status = of({ applied: applied({ failures }), stored: { revision: 2 } });
  expect(status.networks?.map(({ state, message }) => [state, message])).toEqual([
    ['Failed', 'ip: not found'],
    ['Failed', 'ip: not found'],
  ]);
  expect(status.revision).toBe(2);
});

test('what is allocated and not yet applied is Configuring', () => {
  expect(of({ applied: undefined }).networks?.map(({ state }) => state)).toEqual([
    'Configuring',
    'Configuring',
  ]);
  const before = { ...node2, revision: 2, networks: node2.networks!.slice(0, 1) };
  const status = of({ applied: applied({ allocation: before }) });
  expect(status.networks?.map(({ state }) => state)).toEqual(['OK', 'Configuring']);
  expect(status.revision).toBe(2);
});

test('a network that is allocated but not in force is Configuring, and says so', () => {
  expect(of({ applied: applied({ networks: new Set(['dcos']) }) }).networks?.[1]).toEqual({
    name: 'dcos6',
    state: 'Configuring',
    message: 'OverlayNetwork dcos6 is not in force',
  });
});

test('a status equals itself whatever the order of its keys and the time of its conditions', () => {
  const findings = [{ type: 'T', status: 'True', reason: 'R', message: 'm' } as const];
  const status = of({ findings });
  const later = of({ findings, stored: status, now: '2026-01-02T00:00:00Z' });
  expect(later).toEqual(status);
  const { conditions, ...rest } = status;
  expect(sameStatus({ conditions: conditions!, ...rest }, status)).toBe(true);
  expect(sameStatus({ ...status, revision: 4 }, status)).toBe(false);
  expect(sameStatus(undefined, status)).toBe(false);
});

test('messages are told once each, and cut', () => {
  expect(brief(['a', 'b', 'a'])).toBe('a; b');
  expect(brief(['x'.repeat(5_000)])).toHaveLength(1_000);
});

const healthy: Health = {
  allocation: { metadata: { name: 'node2' }, spec: node2 },
  registrationFailure: undefined,
  unlisted: [],
  applied: applied(),
  missing: undefined,
  checkpoint: { problem: undefined, movedAside: undefined },
};
const finding = (type: string, health: Partial<Health>) =>
  findingsOf({ ...healthy, ...health }).find((one) => one.type === type);

test('a healthy agent has four true conditions', () => {
  expect(findingsOf(healthy).map(({ type, status }) => `${type}=${status}`)).toEqual([
    'Registered=True',
    'Synced=True',
    'DataPathReady=True',
    'Checkpoint=True',
  ]);
});

test('a refused registration shows the operator’s words', () => {
  const refusal = { type: 'Accepted', status: 'False', reason: 'NotItsAddress', message: 'no' } as const;
  const allocation = {
    metadata: { name: 'node2' },
    spec: node2,
    status: { conditions: [{ ...refusal, lastTransitionTime: now }] },
  };
  expect(finding('Registered', { allocation })).toEqual({ ...refusal, type: 'Registered' });
  expect(finding('Registered', { allocation: undefined })?.reason).toBe('Waiting');
  expect(finding('Registered', { registrationFailure: 'cannot register: 403' })?.message).toBe(
    'cannot register: 403',
  );
});

test('what is wrong with the API, the kernel and the disk is told apart', () => {
  expect(finding('Synced', { unlisted: ['list overlaynetworks: 404'] })).toMatchObject({
    status: 'False',
    message: 'the data path stays as it was: list overlaynetworks: 404',
  });
  expect(finding('DataPathReady', { applied: applied({ failures: [{ message: 'boom' }] }) })).toMatchObject({
    status: 'False',
    reason: 'Failed',
    message: 'boom',
  });
  expect(finding('DataPathReady', { applied: undefined, missing: 'no VTEP' })).toMatchObject({
    status: 'False',
    reason: 'Waiting',
    message: 'no VTEP',
  });
  expect(finding('DataPathReady', { missing: 'no VTEP' })).toMatchObject({ status: 'True', reason: 'Kept' });
  const full = { problem: 'ENOSPC: no space left on device, write', movedAside: undefined };
  expect(finding('Checkpoint', { checkpoint: full })).toMatchObject({
    status: 'False',
    message: full.problem,
  });
});
