import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { writeAtomically } from '../../../src/host/file.ts';
import { scratch } from '../../support/fixture.ts';
import { eventually } from '../../support/eventually.ts';

let at: ReturnType<typeof scratch>;
/** On a filesystem of its own. */
let other: string;
beforeEach(() => {
  at = scratch();
  other = mkdtempSync('/dev/shm/ovt-agent-');
});
afterEach(() => {
  at.drop();
  rmSync(other, { recursive: true });
});
const read = (...parts: string[]) => readFileSync(at.path(...parts), 'utf8');

test('a file is replaced as a whole, through a directory that no program watches', () => {
  writeAtomically(at.path('net', 'a.conflist'), 'one', 0o644, at.path('conf'));
  const { ino } = statSync(at.path('net', 'a.conflist'));
  // what someone left there who was killed
  writeFileSync(at.path('conf', '.a.conflist.tmp'), 'half of something longer');
  writeAtomically(at.path('net', 'a.conflist'), 'two', 0o644, at.path('conf'));
  expect(read('net', 'a.conflist')).toBe('two');
  expect(statSync(at.path('net', 'a.conflist')).ino).not.toBe(ino);
  expect([readdirSync(at.path('net')), readdirSync(at.path('conf'))]).toEqual([['a.conflist'], []]);
});

test('a program that watches the directory sees a rename in it: containerd ignores files that are moved in from elsewhere', async () => {
  mkdirSync(at.path('net'));
  const seen: (string | null)[] = [];
  const watcher = watch(at.path('net'), { persistent: false }, (_, name) => seen.push(name));
  writeAtomically(at.path('net', 'a.conflist'), 'one', 0o644, at.path('conf'));
  await eventually(() => seen.includes('a.conflist'));
  watcher.close();
  expect(seen).toEqual(['.a.conflist.tmp', '.a.conflist.tmp', 'a.conflist']);
});

test('across filesystems it goes by a hidden file beside the target', () => {
  mkdirSync(at.path('net'));
  expect(statSync(other).dev).not.toBe(statSync(at.dir).dev);
  writeAtomically(at.path('net', 'a.conflist'), 'one', 0o644, other);
  expect(read('net', 'a.conflist')).toBe('one');
  expect([readdirSync(at.path('net')), readdirSync(other)]).toEqual([['a.conflist'], []]);
});

test('a file has the requested mode, independent of the umask', () => {
  const umask = process.umask(0o077);
  try {
    writeAtomically(at.path('file'), '', 0o644);
  } finally {
    process.umask(umask);
  }
  expect(statSync(at.path('file')).mode & 0o777).toBe(0o644);
});

test('a failed write keeps the old file, and leaves nothing else', () => {
  mkdirSync(at.path('a', 'b'), { recursive: true });
  expect(() => {
    writeAtomically(at.path('a'), 'text', 0o644, at.path('conf'));
  }).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(at.dir).sort()).toEqual(['a', 'conf']);
  expect([readdirSync(at.path('a')), readdirSync(at.path('conf'))]).toEqual([['b'], []]);
});
