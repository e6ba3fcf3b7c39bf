import type { Isolation } from '../../src/api/types.ts';
import { Bed, type Pod } from '../support/bed.ts';
import { nodeAddresses } from '../support/cluster.ts';
import { briefly, tries, type Prober } from '../support/prober.ts';
import { proxy, type Service } from '../support/services.ts';

const families = [4, 6] as const;
type Family = (typeof families)[number];

const shut = (rest: Partial<Isolation> = {}) =>
  Bed.network(1, 'shut', { isolation: { mode: 'Isolated', hosts: 'Deny', ...rest } });
const blue = Bed.network(2, 'blue');

/** Two nodes with a LAN beside the uplink, on which each has a second address. */
const bed = new Bed();
let shut0: Pod, blue0: Pod, docker0: Pod;
let process0: Prober, process1: Prober;

const second = (node: number, family: Family) => (family === 4 ? '10.50.0.' : 'fd00:50::') + String(node + 1);
const further = [0, 1].map((node) => families.map((family) => second(node, family)));
const clusterIP = (family: Family) => (family === 4 ? '10.96.0.20' : 'fd00:96::20');

/** A Service with one endpoint; without an address of its own, it has only a NodePort. */
const service = (name: string, ip: string, to: string, nodePort: number): Service => {
  return { name, ip, protocol: 'tcp', port: 8080, to: { ip: to, port: 80 }, nodePort };
};
const services = (family: Family): Service[] => [
  service(`SHUT0-${family}`, clusterIP(family), shut0.ip[family]!, 30080),
  service(`BLUE0-${family}`, `${clusterIP(family)}1`, blue0.ip[family]!, 30081),
  service(`PROCESS1-${family}`, `${clusterIP(family)}2`, nodeAddresses(1)[family === 4 ? 0 : 1]!, 30082),
];

beforeAll(async () => {
  await bed.up([shut(), blue]);
  shut0 = await bed.pod('shut', 0);
  blue0 = await bed.pod('blue', 0);
  docker0 = await bed.pod('shut', 0, { half: 'docker' });
  process0 = await bed.process(0);
  process1 = await bed.process(1, [80, 6443]);
  await bed.node(0).sh(`ip link add eth1 type veth peer name eth1 netns ${bed.node(1).pid}`);
  for (const [index, node] of bed.wire.nodes.entries()) {
    await node.sh('ip link set eth1 up');
    await node.sh(`ip addr add ${second(index, 4)}/24 dev eth1`);
    await node.sh(`ip addr add ${second(index, 6)}/64 dev eth1 nodad`);
    await proxy(node, families.flatMap(services));
  }
});
afterAll(() => bed.down());
beforeEach(async () => {
  bed.further = further;
  await bed.apply([shut(), blue]);
});

test("containers reach no process and no NodePort at another node's second address, and no packet is delivered", async () => {
  const delivered = bed.delivered[1]!;
  await delivered.reset();
  await blue0.delivered.reset();
  for (const family of families) {
    const to = second(1, family);
    const reached = await Promise.all(
      [shut0, docker0].flatMap(({ prober }) => [
        briefly(prober, to),
        ...[30080, 30081, 30082].map((port) => briefly(prober, to, port, ['tcp'])),
      ]),
    );
    expect(reached).toEqual(reached.map(() => false));
    // masqueraded, the packet would have their node's address
    expect(await delivered.from(second(0, family), shut0.ip[family], docker0.ip[family])).toBe(0);
    expect(await blue0.delivered.from(second(1, family))).toBe(0);
    // an open network reaches it
    expect(await tries(blue0.prober, to)).toBe(true);
    expect(await tries(blue0.prober, to, 30082, ['tcp'])).toBe(true);
    expect(await delivered.from(second(0, family))).toBeGreaterThan(0);
  }
});

test("a second address does not let another node's process reach containers through a NodePort", async () => {
  await shut0.delivered.reset();
  for (const family of families) {
    expect(await briefly(process1, second(0, family), 30080, ['tcp'])).toBe(false);
    expect(await tries(process1, second(0, family), 30081, ['tcp'])).toBe(true);
  }
  expect(await shut0.delivered.seen()).toEqual(new Map());
});

test('the own node’s second address reaches containers and is reachable', async () => {
  for (const family of families) {
    for (const { prober } of [shut0, docker0]) expect(await tries(prober, second(0, family))).toBe(true);
    expect(await tries(process0, clusterIP(family), 8080, ['tcp'])).toBe(true);
  }
});

test('connections end once the address is known or the network is closed, and no others', async () => {
  const holds = async () => {
    for (const family of families) {
      expect(await shut0.prober.ask('hold', second(1, family))).toBeDefined();
      expect(await process1.ask('hold', second(0, family), 30080)).toBeDefined();
      expect(await blue0.prober.ask('hold', second(1, family))).toBeDefined();
    }
  };
  const ended = async () => {
    for (const family of families) {
      expect(await shut0.prober.ask('say', second(1, family), 80, 700)).toBeUndefined();
      expect(await process1.ask('say', second(0, family), 30080, 700)).toBeUndefined();
      expect(await blue0.prober.ask('say', second(1, family), 80, 10_000)).toBeDefined();
    }
  };
  await bed.apply([shut({ hosts: 'Allow' }), blue]);
  await holds();
  await bed.apply([shut(), blue]);
  await ended();
  bed.further = [];
  await bed.apply([shut(), blue]);
  await holds();
  bed.further = further;
  await bed.apply([shut(), blue]);
  await ended();
});

test('if an API server listens there, allowAPIServer permits only that', async () => {
  const served = families.map((family) => ({ address: second(1, family), port: 6443 }));
  await bed.apply([shut({ allowAPIServer: true }), blue], { apiServers: served });
  for (const family of families) {
    expect(await tries(shut0.prober, second(1, family), 6443, ['tcp'])).toBe(true);
    expect(await briefly(shut0.prober, second(1, family), 80)).toBe(false);
  }
});
