import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { CheckpointFile, networksInCheckpoint, type Checkpoint } from '../../../src/agent/checkpoint.ts';
import { config, node1, node2, recordingLog, scratch, snapshot } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
let log: ReturnType<typeof recordingLog>;
beforeEach(() => {
  at = scratch();
  log = recordingLog();
});
afterEach(() => {
  at.drop();
});

const open = (options: { dir?: string; onProblem?: () => void; intervalMs?: number } = {}) =>
  new CheckpointFile({ dir: at.dir, log, ...options });
const checkpoint = (changes: Partial<Checkpoint> = {}): Checkpoint => ({
  snapshot: snapshot(),
  networks: ['dcos', 'dcos6'],
  namespaces: [{ name: 'default', labels: { team: 'a' }, annotation: 'dcos6' }],
  seenResourceVersion: '42',
  ...changes,
});
const inode = () => statSync(at.path('checkpoint.json')).ino;

test('what was saved is loaded, and only root can read it', () => {
  open().save(checkpoint());
  expect(open().load('node2')).toEqual(checkpoint());
  expect(statSync(at.path('checkpoint.json')).mode & 0o777).toBe(0o600);
  expect(readdirSync(at.dir)).toEqual(['checkpoint.json']);
});

test('without a file no checkpoint is loaded, and that is not a problem', () => {
  const file = open({ dir: at.path('absent') });
  expect(file.load('node2')).toBeUndefined();
  expect(file.problem).toBeUndefined();
});

test('it is written only when something changed; versions seen are no change', () => {
  const file = open({ intervalMs: 0 });
  file.save(checkpoint());
  const first = inode();
  file.save(checkpoint({ seenResourceVersion: '43' }));
  const relisted = structuredClone(snapshot());
  file.save(checkpoint({ snapshot: relisted }));
  expect(inode()).toBe(first);
  file.save(checkpoint({ snapshot: snapshot({ config: { ...config, mtu: 1400 } }) }));
  expect(inode()).not.toBe(first);
});

test('an agent that restarts with the same state writes nothing', () => {
  open().save(checkpoint());
  const first = inode();
  const file = open();
  file.load('node2');
  file.save(checkpoint());
  expect(inode()).toBe(first);
});

test('many changes in a row are one write, and flush writes what waits', () => {
  const file = open({ intervalMs: 60_000 });
  file.save(checkpoint());
  for (let revision = 10; revision < 20; revision++) {
    const allocations = [
      { node: 'node1', spec: node1 },
      { node: 'node2', spec: { ...node2, revision } },
    ];
    file.save(checkpoint({ snapshot: snapshot({ allocations }) }));
  }
  const revision = () => open().load('node2')?.snapshot.allocations[1]?.spec.revision;
  expect(revision()).toBe(3);
  file.flush();
  expect(revision()).toBe(19);
});

test.each([
  ['cut off', '{"version":1,"snapsh'],
  ['empty', ''],
  ['not an object', 'null'],
  ['another version', '{"version":99}'],
  ['without its parts', '{"version":1,"networks":[],"snapshot":{"node":"node2"}}'],
  ['with a namespace that is none', JSON.stringify({ version: 1, ...checkpoint(), namespaces: [null] })],
  [
    'with a rule for a network of Docker',
    JSON.stringify({
      version: 1,
      ...checkpoint({ snapshot: snapshot({ docker: [{ name: 'x -j ACCEPT', subnets: [] }] }) }),
    }),
  ],
  [
    'with a time that is none',
    JSON.stringify({ version: 1, ...checkpoint(), belief: { gone: [{ node: 'node1', since: 'x' }] } }),
  ],
  ['with a path for a name', '{"version":1,"networks":["../x"],"snapshot":{}}'],
])('a corrupt checkpoint (%s) is moved aside and reported, and the next one is written', (_, text) => {
  writeFileSync(at.path('checkpoint.json'), text);
  const file = open();
  expect(file.load('node2')).toBeUndefined();
  const [aside] = readdirSync(at.dir);
  expect(aside).toMatch(/^checkpoint\.json\.corrupt-\d{4}/);
  expect(readFileSync(at.path(aside!), 'utf8')).toBe(text);
  expect(file.movedAside).toContain(aside);
  expect(log.lines.join()).toContain('the checkpoint is corrupt');
  file.save(checkpoint());
  expect(open().load('node2')).toEqual(checkpoint());
});

test('a checkpoint of an agent that did not know namespaces yet is used', () => {
  writeFileSync(
    at.path('checkpoint.json'),
    JSON.stringify({ version: 1, ...checkpoint(), namespaces: undefined }),
  );
  const file = open();
  expect(file.load('node2')).toEqual(checkpoint({ namespaces: [] }));
  expect(file.movedAside).toBeUndefined();
});

test('the checkpoint has the objects that the agent does not believe, is written when they change, and may lack them', () => {
  const file = open({ intervalMs: 0 });
  file.save(checkpoint());
  expect(open().load('node2')).not.toHaveProperty('belief');
  const belief = {
    configUID: 'u',
    doubt: { reason: 'Restored', since: 5, id: 'r-1' } as const,
    gone: [{ node: 'node1', since: 5, mass: true }],
  };
  file.save(checkpoint({ belief }));
  expect(open().load('node2')?.belief).toEqual(belief);
});

test.each([
  [
    'removed',
    (path: string) => {
      rmSync(path);
    },
  ],
  [
    'changed',
    (path: string) => {
      writeFileSync(path, '{}');
    },
  ],
])('one that somebody %s is written again, although nothing else changed', (_, meddle) => {
  const file = open({ intervalMs: 0 });
  const same = checkpoint();
  file.save(same);
  meddle(file.path);
  file.save(same);
  expect(open().load('node2')).toEqual(checkpoint());
});

test('namespaces that change are written', () => {
  const file = open({ intervalMs: 0 });
  file.save(checkpoint());
  file.save(checkpoint({ namespaces: [] }));
  expect(open().load('node2')?.namespaces).toEqual([]);
});

test('Docker’s networks are kept, and written when they change', () => {
  const file = open({ intervalMs: 0 });
  file.save(checkpoint());
  const docker = [{ name: 'dcos', subnets: ['9.0.1.0/24'] }];
  file.save(checkpoint({ snapshot: snapshot({ docker }) }));
  expect(open().load('node2')?.snapshot.docker).toEqual(docker);
});

test('the checkpoint of another node is not used', () => {
  open().save(checkpoint());
  const file = open();
  expect(file.load('node3')).toBeUndefined();
  expect(file.movedAside).toContain('of node "node2"');
});

test('a directory that cannot be written is reported, and the checkpoint comes when it can', () => {
  writeFileSync(at.path('state'), 'a file where the directory should be');
  const problems: (string | undefined)[] = [];
  const file: CheckpointFile = open({
    dir: at.path('state'),
    intervalMs: 0,
    onProblem: () => problems.push(file.problem),
  });
  file.save(checkpoint());
  file.save(checkpoint());
  expect(problems).toEqual([expect.stringMatching(/^cannot write the checkpoint: (EEXIST|ENOTDIR)/)]);
  rmSync(at.path('state'));
  mkdirSync(at.path('state'));
  file.save(checkpoint());
  expect(problems).toHaveLength(2);
  expect(file.problem).toBeUndefined();
  expect(open({ dir: at.path('state') }).load('node2')).toEqual(checkpoint());
});

test('cleanup reads the networks from a checkpoint, and none from a broken one', () => {
  open().save(checkpoint());
  expect(networksInCheckpoint(at.dir)).toEqual(['dcos', 'dcos6']);
  expect(networksInCheckpoint(at.path('absent'))).toEqual([]);
  writeFileSync(at.path('checkpoint.json'), '{"networks":["../../etc","dcos",5]}');
  expect(networksInCheckpoint(at.dir)).toEqual(['dcos']);
});
