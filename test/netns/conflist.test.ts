import { existsSync, readdirSync } from 'node:fs';
import { renderConflists } from '../../src/agent/conflist.ts';
import type { NetworkSubnet } from '../../src/api/types.ts';
import { Netns } from '../support/netns.ts';
import { network, node2, scratch, snapshot } from '../unit/agent/fixture.ts';

const plugins = process.env.CNI_PATH;
const subnets = (state: NetworkSubnet['state']): NetworkSubnet[] => [
  { cidr: '9.0.0.0/8', prefix: 24, state },
  { cidr: 'fd01:b::/64', prefix: 80, state },
];
const both = {
  name: 'both',
  subnets: [
    { cidr: '9.0.1.0/24', bridges: { cni: '9.0.1.0/25' } },
    { cidr: 'fd01:b:0:0:1::/80', bridges: { cni: 'fd01:b:0:0:1::/81' } },
  ],
};

let node: Netns;
let container: Netns;
let leases: ReturnType<typeof scratch>;
beforeEach(async () => {
  if (plugins === undefined) throw new Error('CNI_PATH is not set: run the tests by `npm test`');
  leases = scratch();
  node = await Netns.create();
  container = await Netns.create();
  // as the data path makes it
  await node.sh('ip link add m-both type bridge');
  await node.sh('ip addr add 9.0.1.1/25 dev m-both');
  await node.sh('ip addr add fd01:b::1:0:0:1/81 dev m-both nodad');
  await node.sh('ip link set m-both up');
});
afterEach(async () => {
  await container.delete();
  await node.delete();
  leases.drop();
});

/** The conflist's first plugin, as a runtime runs it; its leases in a directory of this test's own. */
async function cni(command: 'ADD' | 'DEL', state: NetworkSubnet['state']) {
  const [conflist] = renderConflists(
    snapshot({
      networks: [network('both', ...subnets(state))],
      allocations: [{ node: 'node2', spec: { ...node2, networks: [both] } }],
    }),
  );
  const list = JSON.parse(conflist!.text) as {
    cniVersion: string;
    name: string;
    plugins: { type: string; ipam: object }[];
  };
  const { cniVersion, name } = list;
  const plugin = list.plugins[0]!;
  const config = { cniVersion, name, ...plugin, ipam: { ...plugin.ipam, dataDir: leases.dir } };
  const { stdout, code } = await node.run(`${plugins!}/${plugin.type}`, [], {
    input: JSON.stringify(config),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'ovt-c',
      CNI_NETNS: `/proc/${container.pid}/ns/net`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: plugins!,
    },
  });
  return { code, answer: JSON.parse(stdout || '{}') as Record<string, unknown> };
}
const held = () => (existsSync(leases.path('both')) ? readdirSync(leases.path('both')) : []);

test('the standard plugins give a container an address of each family, and take them back', async () => {
  const { code, answer } = await cni('ADD', 'Active');
  expect(code).toBe(0);
  expect(answer.ips).toEqual([
    { interface: 2, address: '9.0.1.2/25', gateway: '9.0.1.1' },
    { interface: 2, address: 'fd01:b::1:0:0:2/81', gateway: 'fd01:b::1:0:0:1' },
  ]);
  expect(answer.routes).toEqual([{ dst: '0.0.0.0/0' }, { dst: '::/0' }]);
  expect(await container.sh('ip -4 route show default')).toContain('via 9.0.1.1 dev eth0');
  expect(await container.sh('ping -c 1 -W 2 9.0.1.1')).toContain('1 received');
  expect(held()).toContain('9.0.1.2');
  expect((await cni('DEL', 'Active')).code).toBe(0);
  expect(held()).not.toContain('9.0.1.2');
});

test('a network that drains gives no address, and its containers can still be deleted', async () => {
  expect((await cni('ADD', 'Active')).code).toBe(0);
  expect(held()).toContain('9.0.1.2');
  expect((await cni('DEL', 'Draining')).code).toBe(0);
  expect(held()).not.toContain('9.0.1.2');
  const { code, answer } = await cni('ADD', 'Draining');
  expect(code).not.toBe(0);
  expect(answer.msg).toContain('no IP addresses available in range set: 9.0.1.1-9.0.1.1');
});
