import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { answer } from '../../src/containers/answer.ts';
import type { Known } from '../../src/containers/choose.ts';
import { cleanup, removeAll } from '../../src/agent/cleanup.ts';
import { Removal } from '../../src/host/removal.ts';
import { CNIFiles } from '../../src/containers/cni.ts';
import { socketIn } from '../../src/host/directories.ts';
import { AgentSocket } from '../../src/containers/socket.ts';
import { sweep } from '../../src/containers/sweep.ts';
import type { Namespace } from '../../src/containers/requested.ts';
import type { AllocatedNetwork, NetworkSubnet } from '../../src/api/types.ts';
import { bridges } from '../../src/dataplane/desired.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { Netns } from '../support/netns.ts';
import { directoriesIn, network, node2, recordingLog, scratch, snapshot } from '../support/fixture.ts';

/** The conflists and the socket, with the real plugin. */
const plugins = process.env.CNI_PATH ?? '';
const plugin = `${plugins}/overlaynet`;

const both: AllocatedNetwork = {
  name: 'both',
  subnets: [
    { cidr: '9.0.1.0/24', bridges: { cni: '9.0.1.0/25' } },
    { cidr: 'fd01:b:0:0:1::/80', bridges: { cni: 'fd01:b:0:0:1::/81' } },
  ],
};
const tiny: AllocatedNetwork = {
  name: 'tiny',
  subnets: [{ cidr: '10.1.0.0/28', bridges: { cni: '10.1.0.0/29' } }],
};
const own = { ...node2, networks: [both, tiny] };
const facts = (state: NetworkSubnet['state'] = 'Active'): Known => ({
  snapshot: snapshot({
    networks: [
      network('both', { cidr: '9.0.0.0/8', prefix: 24, state }, { cidr: 'fd01:b::/64', prefix: 80, state }),
      network('tiny', { cidr: '10.1.0.0/16', prefix: 28, state: 'Active' }),
    ],
    allocations: [{ node: 'node2', spec: own }],
  }),
  idle: new Map(),
  failed: new Map(),
});

let at: ReturnType<typeof scratch>;
let node: Netns;
let container: Netns;
let socket: AgentSocket;
let known: Known;
let namespaces: Namespace[];
let cni: CNIFiles;
beforeEach(async () => {
  if (!existsSync(plugin)) throw new Error('CNI_PATH has no overlaynet: run the tests by `npm test`');
  at = scratch();
  known = facts();
  namespaces = [{ name: 'default' }];
  node = await Netns.create();
  container = await Netns.create();
  // as the data path makes them
  for (const { name, mac, mtu, addresses } of bridges('node2', own, 1450)) {
    await node.sh(`ip link add ${name} address ${mac} type bridge`);
    await node.sh(`ip link set ${name} alias overlaynet mtu ${mtu} addrgenmode none up`);
    for (const address of addresses) {
      await node.sh(`ip addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
    }
  }
  cni = new CNIFiles({ directories: directoriesIn(at), log: recordingLog() });
  cni.publish(cni.conflists(known.snapshot));
  cni.open();
  socket = new AgentSocket({
    path: socketIn(at.path('run')),
    log: recordingLog(),
    answer: (ask) =>
      answer(ask, {
        known: () => Promise.resolve(known),
        namespaces: {
          get: (name) => namespaces.find((one) => one.name === name),
          lookUp: (name) => Promise.resolve(`there is no namespace ${name}`),
        },
        pods: { networkOf: (_namespace, name) => Promise.resolve(`there is no pod ${name}`) },
      }),
  });
  await socket.listen();
});
afterEach(async () => {
  await socket.close();
  await container.delete();
  await node.delete();
  at.drop();
});

const defaultConflist = ['net', '05-overlaynet.conflist'];
const pod = { K8S_POD_NAMESPACE: 'default', K8S_POD_NAME: 'web-0' };

interface Call {
  conflist?: string[];
  args?: Record<string, string>;
  annotation?: string;
  id?: string;
}

/** Runs a conflist's first plugin, as a runtime does. */
async function call(command: 'ADD' | 'DEL' | 'STATUS', options: Call = {}) {
  const { conflist = defaultConflist, args = pod, annotation, id = 'ovt-c' } = options;
  const list = JSON.parse(readFileSync(at.path(...conflist), 'utf8')) as {
    cniVersions: string[];
    name: string;
    plugins: object[];
  };
  const annotations = annotation === undefined ? {} : { 'overlaynet.dev/network': annotation };
  const config = {
    cniVersion: list.cniVersions.at(-1),
    name: list.name,
    ...list.plugins[0],
    runtimeConfig: { 'io.kubernetes.cri.pod-annotations': annotations },
  };
  const { stdout, code } = await node.run(plugin, [], {
    input: JSON.stringify(config),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: `/proc/${container.pid}/ns/net`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: plugins,
      CNI_ARGS: ['IgnoreUnknown=1', ...Object.entries(args).map((pair) => pair.join('='))].join(';'),
    },
  });
  const said = JSON.parse(stdout || '{}') as { code?: number; msg?: string; ips?: { address: string }[] };
  return { code, said, addresses: said.ips?.map(({ address }) => address) };
}
const held = (name: string) => {
  const dir = at.path('leases', name);
  return existsSync(dir) ? readdirSync(dir).filter((file) => /^[0-9a-f]+[.:]/.test(file)) : [];
};

test('a pod without annotation gets the default network, and DEL releases it', async () => {
  known.snapshot.config = { ...known.snapshot.config, defaultNetwork: 'elsewhere,both' };
  expect(await call('STATUS')).toMatchObject({ code: 0 });
  const { code, addresses } = await call('ADD');
  expect([code, addresses]).toEqual([0, ['9.0.1.2/25', 'fd01:b::1:0:0:2/81']]);
  expect(await container.sh('ip -4 route show default')).toContain('via 9.0.1.1 dev eth0');
  expect(await container.sh('ping -c 1 -w 20 9.0.1.1')).toContain('1 received');
  expect(await container.sh('ping -c 1 -w 20 fd01:b::1:0:0:1')).toContain('1 received');
  expect(held('both').sort()).toEqual(['9.0.1.2', expect.stringMatching(/^fd01/)]);
  await socket.close(); // DEL needs no agent
  expect((await call('DEL')).code).toBe(0);
  expect(held('both')).toEqual([]);
});

test('several networks by annotation: eth0 first, and the default route from it', async () => {
  const { code, addresses } = await call('ADD', { annotation: 'tiny,both' });
  expect([code, addresses]).toEqual([0, ['10.1.0.2/29', '9.0.1.2/25', 'fd01:b::1:0:0:2/81']]);
  expect(await container.sh('ip -4 route show default')).toMatch(/via 10.1.0.1 dev eth0/);
  expect(await container.sh('ip -6 route show default')).toMatch(/via fd01:b::1:0:0:1 dev eth1/);
  expect((await call('DEL')).code).toBe(0);
});

test('the plugin passes the agent’s refusal to the runtime', async () => {
  const { code, said } = await call('ADD', { annotation: 'nowhere' });
  expect(code).not.toBe(0);
  expect(said).toMatchObject({
    code: 100,
    msg: 'annotation overlaynet.dev/network of pod default/web-0: there is no network nowhere',
    details: 'networks in force: both, tiny',
  });
  namespaces = [];
  expect((await call('ADD')).said).toMatchObject({ code: 11, msg: 'there is no namespace default' });
  await socket.close();
  expect((await call('ADD')).said).toMatchObject({ code: 11 });
  expect(readdirSync(at.path('state', 'attachments')).filter((file) => !file.startsWith('.'))).toEqual([]);
});

test('a network’s own conflist works without Kubernetes, and shares its leases with the default one', async () => {
  const conflist = ['conf', 'both.conflist'];
  expect((await call('ADD', { conflist, args: {} })).addresses?.[0]).toBe('9.0.1.2/25');
  const other = await Netns.create();
  const first = container;
  container = other;
  try {
    expect((await call('ADD', { annotation: 'both', id: 'ovt-d' })).addresses?.[0]).toBe('9.0.1.3/25');
    expect((await call('DEL', { id: 'ovt-d' })).code).toBe(0);
  } finally {
    container = first;
    await other.delete();
  }
  expect((await call('DEL', { conflist, args: {} })).code).toBe(0);
  expect(held('both')).toEqual([]);
});

test('a draining network gives no address, and its containers can still be deleted', async () => {
  expect((await call('ADD', { annotation: 'both' })).code).toBe(0);
  known = facts('Draining');
  const other = await Netns.create();
  const first = container;
  container = other;
  const { said } = await call('ADD', { annotation: 'both', id: 'ovt-d' });
  container = first;
  await other.delete();
  expect(said).toMatchObject({
    code: 101,
    msg: expect.stringContaining('network both gives no new addresses'),
  });
  expect((await call('DEL')).code).toBe(0);
  expect(held('both')).toEqual([]);
});

test('a deleted network keeps a lease until its container ends', async () => {
  expect((await call('ADD', { annotation: 'tiny' })).code).toBe(0);
  const shown = JSON.parse(await node.sh('ip -j link show')) as { ifname: string }[];
  const links = new Set(shown.map(({ ifname }) => ifname));
  const later = new CNIFiles({
    directories: directoriesIn(at),
    log: recordingLog(),
    owned: ['tiny'],
    links: () => links,
  });
  expect(later.removeLeases(new Set(['both'])).held).toEqual([
    'network tiny is gone, and still has pod default/web-0',
  ]);
  expect(held('tiny')).toEqual(['10.1.0.2']);
});
test('the sweep at the agent’s start frees only what a reboot left', async () => {
  expect((await call('ADD', { annotation: 'both' })).code).toBe(0);
  const log = recordingLog();
  const options = { plugin, directories: directoriesIn(at), run: node.run, log };
  expect(await sweep(options)).toBeUndefined();
  expect(held('both')).toHaveLength(2);
  await container.sh('ip link del eth0');
  expect(await sweep(options)).toBeUndefined();
  expect(held('both')).toEqual([]);
  expect(log.lines).toEqual([
    expect.stringMatching(/^info swept freed=0 kept=1/),
    expect.stringMatching(/^info swept freed=1 kept=0 what=/),
  ]);
});

test('cleanup removes containers’ ports with everything else, and refuses to run beside an agent', async () => {
  expect((await call('ADD', { annotation: 'both,tiny' })).code).toBe(0);
  const log = recordingLog();
  const directories = directoriesIn(at);
  const flags = { ...directories, hostRoot: at.dir, cniBinDir: '/bin' };
  await expect(cleanup(flags)).rejects.toThrow(
    `an agent runs on this node and would recreate everything: stop it first (it listens at ${socketIn(at.path('run'))})`,
  );
  await socket.close();
  const kernel = new DataPath({ log, run: node.run });
  expect(await removeAll({ directories, kernel, log, removal: new Removal() })).toEqual([]);
  const links = JSON.parse(await node.sh('ip -j link show')) as { ifname: string }[];
  expect(links.map(({ ifname }) => ifname)).toEqual(['lo']);
  expect((await container.try('ip link show eth0')).code).not.toBe(0);
  // the runtimes' own directory stays
  expect(readdirSync(at.dir)).toEqual(['net']);
  expect(readdirSync(at.path('net'))).toEqual([]);
});
