import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { install } from '../../../src/host/install.ts';
import { installDropIns, removeDropIns } from '../../../src/host/dropins.ts';
import { Removal } from '../../../src/host/removal.ts';
import { installPlugins, removePlugins } from '../../../src/host/plugins.ts';
import { recordingLog, scratch } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
let log: ReturnType<typeof recordingLog>;
beforeEach(() => {
  at = scratch();
  log = recordingLog();
  mkdirSync(at.path('image'));
  mkdirSync(at.path('host/opt/cni/bin'), { recursive: true });
  for (const name of ['overlaynet', 'loopback', 'host-local']) put('image', name, `${name} 2`);
});
afterEach(() => {
  at.drop();
});

const put = (dir: string, name: string, text: string) => {
  writeFileSync(at.path(dir, name), text, { mode: 0o755 });
};
const bin = 'host/opt/cni/bin';
const there = (name: string) => readFileSync(at.path(bin, name), 'utf8');
const copy = () => {
  installPlugins({ from: at.path('image'), to: at.path(bin), shown: '/opt/cni/bin', log });
};
/** Files of the host's directory with their inodes: what was not written keeps its own. */
const inodes = () => readdirSync(at.path(bin)).map((name) => `${name} ${statSync(at.path(bin, name)).ino}`);
const plugins = () => readdirSync(at.path(bin)).filter((name) => !name.startsWith('.'));

describe('the plugins', () => {
  test('are copied whole and executable, nothing temporary stays, and once more nothing is written', () => {
    copy();
    expect(plugins()).toEqual(['host-local', 'loopback', 'overlaynet']);
    expect(readdirSync(at.path(bin))).toEqual(['.overlaynet.json', ...plugins()]);
    expect(there('overlaynet')).toBe('overlaynet 2');
    expect(statSync(at.path(bin, 'overlaynet')).mode & 0o777).toBe(0o755);
    const before = inodes();
    copy();
    expect(inodes()).toEqual(before);
  });

  test('a standard plugin of the host’s own stays, whatever its version; ours is the image’s, whatever was there', () => {
    put(bin, 'loopback', 'loopback of the distribution');
    put(bin, 'overlaynet', 'overlaynet 1');
    copy();
    expect(there('loopback')).toBe('loopback of the distribution');
    expect(there('overlaynet')).toBe('overlaynet 2');
    expect(log.lines).toContain('info the host\'s own plugin stays plugin="/opt/cni/bin/loopback"');
  });

  test('those that ours is chained with are the image’s, and the host’s of the same kind is let alone', () => {
    put('image', 'overlaynet-portmap', 'portmap 1.7.1');
    put(bin, 'overlaynet-portmap', 'portmap 1.5.1');
    put(bin, 'portmap', 'portmap of the distribution, which does not know CNI 1.1.0');
    copy();
    expect(there('overlaynet-portmap')).toBe('portmap 1.7.1');
    expect(there('portmap')).toBe('portmap of the distribution, which does not know CNI 1.1.0');
  });

  test('a standard plugin that we installed follows the image, until another program replaces it', () => {
    copy();
    for (const name of ['overlaynet', 'loopback', 'host-local']) put('image', name, `${name} 3`);
    put(bin, 'host-local', 'host-local of somebody');
    copy();
    expect(['overlaynet', 'loopback', 'host-local'].map(there)).toEqual([
      'overlaynet 3',
      'loopback 3',
      'host-local of somebody',
    ]);
  });

  test('one that ended between record and copy is taken up again', () => {
    copy();
    const former = there('.overlaynet.json');
    put('image', 'loopback', 'loopback 3');
    copy();
    // the copy did not happen
    put(bin, 'loopback', 'loopback 2');
    expect(there('.overlaynet.json')).not.toBe(former);
    copy();
    expect(there('loopback')).toBe('loopback 3');
  });

  test('a plugin that runs is replaced under it', () => {
    copy();
    const held = statSync(at.path(bin, 'overlaynet')).ino;
    put('image', 'overlaynet', 'overlaynet 3');
    copy();
    // the file that runs was not written to: another took its name
    expect(statSync(at.path(bin, 'overlaynet')).ino).not.toBe(held);
  });

  test('with an unreadable record, no plugin counts as ours', () => {
    copy();
    writeFileSync(at.path(bin, '.overlaynet.json'), '{');
    put('image', 'loopback', 'loopback 3');
    copy();
    expect(there('loopback')).toBe('loopback 2');
    expect(removePlugins(at.path(bin), new Removal())).toEqual([]);
  });

  test('a directory that cannot be written is an error that names it, what it lacks and what to do', () => {
    put(bin, 'overlaynet', 'overlaynet 1');
    // even root cannot make a file in the place of a directory
    mkdirSync(at.path(bin, '.overlaynet.json'));
    const words = () => {
      try {
        copy();
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(words()).toMatch(/^\/opt\/cni\/bin on the host cannot be written: E/);
    expect(words()).toContain(
      'lacks host-local, loopback, overlaynet (another version is there): put the image',
    );
    for (const name of ['overlaynet', 'loopback', 'host-local']) put(bin, name, `${name} 2`);
    expect(words()).toBe('');
  });

  test('files that cannot be removed are reported, and the rest goes', () => {
    copy();
    rmSync(at.path(bin, 'loopback'));
    mkdirSync(at.path(bin, 'loopback'));
    const removal = new Removal();
    const { removed } = removal;
    expect(removePlugins(at.path(bin), removal)).toEqual([{ message: expect.stringContaining('EISDIR') }]);
    expect(removed.map((path) => path.replace(at.path(bin), ''))).toEqual(['/host-local', '/overlaynet']);
  });

  test('where the image’s directory is the host’s nothing is copied', () => {
    symlinkSync(at.path('image'), at.path('link'));
    installPlugins({ from: at.path('image'), to: at.path('image'), shown: '/opt/cni/bin', log });
    expect(readdirSync(at.path('image'))).toEqual(['host-local', 'loopback', 'overlaynet']);
  });

  test('are removed if they are ours', () => {
    put(bin, 'loopback', 'loopback of the distribution');
    copy();
    // of an install that was killed while it copied
    for (const name of ['overlaynet', '.overlaynet.json']) put(bin, `.${name}.tmp`, '');
    put(bin, 'bridge', 'bridge of somebody');
    const removal = new Removal();
    const { removed } = removal;
    expect(removePlugins(at.path(bin), removal)).toEqual([]);
    expect(readdirSync(at.path(bin))).toEqual(['bridge', 'loopback']);
    expect(removed.map((path) => path.replace(at.path(bin), ''))).toEqual([
      '/host-local',
      '/.overlaynet.tmp',
      '/overlaynet',
      '/..overlaynet.json.tmp',
      '/.overlaynet.json',
    ]);
    expect(removePlugins(at.path(bin), removal)).toEqual([]);
    expect(removePlugins(at.path('absent'), removal)).toEqual([]);
    expect(removed).toHaveLength(5);
  });
});

describe('systemd-networkd’s drop-in', () => {
  const file = 'host/etc/systemd/networkd.conf.d/50-overlaynet.conf';

  test('tells networkd to leave foreign objects alone, and is reported once', () => {
    mkdirSync(at.path('host/etc/systemd'), { recursive: true });
    installDropIns(at.path('host'), log);
    const lines = readFileSync(at.path(file), 'utf8').split('\n');
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      '[Network]',
      'ManageForeignRoutes=no',
      'ManageForeignRoutingPolicyRules=no',
      'ManageForeignNextHops=no',
    ]);
    const told = () => log.lines.filter((line) => line.includes('networkd'));
    expect(told()).toHaveLength(1);
    installDropIns(at.path('host'), log);
    expect(told()).toHaveLength(1);
  });

  test('if networkd runs already, the message says that it must be restarted', () => {
    mkdirSync(at.path('host/etc/systemd'), { recursive: true });
    mkdirSync(at.path('host/run/systemd/netif'), { recursive: true });
    writeFileSync(at.path('host/run/systemd/netif/state'), '');
    installDropIns(at.path('host'), log);
    expect(log.lines[1]).toMatch(
      /^warn systemd-networkd runs, .*object="\/etc\/systemd\/networkd.conf.d\/50-overlaynet.conf" command="systemctl restart systemd-networkd" output="not yet run"$/,
    );
  });

  test('a host without systemd gets no drop-in, and the log says so', () => {
    installDropIns(at.path('host'), log);
    expect(existsSync(at.path('host/etc'))).toBe(false);
    expect(log.lines).toEqual([
      expect.stringMatching(/^info no \/etc\/systemd on this host/),
      expect.stringMatching(/^info no \/etc\/NetworkManager on this host/),
    ]);
  });

  test('that cannot be written is reported with its effect, and is no error', () => {
    mkdirSync(at.path('host/etc/systemd'), { recursive: true });
    writeFileSync(at.path('host/etc/systemd/networkd.conf.d'), 'in the way');
    installDropIns(at.path('host'), log);
    expect(log.lines.slice(0, 1)).toEqual([
      expect.stringMatching(/^warn systemd-networkd could not be told .*E(EXIST|NOTDIR)/),
    ]);
  });

  test('goes again, and its directory if it is empty', () => {
    mkdirSync(at.path('host/etc/systemd'), { recursive: true });
    installDropIns(at.path('host'), log);
    const temporary = 'host/etc/systemd/networkd.conf.d/.50-overlaynet.conf.tmp';
    writeFileSync(at.path(temporary), '');
    const removal = new Removal();
    const { removed } = removal;
    expect(removeDropIns(at.path('host'), removal)).toEqual([]);
    expect(removed).toEqual([temporary, file, 'host/etc/systemd/networkd.conf.d'].map((one) => at.path(one)));
    expect(readdirSync(at.path('host/etc/systemd'))).toEqual([]);
    // an empty directory that the host has by itself
    mkdirSync(at.path('host/etc/systemd/networkd.conf.d'));
    expect(removeDropIns(at.path('host'), removal)).toEqual([]);
    expect(removed).toHaveLength(3);
    expect(readdirSync(at.path('host/etc/systemd'))).toEqual(['networkd.conf.d']);
  });
});

describe('NetworkManager’s drop-in', () => {
  const file = 'host/etc/NetworkManager/conf.d/50-overlaynet.conf';
  beforeEach(() => {
    mkdirSync(at.path('host/etc/NetworkManager/conf.d'), { recursive: true });
  });

  test('adds our links to those that it leaves alone, once, and says how it is heeded', () => {
    installDropIns(at.path('host'), log);
    const lines = readFileSync(at.path(file), 'utf8').split('\n');
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      '[keyfile]',
      'unmanaged-devices+=interface-name:m-*;interface-name:d-*;interface-name:c-*;interface-name:vtep*',
    ]);
    const told = () => log.lines.filter((line) => line.includes('NetworkManager'));
    expect(told()).toEqual([
      expect.stringMatching(/^info NetworkManager is told to leave our links alone/),
      expect.stringContaining('command="systemctl reload NetworkManager"'),
    ]);
    installDropIns(at.path('host'), log);
    expect(told()).toHaveLength(2);
  });

  test('goes again, and the directory, which is NetworkManager’s, stays', () => {
    installDropIns(at.path('host'), log);
    const removal = new Removal();
    const { removed } = removal;
    expect(removeDropIns(at.path('host'), removal)).toEqual([]);
    expect(removed).toEqual([at.path(file)]);
    expect(readdirSync(at.path('host/etc/NetworkManager'))).toEqual(['conf.d']);
  });
});

test('all steps are tried, and the failures are reported together', async () => {
  rmSync(at.path('image', 'overlaynet'));
  mkdirSync(at.path('image', 'overlaynet'));
  mkdirSync(at.path('host/etc/systemd'), { recursive: true });
  mkdirSync(at.path('sys/net/ipv4/ip_forward'), { recursive: true });
  const done = install(
    { hostRoot: at.path('host'), cniBinDir: '/opt/cni/bin', plugins: at.path('image') },
    { log, sysctls: at.path('sys'), run: () => Promise.resolve({ stdout: '', stderr: '', code: 0 }) },
  );
  await expect(done).rejects.toThrow(/^install: .*EISDIR.*; EISDIR/);
  expect(existsSync(at.path('host/etc/systemd/networkd.conf.d/50-overlaynet.conf'))).toBe(true);
});
