import type { Belief, Kept } from '../../../src/belief/belief.ts';
import { holdingOf } from '../../../src/belief/holding.ts';
import type { OverlayConfig, OverlayConfigStatus } from '../../../src/api/types.ts';
import { config } from '../../support/fixture.ts';
import { peerName, started } from '../../support/agentcluster.ts';

const nothing: Kept = { peers: [], networks: [], blocks: [] };
const noon = Date.parse('2026-01-01T12:00:00Z');
const shown = (status: OverlayConfigStatus = {}): OverlayConfig => ({
  metadata: { name: 'default' },
  spec: { ...config, reuseCooldown: '10m' },
  status,
});
const of = (changes: Partial<Belief>, held: Partial<Kept> = {}, status: OverlayConfigStatus = {}) =>
  holdingOf({ ...started().belief, ...changes }, { ...nothing, ...held }, shown(status), noon);

test('while everything is as the objects say, there is no condition', () => {
  expect(of({})).toBeUndefined();
  // one that is about to leave
  expect(of({}, { peers: ['node7'] })).toBeUndefined();
});

test('a restore names what stays, what it waits for, and how a person ends it', () => {
  const restored = { id: 'r-1', since: '2026-01-01T11:00:00Z' };
  const names = Array.from({ length: 7 }, (_, i) => peerName(i));
  expect(
    of(
      { doubt: { reason: 'Restored', since: noon, id: 'r-1' } },
      { peers: names, networks: ['dcos'], blocks: ['9.0.1.0/24', '9.0.2.0/24'] },
      { restored },
    ),
  ).toEqual({
    type: 'Holding',
    status: 'True',
    reason: 'Restored',
    message:
      "the cluster's data came back older than it was: nothing is withdrawn (7 peers: peer000, peer001, peer002, peer003, peer004 and 2 more; 1 network: dcos; 2 blocks of this node: 9.0.1.0/24, 9.0.2.0/24) until every Node's agent has registered again, and every network that they hold is applied again; or: kubectl annotate overlayconfig default --overwrite overlaynet.dev/confirm-restore=r-1",
  });
});

test('without an answer of the operator, and after the end of the restore, it names the time', () => {
  expect(of({ doubt: { reason: 'WentBack', since: noon } })?.message).toMatch(
    /not answered yet: nothing is withdrawn until 2026-01-01T12:10:00Z$/,
  );
  const ended = { reason: 'ConfigReplaced', since: 0, id: 'r-1', endedAt: noon } as const;
  expect(of({ doubt: ended })?.message).toMatch(/nothing is withdrawn until 2026-01-01T12:00:05Z$/);
});

test('a network without its object is reported only once the operator is late', () => {
  expect(of({ absent: new Map([['dcos', noon - 1_000]]) })).toBeUndefined();
  expect(of({ absent: new Map([['dcos', noon - 6_000]]) })).toMatchObject({
    reason: 'NetworkGone',
    message: 'OverlayNetworks are gone and stay in force until the operator has withdrawn them (dcos)',
  });
});

test('several reasons are one condition', () => {
  expect(of({ absent: new Map([['dcos', 0]]) }, { blocks: ['9.0.1.0/24'] })).toMatchObject({
    reason: 'Quarantined',
    message: expect.stringMatching(/\(9\.0\.1\.0\/24\).*; OverlayNetworks are gone/),
  });
});

test('a mass departure names peers by name, whichever went first', () => {
  const { cluster, belief } = started();
  cluster.lose(5, 4, 3);
  const before = cluster.believe(belief);
  cluster.lose(0, 1, 2);
  expect(holdingOf(cluster.believe(before), nothing, shown(), noon)?.message).toBe(
    '6 of 10 peers went at once and stay until 2026-01-01T00:10:00Z (peer000, peer001, peer002, peer003, peer004 and 1 more); the operator shows no status.departures to confirm',
  );
});
