import { jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { cleanup } from '../../src/agent/cleanup.ts';
import { networkLabel } from '../../src/docker/networks.ts';
import { FakeEngine } from '../support/fakeengine.ts';
import { attachment, scratch } from '../support/fixture.ts';
import { Netns } from '../support/netns.ts';
import { difference, shownBy, tracesIn } from '../support/residue.ts';

/**
 * One leftover of each kind that overlaynet could leave. The scan of test/support/residue.ts must show it, `agent
 * cleanup --check` must name it and fail, and `agent cleanup` must remove it.
 */

interface Leftover {
  what: string;
  /** Commands that make it in the kernel. Commands of `on` run before and do not belong to the leftover. */
  plant: string[];
  on?: string[];
  /** Names of the scan's lists that show it. */
  shown: string[];
  /** The line that `cleanup --check` prints about it. */
  said: string;
}

const tunnel = [
  'ip link add vtep1024 type vxlan id 1024 dstport 64000 local 127.0.0.1 nolearning',
  'ip link set vtep1024 alias overlaynet',
  // without the address that the kernel would add some time after the link is up
  'ip link set vtep1024 addrgenmode none',
  'ip link set vtep1024 up',
];
const chainOf = (program: string, table: string): Leftover => ({
  what: `a chain of ${program}`,
  plant: [`${program} -t ${table} -N OVERLAYNET-FORWARD`],
  // iptables makes the tables when they are first listed
  on: [`${program} -t ${table} -S`],
  shown: [
    program
      .replace(/-nft$/, '')
      .replace(/^iptables-legacy$/, 'legacy')
      .replace(/^ip6tables-legacy$/, 'legacy6'),
  ],
  said: `iptables chains (1): OVERLAYNET-FORWARD (${program}, ${table})`,
});

const inKernel: Leftover[] = [
  {
    what: 'a link',
    plant: ['ip link add m-left type bridge', 'ip link set m-left alias overlaynet'],
    shown: ['links'],
    said: 'links (1): m-left',
  },
  {
    what: 'an address',
    on: tunnel,
    plant: ['ip addr add 44.128.0.1/20 dev vtep1024 noprefixroute'],
    shown: ['addresses'],
    said: 'addresses (1): 44.128.0.1/20 on vtep1024',
  },
  {
    what: 'an IPv4 route',
    plant: ['ip route add unreachable 9.9.9.0/24 proto 142'],
    shown: ['routes'],
    said: 'routes (1): 9.9.9.0/24 table 254',
  },
  {
    what: 'an IPv6 route',
    plant: ['ip -6 route add unreachable fd01:99::/64 proto 142'],
    shown: ['routes6'],
    said: 'routes (1): fd01:99::/64 table 254',
  },
  ...['9.9.0.0/16', 'fd01:99::/64'].map((range) => {
    const rule = `from ${range} lookup 42 pref 142`;
    const six = range.includes(':') ? '6' : '';
    return {
      what: `a routing rule ${rule}`,
      plant: [`ip -${six || '4'} rule add ${rule} protocol 142`],
      shown: [`rules${six}`],
      said: `routing rules (1): ${rule}`,
    };
  }),
  ...[
    ['', '44.128.0.3'],
    ['6', 'fd01:a::3'],
  ].map(([six = '', address = '']) => ({
    what: `a neighbour, ${address}`,
    on: tunnel,
    plant: [`ip neigh add ${address} lladdr 70:b3:d5:80:00:03 dev vtep1024 nud permanent`],
    shown: [`neighbours${six}`],
    said: `neighbours (1): ${address} on vtep1024`,
  })),
  {
    what: 'an FDB entry',
    on: tunnel,
    plant: ['bridge fdb add 70:b3:d5:80:00:03 dev vtep1024 dst 172.17.0.3 self permanent'],
    shown: ['fdb'],
    said: 'FDB entries (1): 70:b3:d5:80:00:03 on vtep1024',
  },
  {
    what: 'a nexthop',
    on: tunnel,
    plant: ['ip nexthop add id 1870659587 via 44.128.0.3 dev vtep1024 onlink protocol 142'],
    shown: ['nexthops'],
    said: 'nexthops (1): id 1870659587',
  },
  {
    what: 'an ipset',
    plant: ['ipset create overlaynet-left-4 hash:net family inet'],
    shown: ['sets'],
    said: 'ipsets (1): overlaynet-left-4',
  },
  chainOf('iptables-nft', 'mangle'),
  chainOf('ip6tables-nft', 'filter'),
  chainOf('iptables-legacy', 'filter'),
  chainOf('ip6tables-legacy', 'mangle'),
  ...['bridge overlaynet', 'inet overlaynet'].map((table) => ({
    what: `nftables' table ${table}`,
    plant: [`nft add table ${table}`],
    shown: ['nft'],
    said: `nftables tables (1): ${table}`,
  })),
];

interface LeftFile {
  what: string;
  /** Path below the host's root. */
  path: string;
  text: string;
  /** Default: the lists of names and of contents. */
  shown?: string[];
  /** The line that `cleanup --check` prints about it; default: the path. */
  said?: string;
  /** Other files, which make our networks known. */
  beside?: Record<string, string>;
}

const record = JSON.stringify(attachment());
const files: LeftFile[] = [
  {
    what: "a network's conflist",
    path: 'etc/cni/overlaynet.d/left.conflist',
    text: JSON.stringify({
      cniVersion: '1.0.0',
      name: 'left',
      plugins: [{ type: 'overlaynet', network: 'left' }],
    }),
  },
  {
    what: "the runtime's conflist",
    path: 'etc/cni/net.d/05-overlaynet.conflist',
    text: '{}',
  },
  {
    what: 'a lease',
    path: 'var/lib/cni/networks/dcos/9.0.1.2',
    text: 'cafe',
    said: 'var/lib/cni/networks/dcos',
    beside: { 'var/lib/overlaynet/attachments/cafe:eth0.json': record },
  },
  {
    what: "a container's record",
    path: 'var/lib/overlaynet/attachments/cafe:eth0.json',
    text: record,
    said: 'var/lib/overlaynet/attachments',
  },
  {
    what: 'a checkpoint',
    path: 'var/lib/overlaynet/checkpoint.json',
    text: '{}',
  },
  ...[
    'run/overlaynet/complete',
    'run/overlaynet/agent.sock.untold',
    'run/overlaynet/agent.sock.untold.taken',
    'etc/systemd/networkd.conf.d/50-overlaynet.conf',
    'etc/NetworkManager/conf.d/50-overlaynet.conf',
  ].map((path) => ({ what: `/${path}`, path, text: '# Written by overlaynet', shown: ['files'] })),
  {
    what: 'a plugin that was copied',
    path: 'opt/cni/bin/overlaynet',
    text: 'plugin',
    // this marks it as ours: an image of the host may include such a file
    beside: {
      'opt/cni/bin/.overlaynet.json': JSON.stringify({
        overlaynet: [createHash('sha256').update('plugin').digest('hex')],
      }),
    },
  },
];

let at: ReturnType<typeof scratch>;
let netns: Netns;
let engine: FakeEngine;
beforeEach(async () => {
  at = scratch();
  netns = await Netns.create();
  engine = new FakeEngine();
  await engine.up();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await engine.drop();
  await netns.delete();
  at.drop();
});

/** Runs the scan with this test's directory as the host's root. */
const traces = async () =>
  tracesIn(
    async (command) =>
      (await netns.run('sh', ['-c', command.replace(/ \/(etc|opt|var|run)\//g, ` ${at.dir}/$1/`)])).stdout,
  );

/** Returns the lines that `agent cleanup` printed, and its error. */
async function cleaned(how: {
  check?: boolean;
  dryRun?: boolean;
}): Promise<{ said: string[]; error: string }> {
  let said = '';
  const write = jest
    .spyOn(process.stdout, 'write')
    .mockImplementation((text) => (said += String(text)) !== '');
  const flags = {
    stateDir: at.path('var/lib/overlaynet'),
    cniConfDir: at.path('etc/cni/overlaynet.d'),
    cniNetDir: at.path('etc/cni/net.d'),
    leaseDir: at.path('var/lib/cni/networks'),
    runDir: at.path('run/overlaynet'),
    hostRoot: at.dir,
    cniBinDir: 'opt/cni/bin',
    dockerSocket: engine.socket,
    ...how,
  };
  try {
    await cleanup(flags, netns.run);
    return { said: said.split('\n'), error: '' };
  } catch (error) {
    return { said: said.split('\n'), error: (error as Error).message };
  } finally {
    write.mockRestore();
  }
}

/** Checks that --check and --dry-run name the leftover without a change, and that cleanup then removes it. */
async function expectFound(line: string): Promise<void> {
  const before = await traces();
  const { said, error } = await cleaned({ check: true });
  expect(said).toContain(line);
  expect(error).toContain('cleanup --check: the lines above are of overlaynet');
  expect((await cleaned({ dryRun: true })).said).toContain(`would remove ${line}`);
  expect(difference(before, await traces())).toEqual([]);
  expect((await cleaned({})).error).toBe('');
  expect(await cleaned({ check: true })).toEqual({ said: ['nothing of overlaynet is here', ''], error: '' });
}

const lists = (changes: readonly string[]) => new Set(changes.map(shownBy));

test.each(inKernel)('$what is found', async ({ plant, on = [], shown, said }) => {
  for (const command of on) await netns.sh(command);
  const before = await traces();
  for (const command of plant) await netns.sh(command);
  expect([...lists(difference(before, await traces()))]).toEqual(expect.arrayContaining(shown));
  await expectFound(said);
});

test.each(files)('$what is found', async (file) => {
  const { path, text, shown = ['contents', 'files'], said = path, beside = {} } = file;
  const write = ([name, content]: [string, string]) => {
    mkdirSync(dirname(at.path(name)), { recursive: true });
    writeFileSync(at.path(name), content);
  };
  Object.entries(beside).forEach(write);
  const before = await traces();
  write([path, text]);
  expect([...lists(difference(before, await traces()))].toSorted()).toEqual(shown.toSorted());
  await expectFound(at.path(said));
});

test('a network of Docker is found', async () => {
  engine.add({ Name: 'left', Labels: { [networkLabel]: 'left' } });
  engine.add({ Name: 'mine' });
  await expectFound('Docker network left');
  expect(engine.networks.map(({ Name }) => Name)).toEqual(['mine']);
});

test('objects of other programs are not found', async () => {
  for (const command of [
    'ip link add m-mine type bridge',
    'ip route add unreachable 10.9.0.0/16 proto static',
    'ip rule add from 10.9.0.0/16 lookup 42 pref 142',
    'ipset create others hash:net family inet',
    'iptables-nft -t mangle -N MINE',
    'nft add table inet mine',
  ])
    await netns.sh(command);
  expect(await cleaned({ check: true })).toEqual({ said: ['nothing of overlaynet is here', ''], error: '' });
});
