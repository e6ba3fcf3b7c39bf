import { jest } from '@jest/globals';
import { Report } from '../../../src/agent/report.ts';
import type { OverlayAgent } from '../../../src/api/types.ts';
import { SeenVersion } from '../../../src/report/registration.ts';
import { silent } from '../../../src/log.ts';

afterEach(() => {
  jest.useRealTimers();
});

/** An agent that is registered, whose API server has come back and has answered for some kinds. */
function started() {
  const stored = {
    metadata: { name: 'node2' },
    spec: { addresses: ['172.17.0.4'], uplinkMTU: 1500 },
  } as OverlayAgent;
  const caches = {
    agents: { hasSynced: true, learn: () => undefined },
    agent: stored,
    allocation: undefined,
    configs: new Map(),
    versions: new Map(),
    synced: false,
    listing: true,
    problems: ['list overlaynetworks: connect ECONNREFUSED'],
  };
  const written: (string | undefined)[] = [];
  const parts = {
    node: 'node2',
    addresses: ['172.17.0.4'],
    client: {
      updateStatus: (_: unknown, { status }: OverlayAgent) => {
        written.push(status?.conditions?.find(({ type }) => type === 'Synced')?.reason);
        caches.agent = { ...stored, status: status! };
        return Promise.resolve(caches.agent);
      },
    },
    uplinkMTU: () => Promise.resolve(1500),
    ranges: { toRegister: () => Promise.resolve({}) },
    caches,
    judge: { missing: undefined, holding: undefined },
    pass: { applied: undefined, held: undefined, docker: undefined, snapshot: undefined },
    checkpoint: { problem: undefined, movedAside: undefined },
    containers: () => ({ complete: true, failures: [], held: [], first: undefined, unread: [], chained: [] }),
    docker: undefined,
    seen: new SeenVersion(undefined),
    system: () => [],
    probed: () => undefined,
    certificate: () => undefined,
    use: { reported: { usage: undefined, inUse: undefined, users: new Map() } },
    log: silent,
  };
  const report = new Report(parts as unknown as ConstructorParameters<typeof Report>[0]);
  return { report, caches, written };
}

test('while kinds are on their way after an outage, the status is not written for each of them', async () => {
  const { report, caches, written } = started();
  expect(await report.run()).toEqual({ requeueAfterMs: 5_000 });
  caches.problems = [];
  Object.assign(caches, { synced: true, listing: false });
  await report.run();
  expect(written).toEqual(['Listed']);
});

test('a kind that the API server refuses is reported at once', async () => {
  const { report, caches, written } = started();
  Object.assign(caches, { listing: false, problems: ['list overlaynetworks: 404 Not Found'] });
  await report.run();
  expect(written).toEqual(['NotListed']);
});

test('a kind that is on its way for longer than an informer waits is reported', async () => {
  jest.useFakeTimers();
  const { report, written } = started();
  await report.run();
  jest.advanceTimersByTime(15_000);
  await report.run();
  expect(written).toEqual(['NotListed']);
});
