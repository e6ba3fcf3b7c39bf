import { findingsOf, type Health } from '../../../src/report/findings.ts';
import type { Problem } from '../../../src/host/problem.ts';
import { brief, renderStatus, sameStatus, type Applied } from '../../../src/report/status.ts';
import { node2 } from '../../support/fixture.ts';

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
    docker: [],
    findings: [],
    use: { usage: undefined, inUse: undefined, users: new Map(), draining: new Map() },
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

test("a network's failure is reported with its own message, and the other networks stay OK", () => {
  const failures = [{ network: 'dcos6', message: 'RTNETLINK answers: File exists' }];
  expect(of({ applied: applied({ failures }) }).networks).toEqual([
    { name: 'dcos', state: 'OK' },
    { name: 'dcos6', state: 'Failed', message: 'RTNETLINK answers: File exists' },
  ]);
});

test('a failure of a network’s Docker half fails only that network', () => {
  const docker = [{ network: 'dcos', message: 'Docker: a network named dcos exists already' }];
  const status = of({ docker });
  expect(status.networks).toEqual([
    { name: 'dcos', state: 'Failed', message: 'Docker: a network named dcos exists already' },
    { name: 'dcos6', state: 'OK' },
  ]);
  expect(status.revision).toBe(3);
});

test('an unused condition is removed', () => {
  const said = (type: string) => ({ type, status: 'True', reason: 'R', message: 'm' }) as const;
  const stored = of({ findings: [said('Docker'), said('Synced')] });
  expect(of({ stored, findings: [said('Synced')] }).conditions?.map(({ type }) => type)).toEqual(['Synced']);
});

test('a failure without a network fails every network, and the revision is not applied', () => {
  const failures = [{ message: 'ip: not found' }];
  const status = of({ applied: applied({ failures }), stored: { revision: 2 } });
  expect(status.networks?.map(({ state, message }) => [state, message])).toEqual([
    ['Failed', 'ip: not found'],
    ['Failed', 'ip: not found'],
  ]);
  expect(status.revision).toBe(2);
});

test('an allocation that is not yet applied is Configuring', () => {
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

test('the order of keys and the times of conditions do not matter when statuses are compared', () => {
  const findings = [{ type: 'T', status: 'True', reason: 'R', message: 'm' } as const];
  const status = of({ findings });
  const later = of({ findings, stored: status, now: '2026-01-02T00:00:00Z' });
  expect(later).toEqual(status);
  const { conditions, ...rest } = status;
  expect(sameStatus({ conditions: conditions!, ...rest }, status)).toBe(true);
  expect(sameStatus({ ...status, revision: 4 }, status)).toBe(false);
  expect(sameStatus(undefined, status)).toBe(false);
});

test('each message is reported once, and cut', () => {
  expect(brief(['a', 'b', 'a'])).toBe('a; b');
  expect(brief(['x'.repeat(5_000)])).toHaveLength(1_024);
});

const healthy: Health = {
  allocation: { metadata: { name: 'node2' }, spec: node2 },
  registrationFailure: undefined,
  unlisted: [],
  applied: applied(),
  missing: undefined,
  probed: undefined,
  checkpoint: { problem: undefined, movedAside: undefined },
  containers: {
    complete: true,
    failures: [],
    namespaces: undefined,
    held: [],
    first: undefined,
    unread: [],
    chained: [],
  },
  docker: undefined,
  holding: undefined,
  system: [],
};
const finding = (type: string, health: Partial<Health>) =>
  findingsOf({ ...healthy, ...health }).find((one) => one.type === type);

test('a healthy agent has six true conditions', () => {
  expect(findingsOf(healthy).map(({ type, status }) => `${type}=${status}`)).toEqual([
    'Registered=True',
    'Synced=True',
    'DataPathReady=True',
    'Checkpoint=True',
    'ContainersReady=True',
    'SystemReady=True',
  ]);
});

test('a failure that no retry can mend is reported for its network, and leaves the data path ready', () => {
  const failures = [{ network: 'dcos6', message: 'this node has no IPv6', lasting: true as const }];
  expect(finding('DataPathReady', { applied: applied({ failures }) })).toMatchObject({
    status: 'True',
    reason: 'Partial',
    message: 'the kernel shows what this node can carry; dcos6: this node has no IPv6',
  });
  expect(of({ applied: applied({ failures }) }).networks).toEqual([
    { name: 'dcos', state: 'OK' },
    { name: 'dcos6', state: 'Failed', message: 'this node has no IPv6' },
  ]);
  const both = [...failures, { network: 'dcos', message: 'boom' }];
  expect(finding('DataPathReady', { applied: applied({ failures: both }) })).toMatchObject({
    status: 'False',
    message: 'boom',
  });
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

test('problems of the API, the kernel, the disk and the node have conditions of their own', () => {
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
  const system: Problem[] = [
    { reason: 'SwitchedOff', message: 'net.ipv4.ip_forward is 0' },
    { reason: 'KernelTooOld', message: 'b' },
  ];
  expect(finding('SystemReady', { system })).toMatchObject({
    status: 'False',
    reason: 'SwitchedOff',
    message: 'net.ipv4.ip_forward is 0; b',
  });
});

test('reasons why containers cannot join are reported, the worst first', () => {
  const worst = {
    complete: false,
    failures: ['EROFS: read-only file system'],
    namespaces: 'list namespaces: 403',
    held: ['network dev is gone, and still has pod default/web-0'],
    first: '/etc/cni/net.d/00-other.conf',
    unread: ['a.json: not JSON'],
    chained: ['istio-cni', 'linkerd-cni'],
  };
  const shown = (containers: Health['containers']) => {
    const { status, reason, message } = finding('ContainersReady', { containers })!;
    return `${status} ${reason}: ${message}`;
  };
  expect(shown(worst)).toBe('False Waiting: the data path was not complete yet');
  expect(shown({ ...worst, complete: true })).toBe('False Failed: EROFS: read-only file system');
  expect(shown({ ...worst, complete: true, failures: [] })).toBe(
    'False NamespacesUnknown: pods without an annotation of their own have to wait: list namespaces: 403',
  );
  expect(shown({ ...worst, complete: true, failures: [], namespaces: undefined })).toBe(
    "False NotFirst: pods do not join: their runtime takes /etc/cni/net.d/00-other.conf before overlaynet's conflist; remove it, unless it is of a meta-plugin that hands pods on to overlaynet",
  );
  expect(shown({ ...worst, complete: true, failures: [], namespaces: undefined, first: undefined })).toBe(
    'True RecordsUnread: containers can join; what these records allowed stays allowed: a.json: not JSON',
  );
  expect(shown({ ...healthy.containers, held: worst.held })).toBe(
    'True LeasesHeld: containers can join; network dev is gone, and still has pod default/web-0',
  );
  expect(shown({ ...healthy.containers, chained: worst.chained })).toBe(
    "True Chained: containers can join; after overlaynet's plugins their runtime runs those of others: istio-cni; linkerd-cni",
  );
});
