import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAttachments } from '../../src/containers/attachments.ts';
import { choose } from '../../src/containers/choose.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import type { Netns } from '../support/netns.ts';
import { ping, Wire } from '../support/wire.ts';
import { recordingLog } from '../support/fixture.ts';

// The agent's answer, what the plugin makes of it, and what the agent's passes keep of that, on two nodes.

const networks = ['a', 'b'].map((name, index) => ({
  name,
  subnets: [{ cidr: `9.${index + 1}.0.0/16`, prefix: 24 }],
}));
const wire = new Wire();
const agents: Server[] = [];
const containers: Netns[] = [];
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-second-'));
  await wire.up('IPv4', { networks });
  for (const index of wire.nodes.keys()) {
    const snapshot = cluster(2, index, { networks });
    const agent = createServer((request, response) => {
      const known = { snapshot, idle: new Map(), failed: new Map() };
      const choice = choose({ containerID: 'one', ifname: 'eth0', annotation: 'a,b' }, known, undefined);
      request.resume().on('end', () => response.end(JSON.stringify(choice)));
    });
    agents.push(agent);
    await new Promise<void>((resolve) => agent.listen(join(dir, `agent${index}.sock`), resolve));
    containers.push(await wire.create());
    await add(index);
  }
});

afterAll(async () => {
  for (const agent of agents) agent.close();
  await wire.down();
  rmSync(dir, { recursive: true });
});

const stateDir = (index: number) => join(dir, `node${index}`);

/** Runs a pass of agents that have just started. */
const pass = (names = ['a', 'b']) =>
  new DataPath({
    log: silent,
    run: wire.nodes[0]!.run,
    attachments: () => readAttachments(stateDir(0)),
  }).reconcile(cluster(2, 0, { networks: networks.filter(({ name }) => names.includes(name)) }));

async function addressOf(container: Netns, name: string): Promise<string> {
  return /inet ([\d.]+)/.exec(await container.sh(`ip -4 addr show dev ${name}`))?.[1] ?? '';
}

async function add(index: number): Promise<void> {
  const own = stateDir(index);
  const dirs = { socket: join(dir, `agent${index}.sock`), stateDir: own, leaseDir: join(own, 'networks') };
  const { stdout, code } = await wire.nodes[index]!.run(join(process.env.CNI_PATH ?? '', 'overlaynet'), [], {
    input: JSON.stringify({ cniVersion: '1.1.0', name: 'overlaynet', type: 'overlaynet', ...dirs }),
    env: {
      CNI_COMMAND: 'ADD',
      CNI_PATH: process.env.CNI_PATH ?? '',
      CNI_CONTAINERID: 'one',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: `/proc/${containers[index]!.pid}/ns/net`,
    },
  });
  expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
}

test.each([
  ['first', 'eth0'],
  ['second', 'eth1'],
])('a container on two networks of a family reaches the other node by the %s', async (_, name) => {
  const [from, to] = containers as [Netns, Netns];
  const [own, peer] = [await addressOf(from, name), await addressOf(to, name)];
  expect(await from.sh(`ip route get ${peer}`)).toContain(`dev ${name} src ${own}`);
  await ping(from, peer);
});

describe('ports of a bridge', () => {
  let port: string;
  const node = () => wire.nodes[0]!;
  beforeAll(() => {
    const [record] = readAttachments(stateDir(0)).attachments;
    port = record?.interfaces.find(({ network }) => network === 'b')?.host ?? '';
  });

  test('a pass does not change ports that the plugin made', async () => {
    const before = await node().sh('ip link show type veth');
    expect(await pass()).toMatchObject({ changes: 0, failures: [] });
    expect(await node().sh('ip link show type veth')).toBe(before);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['the bridge was deleted', () => node().sh('ip link del m-b')],
    ['the network was removed and added again', () => pass(['a'])],
    ['they were removed from the bridge', () => node().sh(`ip link set ${port} nomaster`)],
    ['they have no hairpin mode', () => node().sh(`bridge link set dev ${port} hairpin off`)],
    ['they are down', () => node().sh(`ip link set ${port} down`)],
    [
      'they are on another bridge',
      async () => {
        await node().sh('ip link add other type bridge');
        await node().sh(`ip link set ${port} master other`);
      },
    ],
  ])('are restored, and their containers answer, if %s', async (_, damage) => {
    const [container, peer] = containers as [Netns, Netns];
    await damage();
    expect(await pass()).toMatchObject({ failures: [] });
    expect(await node().sh(`ip -d link show dev ${port}`)).toMatch(/UP.* master m-b [^]*hairpin on/);
    await ping(peer, await addressOf(container, 'eth1'));
    expect(await pass()).toMatchObject({ changes: 0, failures: [] });
  });

  test('a record that cannot be read is reported once, and its container may still send', async () => {
    const path = join(stateDir(0), 'attachments');
    const [file = ''] = readdirSync(path).filter((name) => name.endsWith('.json'));
    const whole = readFileSync(join(path, file));
    const guarded = await node().sh('nft list table bridge overlaynet');
    const log = recordingLog();
    const one = new DataPath({ log, run: node().run, attachments: () => readAttachments(stateDir(0)) });
    writeFileSync(join(path, file), whole.subarray(0, 20));
    const unread = [expect.stringContaining(join(path, file)) as string];
    const told = () => one.reconcile(cluster(2, 0, { networks }));
    expect(await told()).toMatchObject({ changes: 0, failures: [], unread });
    expect(await told()).toMatchObject({ unread });
    expect(log.lines.filter((line) => line.includes('cannot be read'))).toHaveLength(1);
    expect(await node().sh('nft list table bridge overlaynet')).toBe(guarded);
    writeFileSync(join(path, file), whole);
    expect(await told()).toMatchObject({ changes: 0, unread: [] });
  });

  test('a port that is not ours, or that has no record, stays in its bridge', async () => {
    await node().sh(`ip link set ${port} nomaster alias mine`);
    expect(await pass()).toMatchObject({ changes: 0, failures: [] });
    await node().sh(`ip link set ${port} alias overlaynet`);
    const others = new DataPath({ log: silent, run: node().run });
    await others.reconcile(cluster(2, 0, { networks }));
    expect(await node().sh(`ip link show dev ${port}`)).not.toContain('master');
  });
});
