import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { CheckpointFile } from '../../../src/agent/checkpoint.ts';
import { removeAll } from '../../../src/agent/cleanup.ts';
import { CNIFiles } from '../../../src/containers/cni.ts';
import type { Failure } from '../../../src/dataplane/state.ts';
import { silent } from '../../../src/log.ts';
import { attachment, directoriesIn, recordingLog, scratch, snapshot } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
const directories = () => directoriesIn(at);
beforeEach(() => {
  at = scratch();
  for (const dir of ['state', 'conf', 'net', 'leases']) mkdirSync(at.path(dir));
});
afterEach(() => {
  at.drop();
});

const clean = async (cleanup: () => Promise<{ changes: number; failures: Failure[] }>) => {
  const removed: string[] = [];
  const failures = await removeAll({
    directories: directories(),
    kernel: { cleanup },
    log: silent,
    removed,
  });
  return { removed: removed.map((path) => path.replace(at.dir, '')), failures };
};
/** What an agent leaves on disk. */
const installed = () => {
  const cni = new CNIFiles({ directories: directories(), log: silent });
  cni.publish(cni.conflists(snapshot()));
  cni.open();
  new CheckpointFile({ dir: at.path('state'), log: recordingLog() }).save({
    snapshot: snapshot(),
    networks: ['dcos', 'dcos6', 'former'],
    namespaces: [],
  });
  mkdirSync(at.path('state', 'attachments'));
  const record = attachment();
  record.interfaces[0]!.network = 'joined';
  writeFileSync(at.path('state', 'attachments', 'cafe-eth0.json'), JSON.stringify(record));
  writeFileSync(at.path('state', 'attachments', '.cafe-eth0.lock'), '');
  writeFileSync(at.path('run', 'agent.sock'), '');
  writeFileSync(at.path('state', 'checkpoint.json.corrupt-20260101'), '{');
  // of an agent that was killed while it wrote
  for (const file of [
    'run/.complete',
    'net/.05-overlaynet.conflist',
    'conf/.05-overlaynet.conflist',
    'conf/.new.conflist',
  ])
    writeFileSync(at.path(`${file}.tmp`), '{');
  for (const network of ['dcos', 'former', 'joined', 'cbr0']) mkdirSync(at.path('leases', network));
};

test('removes conflists before the kernel’s objects, then leases and state; once more it finds nothing', async () => {
  installed();
  writeFileSync(at.path('net', '10-mine.conflist'), '{}');
  const { removed, failures } = await clean(() => {
    expect(readdirSync(at.path('conf'))).toEqual([]);
    expect(existsSync(at.path('leases', 'dcos'))).toBe(true);
    return Promise.resolve({ changes: 7, failures: [] });
  });
  expect(failures).toEqual([]);
  expect(removed).toEqual([
    '/conf/.05-overlaynet.conflist.tmp',
    '/conf/.new.conflist.tmp',
    '/net/05-overlaynet.conflist',
    '/run/complete',
    '/net/.05-overlaynet.conflist.tmp',
    '/run/.complete.tmp',
    '/run/agent.sock',
    '/state/attachments',
    '/conf/dcos.conflist',
    '/conf/dcos6.conflist',
    '7 kernel entries (links, routes, rules, sets, chains)',
    '/leases/dcos',
    '/leases/former',
    '/leases/joined',
    '/state/checkpoint.json',
    '/state/checkpoint.json.corrupt-20260101',
    '/state',
    '/run',
    '/conf',
  ]);
  expect(readdirSync(at.dir)).toEqual(['leases', 'net']);
  expect(readdirSync(at.path('leases'))).toEqual(['cbr0']);
  expect(readdirSync(at.path('net'))).toEqual(['10-mine.conflist']);
  expect(await clean(() => Promise.resolve({ changes: 0, failures: [] }))).toEqual({
    removed: [],
    failures: [],
  });
});

test("Docker's networks go before the kernel's objects; one that containers have is told", async () => {
  const removed: string[] = [];
  const kept = { network: 'dcos6', message: 'Docker: network dcos6 is removed once web has left it' };
  const failures = await removeAll({
    directories: directories(),
    docker: { cleanup: () => Promise.resolve({ removed: ['dcos'], failures: [kept] }) },
    kernel: {
      cleanup: () => {
        expect(removed).toContain('Docker network dcos');
        return Promise.resolve({ changes: 0, failures: [] });
      },
    },
    log: silent,
    removed,
  });
  expect(failures).toEqual([kept]);
});

test('a Docker engine that fails in the midst keeps nothing else from going', async () => {
  installed();
  const removed: string[] = [];
  const failures = await removeAll({
    directories: directories(),
    docker: { cleanup: () => Promise.reject(new Error('aborted')) },
    kernel: { cleanup: () => Promise.resolve({ changes: 7, failures: [] }) },
    log: silent,
    removed,
  });
  expect(failures).toEqual([{ message: 'aborted' }]);
  expect(removed).toContain('7 kernel entries (links, routes, rules, sets, chains)');
  expect(existsSync(at.path('state'))).toBe(false);
});

test('what the kernel refuses is told, and the rest goes all the same', async () => {
  installed();
  const { failures } = await clean(() => Promise.reject(new Error('ip: not found; install iproute2')));
  expect(failures).toEqual([{ message: 'ip: not found; install iproute2' }]);
  expect(existsSync(at.path('state'))).toBe(false);
});

test('files of others in the state directory stay, and it with them', async () => {
  installed();
  writeFileSync(at.path('state', 'notes.txt'), 'mine');
  const { failures } = await clean(() => Promise.resolve({ changes: 0, failures: [] }));
  expect(failures).toEqual([]);
  expect(readdirSync(at.path('state'))).toEqual(['notes.txt']);
});
