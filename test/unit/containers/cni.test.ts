import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { CNIFiles } from '../../../src/containers/cni.ts';
import {
  directoriesIn,
  attachment,
  dcos as network,
  node2,
  recordingLog,
  scratch,
  snapshot,
} from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
beforeEach(() => {
  at = scratch();
  for (const dir of ['state', 'conf', 'net', 'leases']) mkdirSync(at.path(dir));
});
afterEach(() => {
  at.drop();
});

let links: Set<string>;
beforeEach(() => {
  links = new Set();
});
const open = (options: { owned?: string[]; cniConfDir?: string; cniNetDir?: string; mode?: number } = {}) => {
  const { owned = [], mode, ...others } = options;
  const directories = { ...directoriesIn(at), ...others };
  return new CNIFiles({ directories, log: recordingLog(), owned, mode, links: () => links });
};
const rendered = () => {
  const [dcos, dcos6] = open().conflists(snapshot());
  return { dcos: dcos!, dcos6: dcos6! };
};
const read = (...parts: string[]) => readFileSync(at.path(...parts), 'utf8');
const inode = (...parts: string[]) => statSync(at.path(...parts)).ino;
const defaultFile = '05-overlaynet.conflist';
const bootID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');

test('each network gets its file, readable by all', () => {
  const { dcos, dcos6 } = rendered();
  expect(open().publish([dcos, dcos6])).toEqual([]);
  expect(readdirSync(at.path('conf'))).toEqual(['dcos.conflist', 'dcos6.conflist']);
  expect(read('conf', 'dcos6.conflist')).toBe(dcos6.text);
  expect(statSync(at.path('conf', 'dcos.conflist')).mode & 0o777).toBe(0o644);
  // neither of the two that tell a runtime to use the node
  expect(readdirSync(at.path('net'))).toEqual([]);
  expect(existsSync(at.path('run'))).toBe(false);
});

test('the node is opened to runtimes by the mark of this boot and one file in their directory', () => {
  expect(open().open()).toEqual([]);
  expect(read('run', 'complete')).toBe(bootID);
  expect(readdirSync(at.path('net'))).toEqual([defaultFile]);
  expect(JSON.parse(read('net', defaultFile))).toMatchObject({ name: 'overlaynet.dev' });
  expect(statSync(at.path('net', defaultFile)).mode & 0o777).toBe(0o644);
  expect(readdirSync(at.path('conf'))).toEqual([]);
});

test('a mark of another boot is replaced', () => {
  mkdirSync(at.path('run'));
  writeFileSync(at.path('run', 'complete'), 'another boot\n');
  open().open();
  expect(read('run', 'complete')).toBe(bootID);
});

test('without the mark there is no file for the runtimes, either', () => {
  writeFileSync(at.path('run'), 'in the way');
  expect(open().open()).toEqual([{ message: expect.stringMatching(/^(EEXIST|ENOTDIR)/) }]);
  expect(readdirSync(at.path('net'))).toEqual([]);
});

test('a file that is right stays untouched; an edited one is restored', () => {
  const { dcos } = rendered();
  const cni = open();
  const write = () => [...cni.publish([dcos]), ...cni.open()];
  write();
  const inodes = () => [inode('conf', 'dcos.conflist'), inode('net', defaultFile), inode('run', 'complete')];
  const before = inodes();
  const text = read('net', defaultFile);
  write();
  expect(inodes()).toEqual(before);
  writeFileSync(at.path('conf', 'dcos.conflist'), '{}');
  writeFileSync(at.path('net', defaultFile), text.replace('overlaynet', 'other'));
  write();
  expect(read('conf', 'dcos.conflist')).toBe(dcos.text);
  expect(read('net', defaultFile)).toBe(text);
});

describe('plugins that others chained behind ours', () => {
  const istio = {
    type: 'istio-cni',
    log_level: 'info',
    kubernetes: { exclude_namespaces: ['istio-system'] },
  };
  const list = () => JSON.parse(read('net', defaultFile)) as { name: string; plugins: object[] };
  const types = () => list().plugins.map((one) => (one as { type: string }).type);
  const ours = ['overlaynet', 'overlaynet-portmap', 'overlaynet-bandwidth'];
  /** As such an installer does it: our file, with its plugin at the end, in its own format. */
  const append = (...plugins: object[]) => {
    const { plugins: present, ...rest } = list();
    writeFileSync(
      at.path('net', defaultFile),
      JSON.stringify({ plugins: [...present, ...plugins], ...rest }, undefined, '\t'),
    );
  };
  beforeEach(() => {
    open().open();
  });

  test('stay, are reported, and are not written again, not even by a new process', () => {
    append(istio, { type: 'linkerd-cni' });
    const text = read('net', defaultFile);
    const before = inode('net', defaultFile);
    const cni = open();
    for (let time = 0; time < 2; time++) expect(cni.open()).toEqual([]);
    expect(read('net', defaultFile)).toBe(text);
    expect(inode('net', defaultFile)).toBe(before);
    expect(cni.chained).toEqual(['istio-cni', 'linkerd-cni']);
  });

  test('stay unchanged when our part changes', () => {
    append(istio);
    const text = read('net', defaultFile);
    writeFileSync(at.path('net', defaultFile), text.replace('"snat": true', '"snat": false'));
    open().open();
    expect(types()).toEqual([...ours, 'istio-cni']);
    expect(list().plugins).toContainEqual(istio);
    expect(read('net', defaultFile)).not.toContain('"snat": false');
  });

  test('are no longer reported once they are gone', () => {
    append(istio);
    const cni = open();
    cni.open();
    const { plugins, ...rest } = list();
    writeFileSync(at.path('net', defaultFile), JSON.stringify({ ...rest, plugins: plugins.slice(0, 3) }));
    cni.open();
    expect(cni.chained).toEqual([]);
    expect(types()).toEqual(ours);
  });

  test.each([
    ['that stand before ours', (plugins: object[]) => [istio, ...plugins]],
    ['in place of ours', () => [istio]],
    ['that are none', (plugins: object[]) => [...plugins, 7, null, { no: 'type' }]],
  ])('%s do not stay', (_, change) => {
    const { plugins, ...rest } = list();
    writeFileSync(at.path('net', defaultFile), JSON.stringify({ ...rest, plugins: change(plugins) }));
    open().open();
    expect(types()).toEqual(ours);
  });

  test('in a file of another network do not stay', () => {
    append(istio);
    writeFileSync(at.path('net', defaultFile), read('net', defaultFile).replace('overlaynet.dev', 'cbr0'));
    open().open();
    expect(types()).toEqual(ours);
  });
});

describe('the mode of the conflists', () => {
  const modes = () =>
    [at.path('conf', 'dcos.conflist'), at.path('net', defaultFile), at.path('run', 'complete')].map((path) =>
      (statSync(path).mode & 0o777).toString(8),
    );
  const write = (mode?: number) => {
    const cni = open(mode === undefined ? {} : { mode });
    expect([...cni.publish([rendered().dcos]), ...cni.open()]).toEqual([]);
  };

  test('is the flag’s, also for existing files', () => {
    write();
    expect(modes()).toEqual(['644', '644', '644']);
    write(0o600);
    expect(modes()).toEqual(['600', '600', '644']);
  });

  test('is what an administrator set if there is no flag, also when the agent writes the file again', () => {
    write();
    for (const path of [at.path('conf', 'dcos.conflist'), at.path('net', defaultFile)])
      chmodSync(path, 0o600);
    write();
    expect(modes()).toEqual(['600', '600', '644']);
    writeFileSync(at.path('net', defaultFile), '{}');
    writeFileSync(at.path('conf', 'dcos.conflist'), '{}');
    write();
    expect(read('conf', 'dcos.conflist')).toBe(rendered().dcos.text);
    expect(modes()).toEqual(['600', '600', '644']);
  });
});

test('another program’s file that runtimes read before ours is reported', () => {
  const cni = open();
  cni.open();
  for (const name of ['10-other.conflist', '00-readme.txt']) writeFileSync(at.path('net', name), '');
  expect(cni.first).toBeUndefined();
  writeFileSync(at.path('net', '00-other.conf'), '{}');
  expect(cni.first).toBe(at.path('net', '00-other.conf'));
  expect(open({ cniNetDir: at.path('absent') }).first).toBeUndefined();
});

test('a network named 0net gets its file, and runtimes do not use it first', () => {
  const named = { ...network, metadata: { name: '0net' } };
  const spec = { ...node2, networks: [{ ...node2.networks![0]!, name: '0net' }] };
  const cni = open();
  const conflists = cni.conflists(snapshot({ networks: [named], allocations: [{ node: 'node2', spec }] }));
  cni.publish(conflists);
  cni.open();
  expect(readdirSync(at.path('conf'))).toEqual(['0net.conflist']);
  expect(readdirSync(at.path('net'))).toEqual([defaultFile]);
  expect(JSON.parse(read('net', defaultFile))).toMatchObject({ name: 'overlaynet.dev' });
});

test('a deleted network loses its file, then its leases; the runtimes’ file and foreign ones stay', () => {
  const { dcos, dcos6 } = rendered();
  const before = open();
  before.publish([dcos, dcos6]);
  before.open();
  for (const name of ['dcos', 'dcos6', 'cbr0']) mkdirSync(at.path('leases', name));
  writeFileSync(at.path('conf', 'mine.conflist'), '{"name":"mine","plugins":[{"bridge":"cni0"}]}');
  writeFileSync(at.path('conf', 'broken.conflist'), '{');
  writeFileSync(at.path('net', '10-mine.conflist'), '{}');

  const cni = open(); // a new process, without a checkpoint
  expect(cni.withdraw([dcos6])).toEqual([]);
  expect(readdirSync(at.path('conf'))).toEqual(['broken.conflist', 'dcos6.conflist', 'mine.conflist']);
  expect(readdirSync(at.path('net'))).toEqual([defaultFile, '10-mine.conflist']);
  expect(existsSync(at.path('leases', 'dcos'))).toBe(true);

  cni.publish([dcos6]);
  expect(cni.removeLeases(new Set(['dcos6']))).toEqual({ failures: [], held: [] });
  expect(readdirSync(at.path('leases'))).toEqual(['cbr0', 'dcos6']);
  expect([...cni.owned]).toEqual(['dcos6']);
});

test('leases of a deleted network stay while a container’s port is in the kernel', () => {
  mkdirSync(at.path('leases', 'dcos'));
  mkdirSync(at.path('state', 'attachments'));
  const record = (containerID: string, host: string, pod?: string) => {
    const { interfaces, ...rest } = attachment({ containerID });
    const text = JSON.stringify({ ...rest, pod, interfaces: [{ ...interfaces[0], host }] });
    writeFileSync(at.path('state', 'attachments', `${containerID}-eth0.json`), text);
  };
  record('cafe', 'c-000000000001', 'web-0');
  record('beef', 'c-000000000002');
  record('dead', 'c-000000000003');
  links = new Set(['lo', 'c-000000000001', 'c-000000000002']);
  const cni = open({ owned: ['dcos'] });
  expect(cni.removeLeases(new Set())).toEqual({
    failures: [],
    held: ['network dcos is gone, and still has container beef, pod default/web-0'],
  });
  expect(existsSync(at.path('leases', 'dcos'))).toBe(true);
  expect([...cni.owned]).toEqual(['dcos']);

  links = new Set(['lo']);
  expect(cni.removeLeases(new Set())).toEqual({ failures: [], held: [] });
  expect(existsSync(at.path('leases', 'dcos'))).toBe(false);
  expect([...cni.owned]).toEqual([]);
});

test('the checkpoint identifies an edited conflist of a deleted network', () => {
  open().publish([rendered().dcos]);
  writeFileSync(at.path('conf', 'dcos.conflist'), '{}');
  open({ owned: ['dcos'] }).withdraw([]);
  expect(readdirSync(at.path('conf'))).toEqual([]);
});

test('a directory that cannot be written is that network’s failure, in the system’s words', () => {
  writeFileSync(at.path('conf', 'file'), '');
  const cni = open({ cniConfDir: at.path('conf', 'file') });
  expect(cni.publish([rendered().dcos])).toEqual([
    { network: 'dcos', message: expect.stringMatching(/^(EEXIST|ENOTDIR)/) as string },
  ]);
  // the runtimes' file does not need it
  expect(cni.open()).toEqual([]);
  expect(readdirSync(at.path('net'))).toEqual([defaultFile]);
});

test('a runtimes’ directory that cannot be written is reported with the system’s error', () => {
  writeFileSync(at.path('net', 'file'), '');
  expect(open({ cniNetDir: at.path('net', 'file') }).open()).toEqual([
    { message: expect.stringMatching(/^(EEXIST|ENOTDIR)/) as string },
  ]);
});
