import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { honest, spoofs } from '../chaos/spoofs.ts';
import { count, markOf, sendFrames } from '../chaos/traffic.ts';
import { readAttachments } from '../../src/containers/attachments.ts';
import { desiredLeased, resolving } from '../../src/dataplane/resolving.ts';
import { desiredGuard, guard } from '../../src/dataplane/spoof.ts';
import { convergeTables } from '../../src/linux/nft.ts';
import { Netns } from '../support/netns.ts';

// The CNI plugin writes records and elements, which the agent reads and compares: both must agree on their meaning.

const ranges = [
  { subnet: '9.0.1.0/25', gateway: '9.0.1.1' },
  { subnet: 'fd01:b:0:1::/80', gateway: 'fd01:b:0:1::1' },
];
const network = {
  name: 'dcos',
  interface: 'eth0',
  bridge: 'm-dcos',
  mtu: 1450,
  gatewayMAC: '02:4f:4f:00:00:01',
  ranges,
  defaultRoutes: ['0.0.0.0/0', '::/0'],
};

let node: Netns;
let container: Netns;
let dir: string;
let agent: Server;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ovt-plugin-'));
  node = await Netns.create();
  container = await Netns.create();
  await node.sh(`ip link add ${network.bridge} address ${network.gatewayMAC} type bridge`);
  await node.sh(`ip link set ${network.bridge} up`);
  for (const { subnet, gateway } of ranges) {
    const nodad = gateway.includes(':') ? ' nodad' : '';
    await node.sh(`ip addr add ${gateway}${subnet.replace(/.*\//, '/')} dev ${network.bridge}${nodad}`);
  }
  agent = createServer((request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify({ networks: [network] })));
  });
  await new Promise<void>((resolve) => agent.listen(join(dir, 'agent.sock'), resolve));
});

afterAll(async () => {
  agent.close();
  await container.delete();
  await node.delete();
  rmSync(dir, { recursive: true });
});

async function plugin(command: 'ADD' | 'DEL', id = 'one', netns = container): Promise<void> {
  const dirs = { socket: join(dir, 'agent.sock'), stateDir: dir, leaseDir: join(dir, 'networks') };
  const { stdout, stderr, code } = await node.run(join(process.env.CNI_PATH ?? '', 'overlaynet'), [], {
    input: JSON.stringify({ cniVersion: '1.1.0', name: 'overlaynet', type: 'overlaynet', ...dirs }),
    env: {
      CNI_COMMAND: command,
      CNI_PATH: process.env.CNI_PATH ?? '',
      CNI_CONTAINERID: id,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: `/proc/${netns.pid}/ns/net`,
    },
  });
  expect({ stderr, stdout: code === 0 ? '' : stdout }).toEqual({ stderr: '', stdout: '' });
}

/** Returns the changes of the agent's next pass. */
async function pass() {
  const { attachments, problems } = readAttachments(dir);
  expect(problems).toEqual([]);
  return convergeTables(node.run, [
    { spec: guard, elements: () => desiredGuard(attachments, false) },
    { spec: resolving, elements: () => desiredLeased(attachments, false) },
  ]);
}

test("the plugin's elements are those that the agent makes of its records", async () => {
  expect((await pass()).failures).toEqual([]);
  await plugin('ADD');
  expect(readAttachments(dir).attachments).toMatchObject([
    { containerID: 'one', interfaces: [{ network: 'dcos', bridge: 'm-dcos' }] },
  ]);
  expect(await pass()).toEqual({ changes: 0, failures: [] });
  for (const { gateway } of ranges) await container.sh(`ping -c 1 -w 20 -i 0.2 ${gateway}`);
  await plugin('DEL');
  expect(readAttachments(dir).attachments).toEqual([]);
  expect(await pass()).toEqual({ changes: 0, failures: [] });
});

test('the agent adds the elements of a container that is older than the table, and the plugin removes them', async () => {
  await node.sh('nft delete table bridge overlaynet');
  await node.sh('nft delete table inet overlaynet');
  await plugin('ADD');
  expect(await pass()).toMatchObject({ failures: [] });
  await container.sh('ping -c 1 -w 20 -i 0.2 9.0.1.1');
  await plugin('DEL');
  expect(await pass()).toEqual({ changes: 0, failures: [] });
});

test('the plugin adds an address to a table even if the other table is missing', async () => {
  await node.sh('nft delete table bridge overlaynet');
  await plugin('ADD');
  const addresses = readAttachments(dir).attachments.flatMap(({ interfaces }) =>
    interfaces.flatMap((one) => one.addresses),
  );
  const leased = async () =>
    `${await node.sh('nft list set inet overlaynet leased4')} ${await node.sh('nft list set inet overlaynet leased6')}`;
  for (const address of addresses) {
    const has = (await leased()).includes(` ${address} `);
    expect({ address, has }).toEqual({ address, has: !address.startsWith('fe80:') });
  }
  await plugin('DEL');
  expect(await leased()).not.toContain('elements');
});

test('a container can send only from its own addresses', async () => {
  const friend = await Netns.create();
  await pass();
  await plugin('ADD');
  await plugin('ADD', 'two', friend);
  const [self, victim] = readAttachments(dir).attachments.map(({ interfaces: [one] }) => {
    const address = (part: string) => one?.addresses.find((text) => text.includes(part)) ?? '';
    return { mac: one?.mac ?? '', ip: address('9.0.1.'), ip6: address('fd01:'), local: address('fe80:') };
  });
  const gateway = { mac: network.gatewayMAC, ip: '9.0.1.1', ip6: 'fd01:b:0:1::1', local: 'fe80::1' };
  const parties = {
    self: self!,
    victim: victim!,
    other: { ...victim!, ip: '9.0.1.77', ip6: 'fd01:b:0:1::77' },
    gateway,
  };
  const kinds = [...spoofs(parties), honest(parties)[0]!];
  const stop = await count(
    friend,
    'eth0',
    kinds.map((_, index) => markOf(index)),
  );
  for (const [index, { frames }] of kinds.entries())
    await sendFrames(container, 'eth0', frames(markOf(index)), 10);
  const counts = await stop();
  await plugin('DEL', 'two', friend);
  await plugin('DEL');
  await friend.delete();
  expect(counts).toEqual(kinds.map((_, index) => (index === kinds.length - 1 ? 10 : 0)));
});
