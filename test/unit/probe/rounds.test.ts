import { setTimeout as sleep } from 'node:timers/promises';
import { Rounds, settingsOf, type Settings } from '../../../src/probe/rounds.ts';
import type { CheckResult } from '../../../src/probe/prober.ts';
import type { Verdict } from '../../../src/rows/probe.ts';
import { eventually } from '../../support/eventually.ts';

const outcome = (verdict?: Verdict, evidence = 'x'): CheckResult => ({
  judgement: verdict && { verdict, evidence, remedy: 'mend it' },
  unknown: undefined,
  underlayMs: 1,
  overlayMs: 2,
});

/** What a check of each peer comes to; absent: all is well. */
let plan: Record<string, () => CheckResult> = {};
let peers: string[] = [];
let checked: string[] = [];
let sentAt: number[] = [];
let running = 0;
let most = 0;
let verdicts: readonly Verdict[] = [];
let findings = 0;
let settings: Settings | undefined;
let rounds: Rounds;

const make = (packet = 1) => {
  rounds = new Rounds({
    node: 'node0',
    version: '0.1.0',
    prober: {
      get peers() {
        return peers;
      },
      responder: { refresh: () => Promise.resolve(), stop: () => undefined, problems: new Map() } as never,
      check: async (peer, _, pace) => {
        checked.push(peer);
        most = Math.max(most, ++running);
        for (let count = 0; count < 8; count++) {
          await pace?.();
          sentAt.push(performance.now());
        }
        await sleep(5);
        running--;
        return plan[peer]?.() ?? outcome();
      },
    },
    settings: () => settings,
    onVerdicts: (found) => {
      verdicts = found;
    },
    onFinding: () => {
      findings++;
    },
    times: { round: 60, packet, tick: 10 },
  });
  return rounds;
};

beforeEach(() => {
  plan = {};
  peers = ['node1', 'node2', 'node3'];
  [checked, sentAt, running, most, verdicts, findings] = [[], [], 0, 0, [], 0];
  settings = { peers: 2, slowMs: 250 };
});
afterEach(async () => {
  rounds.stop();
  // a check that still runs would count for the next test
  await eventually(() => running === 0);
});

const turns = (count: number) => eventually(() => checked.length >= count);

test('one packet after the other, never two within the time that is set, whatever the round', async () => {
  make(20).start();
  await eventually(() => sentAt.length >= 40);
  const gaps = sentAt.slice(1).map((at, index) => at - sentAt[index]!);
  // a timer may be early by less than a millisecond
  expect(Math.min(...gaps)).toBeGreaterThan(18.5);
  expect(most).toBe(1);
});

test('every peer has its turn, and all well is said once', async () => {
  make().start();
  await turns(7);
  expect(new Set(checked)).toEqual(new Set(peers));
  expect(rounds.finding).toMatchObject({ type: 'DataPathProbed', status: 'True', reason: 'Passes' });
  expect(findings).toBe(1);
});

test('a verdict of one check alone does not stand', async () => {
  let checks = 0;
  plan.node1 = () => (checks++ === 0 ? outcome('PortBlocked') : outcome());
  make().start();
  await turns(9);
  expect(rounds.finding?.status).toBe('True');
  expect(verdicts).toEqual([]);
  expect(findings).toBe(1);
});

test('one that a second check comes to stands, is not written again while it lasts, and goes with its cause', async () => {
  let checks = 0;
  plan.node1 = () => outcome('Slow', `after ${++checks} ms`);
  make().start();
  await eventually(() => rounds.finding?.status === 'False');
  const { message } = rounds.finding!;
  expect(message).toBe('node1: after 2 ms; mend it');
  expect(verdicts).toEqual(['Slow']);
  const before = findings;
  await eventually(() => checks >= 8);
  expect(rounds.finding?.message).toBe(message);
  expect(findings).toBe(before);
  plan = {};
  await eventually(() => rounds.finding?.status === 'True');
  expect(verdicts).toEqual([]);
});

test('a peer that is gone is forgotten, and all where probes are switched off', async () => {
  plan = { node1: () => outcome('PortBlocked'), node2: () => outcome('PortBlocked') };
  make().start();
  await eventually(() => verdicts.length === 2);
  peers = ['node2', 'node3'];
  await eventually(() => verdicts.length === 1);
  settings = undefined;
  await eventually(() => rounds.finding === undefined && verdicts.length === 0);
  expect(rounds.list().peers.map(({ peer, is }) => `${peer} ${is}`)).toEqual([
    'node2 Unprobed',
    'node3 Unprobed',
  ]);
});

test('who asks gets what one check finds, and neither condition nor metrics follow from it', async () => {
  settings = undefined;
  plan.node1 = () => outcome('PortBlocked');
  make().start();
  const said = await rounds.probe(['node1', 'node1', 'node9', 'node2']);
  expect(said).toMatchObject({
    node: 'node0',
    peers: [
      { peer: 'node1', verdict: 'PortBlocked' },
      { peer: 'node2', is: 'OK' },
    ],
  });
  await sleep(50);
  expect([rounds.finding, verdicts, findings]).toEqual([undefined, [], 0]);
  expect(rounds.list().peers.every(({ is }) => is === 'Unprobed')).toBe(true);
});

test('eight checks run at once whoever asks, and of too many that wait none more is taken', async () => {
  settings = undefined;
  peers = Array.from({ length: 40 }, (_, index) => `node${index + 1}`);
  make();
  const first = [
    rounds.probe(peers.slice(0, 32)),
    rounds.probe(peers.slice(0, 32)),
    rounds.probe(peers.slice(0, 32)),
  ];
  expect(await rounds.probe(peers)).toBe('88 probes wait for their turn already; at most 64 may');
  for (const said of await Promise.all(first)) expect(said).toHaveProperty('peers.length', 32);
  expect(most).toBe(8);
});

test('what an OverlayConfig from before the defaults lacks is filled in', () => {
  expect(settingsOf(undefined)).toBeUndefined();
  expect(settingsOf({})).toEqual({ peers: 5, slowMs: 250 });
  expect(settingsOf({ peers: 3, slowAfter: '1s' })).toEqual({ peers: 3, slowMs: 1_000 });
});
