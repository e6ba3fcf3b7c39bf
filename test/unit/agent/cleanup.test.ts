import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { CheckpointFile } from '../../../src/agent/checkpoint.ts';
import { removeAll } from '../../../src/agent/cleanup.ts';
import { Removal } from '../../../src/host/removal.ts';
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

const remains = () => Promise.reject(new Error('only a dry run asks what is there'));

const clean = async (cleanup: () => Promise<{ changes: number; failures: Failure[] }>) => {
  const removal = new Removal();
  const failures = await removeAll({
    directories: directories(),
    kernel: { cleanup, remains },
    log: silent,
    removal,
  });
  return { removed: removal.removed.map((path) => path.replace(at.dir, '')), failures };
};
/** Makes the files that an agent leaves on disk. */
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
  for (const file of ['agent.sock', 'agent.sock.untold', 'agent.sock.untold.taken'])
    writeFileSync(at.path('run', file), '');
  writeFileSync(at.path('state', 'checkpoint.json.corrupt-20260101'), '{');
  // files of an agent that was killed while it wrote
  for (const file of [
    'run/.complete',
    'net/.05-overlaynet.conflist',
    'conf/.05-overlaynet.conflist',
    'conf/.new.conflist',
  ])
    writeFileSync(at.path(`${file}.tmp`), '{');
  for (const network of ['dcos', 'former', 'joined', 'cbr0']) mkdirSync(at.path('leases', network));
};

test('removes conflists before the kernel’s objects, then leases and state; a second run finds nothing', async () => {
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
    '/run/agent.sock.untold',
    '/run/agent.sock.untold.taken',
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

test("Docker's networks are removed before the kernel's objects; one that containers use is reported", async () => {
  const removal = new Removal();
  const kept = { network: 'dcos6', message: 'Docker: network dcos6 is removed once web has left it' };
  const failures = await removeAll({
    directories: directories(),
    docker: { cleanup: () => Promise.resolve({ removed: ['dcos'], failures: [kept] }) },
    kernel: {
      cleanup: () => {
        expect(removal.removed).toContain('Docker network dcos');
        return Promise.resolve({ changes: 0, failures: [] });
      },
      remains,
    },
    log: silent,
    removal,
  });
  expect(failures).toEqual([kept]);
});

test('everything else is removed if the Docker engine fails', async () => {
  installed();
  const removal = new Removal();
  const failures = await removeAll({
    directories: directories(),
    docker: { cleanup: () => Promise.reject(new Error('aborted')) },
    kernel: { cleanup: () => Promise.resolve({ changes: 7, failures: [] }), remains },
    log: silent,
    removal,
  });
  expect(failures).toEqual([{ message: 'aborted' }]);
  expect(removal.removed).toContain('7 kernel entries (links, routes, rules, sets, chains)');
  expect(existsSync(at.path('state'))).toBe(false);
});

test('a removal that the kernel refuses is reported, and the rest is removed', async () => {
  installed();
  const { failures } = await clean(() => Promise.reject(new Error('ip: not found; install iproute2')));
  expect(failures).toEqual([{ message: 'ip: not found; install iproute2' }]);
  expect(existsSync(at.path('state'))).toBe(false);
});

test('foreign files in the state directory stay, and so does the directory', async () => {
  installed();
  writeFileSync(at.path('state', 'notes.txt'), 'mine');
  const { failures } = await clean(() => Promise.resolve({ changes: 0, failures: [] }));
  expect(failures).toEqual([]);
  expect(readdirSync(at.path('state'))).toEqual(['notes.txt']);
});

describe('a dry run', () => {
  const find = async (names: string[] = ['m-dcos', 'vtep1024']) => {
    const removal = new Removal({ dry: true });
    const asked: unknown[] = [];
    const failures = await removeAll({
      directories: directories(),
      docker: {
        cleanup: (options) => {
          asked.push(options);
          return Promise.resolve({ removed: ['dcos'], failures: [] });
        },
      },
      kernel: {
        cleanup: () => Promise.reject(new Error('a dry run removes nothing')),
        remains: () =>
          Promise.resolve({ remains: new Map(names.length > 0 ? [['links', names]] : []), failures: [] }),
      },
      log: silent,
      removal,
    });
    expect(asked).toEqual([{ dry: true }]);
    return { found: removal.removed.map((path) => path.replace(at.dir, '')), failures };
  };
  /** All files below the scratch directory. */
  const files = () => readdirSync(at.dir, { recursive: true }).sort();

  test('finds what a real cleanup then removes, and changes nothing', async () => {
    installed();
    const before = files();
    const { found, failures } = await find();
    expect(failures).toEqual([]);
    expect(files()).toEqual(before);
    const { removed } = await clean(() => Promise.resolve({ changes: 7, failures: [] }));
    const ofFiles = (lines: string[]) => lines.filter((line) => line.startsWith('/'));
    expect(ofFiles(found)).toEqual(ofFiles(removed));
    expect(found.filter((line) => !line.startsWith('/'))).toEqual([
      'Docker network dcos',
      'links (2): m-dcos, vtep1024',
    ]);
  });

  test('of many objects it names the first twenty', async () => {
    const { found } = await find(Array.from({ length: 30 }, (_, index) => `m-${index}`));
    expect(found).toContainEqual(expect.stringMatching(/^links \(30\): m-0, .*m-19 and 10 more$/));
  });
});

test('an empty directory of leases is ours only where something else is', async () => {
  for (const dir of ['state', 'conf', 'run']) rmSync(at.path(dir), { recursive: true, force: true });
  const nothing = () => Promise.resolve({ changes: 0, failures: [] });
  expect(await clean(nothing)).toEqual({ removed: [], failures: [] });
  expect(existsSync(at.path('leases'))).toBe(true);
  mkdirSync(at.path('state'));
  expect((await clean(nothing)).removed).toEqual(['/state', '/leases']);
});
