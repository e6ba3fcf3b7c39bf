import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { CNIFiles } from '../../../src/agent/cni.ts';
import type { Conflist } from '../../../src/agent/conflist.ts';
import { renderConflists } from '../../../src/agent/conflist.ts';
import { recordingLog, scratch, snapshot } from './fixture.ts';

let at: ReturnType<typeof scratch>;
beforeEach(() => {
  at = scratch();
  for (const dir of ['state', 'conf', 'net', 'leases']) mkdirSync(at.path(dir));
});
afterEach(() => {
  at.drop();
});

const open = (options: { owned?: string[]; stateDir?: string } = {}) =>
  new CNIFiles({
    directories: {
      stateDir: options.stateDir ?? at.path('state'),
      cniConfDir: at.path('conf'),
      cniNetDir: at.path('net'),
    },
    leaseDir: at.path('leases'),
    log: recordingLog(),
    owned: options.owned ?? [],
  });
const [dcos, dcos6] = renderConflists(snapshot()) as [Conflist, Conflist];
const read = (...parts: string[]) => readFileSync(at.path(...parts), 'utf8');
const inode = (...parts: string[]) => statSync(at.path(...parts)).ino;
const defaultFile = '05-overlaynet.conflist';

test('each network gets its file, the default one also the runtimes’ file, readable by all', () => {
  expect(open().publish([dcos, dcos6], dcos)).toEqual([]);
  expect(readdirSync(at.path('conf'))).toEqual(['dcos.conflist', 'dcos6.conflist']);
  expect(readdirSync(at.path('net'))).toEqual([defaultFile]);
  expect(readdirSync(at.path('state'))).toEqual([]);
  expect(read('net', defaultFile)).toBe(dcos.text);
  expect(read('conf', 'dcos6.conflist')).toBe(dcos6.text);
  expect(statSync(at.path('conf', 'dcos.conflist')).mode & 0o777).toBe(0o644);
});

test('a file that is right stays untouched; an edited one is restored', () => {
  const cni = open();
  cni.publish([dcos], dcos);
  const before = [inode('conf', 'dcos.conflist'), inode('net', defaultFile)];
  cni.publish([dcos], dcos);
  expect([inode('conf', 'dcos.conflist'), inode('net', defaultFile)]).toEqual(before);
  writeFileSync(at.path('conf', 'dcos.conflist'), '{}');
  cni.publish([dcos], dcos);
  expect(read('conf', 'dcos.conflist')).toBe(dcos.text);
});

test('a network that is not ready keeps the file it has, as the runtimes’ directory does', () => {
  const cni = open();
  cni.publish([dcos], dcos);
  const changed = { network: 'dcos', text: dcos.text.replace('1450', '1400') };
  cni.publish([dcos6], changed);
  expect(read('conf', 'dcos.conflist')).toBe(dcos.text);
  expect(read('net', defaultFile)).toBe(dcos.text);
});

test('where no default network is on the node, the runtimes’ directory has no file of ours', () => {
  const cni = open();
  cni.publish([dcos], dcos);
  cni.publish([dcos], undefined);
  expect(readdirSync(at.path('net'))).toEqual([]);
});

test('a network that went loses its files, then its leases; foreign files stay', () => {
  open().publish([dcos, dcos6], dcos);
  for (const name of ['dcos', 'dcos6', 'cbr0']) mkdirSync(at.path('leases', name));
  writeFileSync(at.path('conf', 'mine.conflist'), '{"name":"mine","plugins":[{"bridge":"cni0"}]}');
  writeFileSync(at.path('conf', 'broken.conflist'), '{');
  writeFileSync(at.path('net', '10-mine.conflist'), '{}');

  const cni = open(); // a new process, without a checkpoint
  expect(cni.withdraw([dcos6])).toEqual([]);
  expect(readdirSync(at.path('conf'))).toEqual(['broken.conflist', 'dcos6.conflist', 'mine.conflist']);
  expect(readdirSync(at.path('net'))).toEqual(['10-mine.conflist']);
  expect(existsSync(at.path('leases', 'dcos'))).toBe(true);

  cni.publish([dcos6], dcos6);
  expect(cni.removeLeases(new Set(['dcos6']))).toEqual([]);
  expect(readdirSync(at.path('leases'))).toEqual(['cbr0', 'dcos6']);
  expect([...cni.owned]).toEqual(['dcos6']);
});

test('an edited conflist of a network that went is known by the checkpoint', () => {
  open().publish([dcos], dcos);
  writeFileSync(at.path('conf', 'dcos.conflist'), '{}');
  open({ owned: ['dcos'] }).withdraw([]);
  expect(readdirSync(at.path('conf'))).toEqual([]);
});

test('without a state directory the files come all the same', () => {
  expect(open({ stateDir: at.path('absent') }).publish([dcos], dcos)).toEqual([]);
  expect(readdirSync(at.path('conf'))).toEqual(['dcos.conflist']);
});

test('a directory that cannot be written is that network’s failure, in the system’s words', () => {
  writeFileSync(at.path('conf', 'file'), '');
  const cni = new CNIFiles({
    directories: {
      stateDir: at.path('state'),
      cniConfDir: at.path('conf', 'file'),
      cniNetDir: at.path('net'),
    },
    leaseDir: at.path('leases'),
    log: recordingLog(),
  });
  expect(cni.publish([dcos], undefined)).toEqual([
    { network: 'dcos', message: expect.stringMatching(/^(EEXIST|ENOTDIR)/) as string },
  ]);
});
