import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandError, type Run } from '../../../src/linux/run.ts';
import { lowNeighbourLimits } from '../../../src/linux/neighbours.ts';
import { installSystem, switchedOff } from '../../../src/linux/system.ts';
import { silent } from '../../../src/log.ts';
import { recordingLog } from '../../support/fixture.ts';

let root: string;
/** Everything that was run and every switch that was set, in order. */
let done: string[];

const set = (path: string, value: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${value}\n`);
};
const get = (path: string) => readFileSync(join(root, path), 'utf8').trim();

const forwarding = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'];
const bridge = ['net/bridge/bridge-nf-call-iptables', 'net/bridge/bridge-nf-call-ip6tables'];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ovt-sys-'));
  done = [];
  for (const path of [...forwarding, ...bridge]) set(path, '0');
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** Routers' default routes, as `ip -6 -j route show default` prints them; modprobe answers as told. */
const running =
  (routes: object[] = [], modprobe = { code: 1, stderr: 'modprobe: FATAL: Module x not found' }): Run =>
  (program, args) => {
    done.push([program, ...args].join(' '));
    if (program === 'modprobe') return Promise.resolve({ stdout: '', ...modprobe });
    return Promise.resolve({ stdout: JSON.stringify(routes), stderr: '', code: 0 });
  };

test.each([...forwarding, ...bridge])('%s is reported when it is off, and switched on', async (path) => {
  for (const other of [...forwarding, ...bridge]) set(other, other === path ? '0' : '1');
  expect(switchedOff(root)).toEqual([
    expect.stringMatching(new RegExp(`^${path.replaceAll('/', '\\.')} is 0: .*; set it to 1$`)),
  ]);
  await installSystem(silent, running(), root);
  expect(get(path)).toBe('1');
  expect(switchedOff(root)).toEqual([]);
});

test('a switch that is on is not changed, even with a value above 1', async () => {
  for (const path of bridge) set(path, '1');
  for (const path of forwarding) set(path, '2');
  await installSystem(silent, running(), root);
  expect(forwarding.map(get)).toEqual(['2', '2']);
});

test('a kernel without IPv6 needs no IPv6 forwarding, and is not asked for routes', async () => {
  rmSync(join(root, 'net/ipv6'), { recursive: true });
  await installSystem(silent, running(), root);
  expect(switchedOff(root)).toEqual([]);
  expect(done.filter((line) => line.startsWith('ip '))).toEqual([]);
});

test('a missing br_netfilter is reported with its effect, and the rest is done', async () => {
  rmSync(join(root, 'net/bridge'), { recursive: true });
  const log = recordingLog();
  await installSystem(log, running(), root);
  expect(switchedOff(root)).toEqual([
    'net.bridge.bridge-nf-call-iptables does not exist: a Service whose endpoint is on the bridge of its client does not answer; load the module br_netfilter',
    expect.stringContaining('net.bridge.bridge-nf-call-ip6tables does not exist'),
  ]);
  expect(log.lines.filter((line) => line.startsWith('warn'))).toEqual(
    switchedOff(root).map((problem) => {
      const [name = ''] = problem.split(' ');
      return `warn a sysctl is not as the data path needs it object="${name}" command="sysctl ${name}" output="${problem}"`;
    }),
  );
  expect(forwarding.map(get)).toEqual(['1', '1']);
});

/** Of every match and target that a rule of ours has, as far as it is a module of its own. */
const ofRules = readdirSync('src/dataplane')
  .flatMap(
    (file) =>
      readFileSync(join('src/dataplane', file), 'utf8').match(
        /-m [a-z]+|-j (MASQUERADE|CONNMARK|MARK|CT)\b/g,
      ) ?? [],
  )
  .flatMap((text) => {
    const name = text.slice(3);
    if (name === 'rpfilter') return ['ipt_rpfilter', 'ip6t_rpfilter'];
    return [
      name === 'tcp' || name === 'udp'
        ? 'xt_tcpudp'
        : `xt_${name.endsWith('MARK') ? name.toLowerCase() : name}`,
    ];
  });
const others =
  'vxlan bridge veth br_netfilter nf_tables nft_compat nft_ct nft_limit nf_conntrack nf_conntrack_netlink ip_set ip_set_hash_net';
const modules = [...new Set([...others.split(' '), ...ofRules])];

test('rules have matches that are modules', () => {
  expect(ofRules).toEqual(
    expect.arrayContaining(['xt_set', 'xt_conntrack', 'xt_MASQUERADE', 'xt_mark', 'xt_tcpudp']),
  );
});

test.each(modules)('the module %s is loaded, before any switch is looked at', async (module) => {
  await installSystem(silent, running([], { code: 0, stderr: '' }), root);
  expect(done).toContain(`modprobe ${module}`);
  expect(done.at(-1)).toBe('ip -6 -j route show default');
});

describe('a kernel whose list of built-in modules is there', () => {
  let kernel: { release: string; modules: string; sys: string };
  beforeEach(() => {
    kernel = { release: '6.12.0-55.el10.x86_64', modules: join(root, 'modules'), sys: join(root, 'sys') };
    set('sys/module/ipv6/version', '');
  });
  const builtIn = (names: string[]) => {
    set(
      `modules/${kernel.release}/modules.builtin`,
      names.map((name) => `kernel/net/netfilter/${name}.ko`).join('\n'),
    );
  };

  test('fails the installation if a module is neither loadable nor built in, and names it and the package; the rest is done', async () => {
    builtIn(modules.filter((name) => !['xt_set', 'ip_set', 'ip_set_hash_net'].includes(name)));
    await expect(installSystem(silent, running(), root, kernel)).rejects.toThrow(
      /^kernel 6\.12\.0-55\.el10\.x86_64 has no ip_set, ip_set_hash_net, xt_set, neither to be loaded nor built in \(modprobe: FATAL: Module x not found\): install .*kernel-modules-extra/,
    );
    expect(forwarding.map(get)).toEqual(['1', '1']);
  });

  test('counts built-in and loaded modules, in both spellings', async () => {
    builtIn(modules.filter((name) => name !== 'xt_set').map((name) => name.replaceAll('_', '-')));
    set('sys/module/xt_set/refcnt', '1');
    await installSystem(silent, running(), root, kernel);
  });

  test('without IPv6 needs no match of IPv6', async () => {
    builtIn(modules.filter((name) => name !== 'ip6t_rpfilter'));
    await expect(installSystem(silent, running(), root, kernel)).rejects.toThrow('has no ip6t_rpfilter,');
    rmSync(join(root, 'sys/module/ipv6'), { recursive: true });
    await installSystem(silent, running(), root, kernel);
  });
});

describe('the limits of the neighbour tables', () => {
  const limits = ['ipv4', 'ipv6'].flatMap((family) =>
    [1, 2, 3].map((at) => `net/${family}/neigh/default/gc_thresh${at}`),
  );

  test('are raised, for both families, and never lowered', async () => {
    for (const path of limits) set(path, '1024');
    set(limits[2]!, '100000');
    set(limits[4]!, '8192');
    expect(lowNeighbourLimits(root)).toEqual([
      expect.stringMatching(/^net\.ipv6\.neigh\.default\.gc_thresh3 is 1024: .*; set it to 16384 or more$/),
    ]);
    await installSystem(silent, running(), root);
    expect(limits.map(get)).toEqual(['4096', '8192', '100000', '4096', '8192', '16384']);
    expect(lowNeighbourLimits(root)).toEqual([]);
  });

  test('are not there in a namespace that is not the machine’s, and nothing is said', async () => {
    const log = recordingLog();
    await installSystem(log, running([], { code: 0, stderr: '' }), root);
    expect(log.lines.filter((line) => line.includes('neigh'))).toEqual([]);
    expect(lowNeighbourLimits(root)).toEqual([]);
  });
});

test('without the kernel’s list of built-in modules, those that cannot be loaded are reported in one line', async () => {
  const log = recordingLog();
  await installSystem(log, running(), root);
  expect(log.lines.filter((line) => line.includes('modules'))).toHaveLength(1);
  const absent: Run = (program, args, options) =>
    program === 'modprobe'
      ? Promise.reject(new CommandError('modprobe: not found; install kmod'))
      : running()(program, args, options);
  const other = recordingLog();
  await installSystem(other, absent, root);
  expect(other.lines.filter((line) => line.includes('modprobe: not found'))).toHaveLength(1);
});

describe('where routers advertise the default route', () => {
  const accept = (link: string) => `net/ipv6/conf/${link}/accept_ra`;
  const routes = [
    { dst: 'default', gateway: 'fe80::1', dev: 'eth0', protocol: 'ra' },
    { dst: 'default', protocol: 'ra', nexthops: [{ dev: 'eth1.5' }, { dev: 'eth2' }] },
    { dst: 'default', gateway: 'fe80::2', dev: 'eth3', protocol: 'static' },
  ];
  beforeEach(() => {
    for (const link of ['eth0', 'eth1.5', 'eth3', 'eth4']) set(accept(link), '1');
    set(accept('eth2'), '0');
  });

  test('accept_ra becomes 2 on those links before forwarding is switched on; 0, where a daemon listens, stays', async () => {
    const log = recordingLog();
    await installSystem(log, running(routes), root);
    expect(['eth0', 'eth1.5', 'eth2', 'eth3', 'eth4'].map((link) => get(accept(link)))).toEqual([
      '2',
      '2',
      '0',
      '1',
      '1',
    ]);
    const order = log.lines.filter((line) => line.startsWith('info sysctl set name="net.ipv6'));
    expect(order).toEqual([
      'info sysctl set name="net.ipv6.conf.eth0.accept_ra" value=2',
      'info sysctl set name="net.ipv6.conf.eth1.5.accept_ra" value=2',
      'info sysctl set name="net.ipv6.conf.all.forwarding" value=1',
    ]);
  });

  test('if accept_ra cannot be set, IPv6 forwarding stays off, and the installation fails and names it', async () => {
    rmSync(join(root, accept('eth0')));
    mkdirSync(join(root, accept('eth0')));
    await expect(installSystem(silent, running(routes), root)).rejects.toThrow(/EISDIR/);
    rmSync(join(root, accept('eth0')), { recursive: true });
    const failing: Run = (program, args) =>
      Promise.resolve({
        stdout: '',
        stderr: 'Cannot open netlink socket',
        code: program === 'ip' ? 1 : args.length - 1,
      });
    await expect(installSystem(silent, failing, root)).rejects.toThrow(
      'ip -6 -j route show default: Cannot open netlink socket',
    );
    expect(forwarding.map(get)).toEqual(['1', '0']);
  });
});
