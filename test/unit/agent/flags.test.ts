import { FlagError, parseRunFlags, type RunFlags } from '../../../src/agent/flags.ts';

const flags = (changes: Partial<RunFlags>): RunFlags => ({
  node: 'node2',
  addresses: '172.17.0.4',
  listen: '127.0.0.1:9181',
  resync: '60s',
  logLevel: 'info',
  stateDir: '/var/lib/overlaynet',
  cniConfDir: '/etc/cni/overlaynet.d',
  cniNetDir: '/etc/cni/net.d',
  leaseDir: '/var/lib/cni/networks',
  runDir: '/run/overlaynet',
  cniPlugin: '/opt/cni/bin/overlaynet',
  ...changes,
});

test('addresses keep their order and get RFC 5952 text', () => {
  expect(parseRunFlags(flags({ addresses: 'FD00:0::4, 172.17.0.4' })).addresses).toEqual([
    'fd00::4',
    '172.17.0.4',
  ]);
  expect(parseRunFlags(flags({ addresses: '172.17.0.4,' })).addresses).toEqual(['172.17.0.4']);
});

test('durations are Go durations', () => {
  expect(parseRunFlags(flags({ resync: '1m30s' })).resyncMs).toBe(90_000);
});

test.each<[string, Partial<RunFlags>, string]>([
  ['no node name', { node: '' }, '--node (or NODE_NAME) is missing: the name of this Node'],
  ['a node name that is none', { node: 'a/b' }, '--node "a/b" is no Node name'],
  ['no address', { addresses: '' }, "--addresses (or NODE_IPS) is missing: this node's own addresses"],
  ['no IP address', { addresses: '172.17.0.256' }, '--addresses: "172.17.0.256" is not an IP address'],
  ['a zone', { addresses: 'fe80::1%eth0' }, '--addresses: "fe80::1%eth0" is not an IP address'],
  [
    'two of one family',
    { addresses: '10.0.0.1,10.0.0.2' },
    '--addresses "10.0.0.1,10.0.0.2": at most one IPv4 and one IPv6 address',
  ],
  ['a port too high', { listen: '127.0.0.1:99999' }, '--listen "127.0.0.1:99999" is not of the form'],
  [
    'no port',
    { listen: 'localhost' },
    '--listen "localhost" is not of the form HOST:PORT, [IPv6]:PORT or :PORT',
  ],
  ['a certificate without its key', { tlsCert: 'tls.crt' }, '--tls-cert and --tls-key belong together'],
  ['a duration without unit', { resync: '60' }, '--resync "60" is no duration from 1s to 24h'],
  ['a duration too long', { resync: '25h' }, '--resync "25h" is no duration from 1s to 24h'],
  ['a duration too short', { resync: '10ms' }, '--resync "10ms" is no duration from 1s to 24h'],
  ['a directory without a root', { runDir: 'run' }, '--run-dir "run" is no absolute path'],
  ['a level', { logLevel: 'loud' }, '--log-level "loud" is not one of error, warn, info, debug'],
])('%s is refused in one line', (_, changes, message) => {
  expect(() => parseRunFlags(flags(changes))).toThrow(FlagError);
  expect(() => parseRunFlags(flags(changes))).toThrow(message);
});

test('the mode of the conflists is octal, and leaves root its own files', () => {
  expect(parseRunFlags(flags({ conflistMode: '' }))).not.toHaveProperty('conflistMode');
  for (const [text, mode] of [
    ['0600', 0o600],
    ['640', 0o640],
  ] as const) {
    expect(parseRunFlags(flags({ conflistMode: text })).conflistMode).toBe(mode);
  }
  for (const text of ['600x', '0444', '8', '4755', 'u+rw']) {
    expect(() => parseRunFlags(flags({ conflistMode: text }))).toThrow(`--conflist-mode "${text}"`);
  }
});
