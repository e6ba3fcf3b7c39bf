import { expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundled } from '../../hack/build.ts';
import type { RunResult } from '../../src/linux/run.ts';
import { connect, Netns } from '../support/netns.ts';

let main: string;
beforeAll(async () => (main = await bundled('agent')));
const all: Netns[] = [];
let dir: string;
let node: Netns;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-install-'));
  for (const sub of ['image', 'host/opt/cni/bin', 'host/etc/systemd'])
    mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(join(dir, 'image/overlaynet'), 'the image’s', { mode: 0o755 });
  node = await Netns.create();
  all.push(node);
});
afterEach(async () => {
  for (const netns of all.splice(0)) await netns.delete();
  rmSync(dir, { recursive: true, force: true });
});

/**
 * Runs `agent install` in the node's network namespace and its own mount namespace, which the shell commands of
 * `prepare` change first.
 */
const install = (prepare = ''): Promise<RunResult> =>
  node.run('unshare', [
    ...['--mount', 'sh', '-c', `${prepare}\nexec "$@"`, 'sh', process.execPath, main],
    ...['install', '--host-root', join(dir, 'host'), '--plugins', join(dir, 'image')],
  ]);
const sysctl = async (name: string) => (await node.sh(`sysctl -n ${name}`)).trim();

test('install makes a fresh node forward, pass bridged packets to iptables, and have drop-in and plugin; it may run again', async () => {
  await node.sh('sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0');
  expect(await sysctl('net.ipv4.ip_forward')).toBe('0');
  for (let time = 0; time < 2; time++) {
    const { code, stderr } = await install();
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    for (const name of [
      'net.ipv4.ip_forward',
      'net.ipv6.conf.all.forwarding',
      'net.bridge.bridge-nf-call-iptables',
      'net.bridge.bridge-nf-call-ip6tables',
    ]) {
      expect({ name, value: await sysctl(name) }).toEqual({ name, value: '1' });
    }
  }
  expect(readFileSync(join(dir, 'host/opt/cni/bin/overlaynet'), 'utf8')).toBe('the image’s');
  expect(readFileSync(join(dir, 'host/etc/systemd/networkd.conf.d/50-overlaynet.conf'), 'utf8')).toContain(
    'ManageForeignRoutes=no',
  );
});

/** A router advertisement (RFC 4861, 4.2) to all nodes, for half an hour; the kernel fills in the checksum. */
const advertise = `
use Socket qw(:all);
socket(my $s, AF_INET6, SOCK_RAW, 58) or die "socket: $!";
setsockopt($s, 41, 18, pack("i", 255)) or die "hop limit: $!";
setsockopt($s, 41, 17, pack("I", $ARGV[0])) or die "link: $!";
my $body = pack("CCnCCnNN", 134, 0, 0, 64, 0, 1800, 0, 0);
send($s, $body, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, "ff02::1"))) or die "send: $!";
`;

describe('a default route that a router advertises', () => {
  let router: Netns;
  const routes = async () => (await node.sh('ip -6 route show default')).trim();
  const advertised = async () => {
    const [link] = JSON.parse(await router.sh('ip -j link show eth0')) as [{ ifindex: number }];
    for (let at = 0; at < 50; at++) {
      // not before the node has its link-local address
      await router.run('perl', ['-e', advertise, String(link.ifindex)]);
      if ((await routes()).includes('proto ra')) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('no route came of the advertisement');
  };

  beforeEach(async () => {
    router = await Netns.create();
    all.push(router);
    all.push(
      await connect([
        { netns: node, addresses: [] },
        { netns: router, addresses: ['fe80::1/64'] },
      ]),
    );
    await advertised();
  });

  test('is lost if forwarding is switched on alone', async () => {
    await node.sh('sysctl -qw net.ipv6.conf.all.forwarding=1');
    expect(await routes()).toBe('');
  });

  test('stays with the installation, and is refreshed by the next advertisement', async () => {
    expect((await install()).code).toBe(0);
    expect(await sysctl('net.ipv6.conf.all.forwarding')).toBe('1');
    expect(await sysctl('net.ipv6.conf.eth0.accept_ra')).toBe('2');
    expect(await routes()).toMatch(/^default via fe80::\S+ dev eth0 proto ra/);
    await node.sh('ip -6 route del default');
    await advertised();
  });

  test('that a daemon added, while the kernel ignores advertisements, stays, too', async () => {
    await node.sh('ip -6 route del default');
    await node.sh('sysctl -qw net.ipv6.conf.eth0.accept_ra=0');
    await node.sh('ip -6 route add default via fe80::1 dev eth0 proto ra');
    expect((await install()).code).toBe(0);
    expect(await sysctl('net.ipv6.conf.eth0.accept_ra')).toBe('0');
    expect(await routes()).toMatch(/^default via fe80::1 dev eth0 proto ra/);
  });
});

describe('a read-only /opt/cni/bin', () => {
  const readOnly = () =>
    `mount -o bind ${dir}/host/opt ${dir}/host/opt && mount -o remount,ro,bind ${dir}/host/opt`;

  test('causes one clear error, and the rest is done', async () => {
    const { code, stderr } = await install(readOnly());
    expect(code).toBe(1);
    expect(stderr.trim().split('\n').at(-1)).toBe(
      "agent: install: /opt/cni/bin on the host is read-only, and lacks overlaynet: put the image's plugins there by " +
        'what makes that directory, or let the container runtime (bin_dir) and the DaemonSet (volume cni-bin) use one ' +
        'that can be written',
    );
    expect(await sysctl('net.ipv4.ip_forward')).toBe('1');
  });

  test('causes no error if it contains the right plugin', async () => {
    copyFileSync(join(dir, 'image/overlaynet'), join(dir, 'host/opt/cni/bin/overlaynet'));
    expect(await install(readOnly())).toMatchObject({ code: 0 });
  });
});

test('a running plugin is replaced and continues', async () => {
  const installed = join(dir, 'host/opt/cni/bin/overlaynet');
  copyFileSync(realpathSync('/bin/sleep'), installed);
  const running = spawn(installed, ['60'], { stdio: 'ignore' });
  try {
    await once(running, 'spawn');
    expect((await install()).code).toBe(0);
    expect(readFileSync(installed, 'utf8')).toBe('the image’s');
    expect(readlinkSync(`/proc/${running.pid!}/exe`)).toBe(`${installed} (deleted)`);
    expect(running.exitCode).toBeNull();
  } finally {
    running.kill();
    await once(running, 'exit');
  }
});

test('a read-only /etc is reported, and the node works without the drop-ins', async () => {
  const { code, stderr } = await install(
    `mount -o bind ${dir}/host/etc ${dir}/host/etc && mount -o remount,ro,bind ${dir}/host/etc`,
  );
  expect(code).toBe(0);
  expect(stderr).toContain('systemd-networkd could not be told to leave our routes alone');
});

test('`agent cleanup` removes what was installed, and keeps the host’s own files', async () => {
  writeFileSync(join(dir, 'host/opt/cni/bin/loopback'), 'the host’s', { mode: 0o755 });
  expect((await install()).code).toBe(0);
  const dirs = ['state', 'run', 'lease', 'cni-conf', 'cni-net'].flatMap((name) => [
    `--${name}-dir`,
    join(dir, name),
  ]);
  const cleanup = (...flags: string[]) =>
    node.run(process.execPath, [main, 'cleanup', '--host-root', join(dir, 'host'), ...dirs, ...flags]);
  const paths = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => line.replace(dir, ''));
  const there = await cleanup('--check');
  expect(there.code).toBe(1);
  expect(there.stderr).toBe(
    'agent: cleanup --check: the lines above are of overlaynet; `agent cleanup` removes them\n',
  );
  const would = await cleanup('--dry-run');
  expect(would.code).toBe(0);
  expect((await cleanup('--check', '--dry-run')).code).toBe(2);
  const { code, stdout } = await cleanup();
  expect({
    code,
    removed: stdout
      .trim()
      .split('\n')
      .map((line) => line.replace(dir, '')),
  }).toEqual({
    code: 0,
    removed: [
      '/host/opt/cni/bin/overlaynet',
      '/host/opt/cni/bin/.overlaynet.json',
      '/host/etc/systemd/networkd.conf.d/50-overlaynet.conf',
      '/host/etc/systemd/networkd.conf.d',
    ].map((path) => `removed ${path}`),
  });
  expect(paths(would.stdout)).toEqual(paths(stdout).map((line) => line.replace('removed', 'would remove')));
  expect(paths(there.stdout)).toEqual(paths(stdout).map((line) => line.replace('removed ', '')));
  expect(readdirSync(join(dir, 'host/opt/cni/bin'))).toEqual(['loopback']);
  expect(readdirSync(join(dir, 'host/etc/systemd'))).toEqual([]);
  for (const flags of [[], ['--check'], ['--dry-run']])
    expect(await cleanup(...flags)).toEqual({
      code: 0,
      stdout: 'nothing of overlaynet is here\n',
      stderr: '',
    });
});
