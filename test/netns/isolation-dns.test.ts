import type { Isolation } from '../../src/api/types.ts';
import { Bed, type Pod } from '../support/bed.ts';
import { nodeAddresses } from '../support/cluster.ts';
import type { Prober } from '../support/prober.ts';
import { proxy, type Service } from '../support/services.ts';

const families = [4, 6] as const;
type Family = (typeof families)[number];
const protocols = ['udp', 'tcp'] as const;

/** The clients' network, closed in every way, and the network where CoreDNS runs. */
const client = Bed.network(1, 'client', { isolation: { mode: 'Isolated', hosts: 'Deny' } });
const dns = (isolation?: Isolation) => Bed.network(2, 'dns', isolation === undefined ? {} : { isolation });

const bed = new Bed();
let client0: Pod, client1: Pod, dns1: Pod;
let process0: Prober;

const clusterIP = (number: number, family: Family) => `${family === 4 ? '10.96.0.' : 'fd00:96::'}${number}`;
const nodeAddress = (family: Family) => nodeAddresses(1)[family === 4 ? 0 : 1]!;

const services = (family: Family): Service[] =>
  protocols.flatMap((protocol) => [
    {
      name: `DNS-${protocol}-${family}`,
      ip: clusterIP(10, family),
      protocol,
      port: 53,
      to: { ip: dns1.ip[family]!, port: 53 },
      nodePort: 30053,
    },
    {
      name: `OTHER-${protocol}-${family}`,
      ip: clusterIP(11, family),
      protocol,
      port: 5353,
      to: { ip: dns1.ip[family]!, port: 53 },
    },
    {
      name: `HOST-${protocol}-${family}`,
      ip: clusterIP(12, family),
      protocol,
      port: 53,
      to: { ip: nodeAddress(family), port: 53 },
    },
  ]);

beforeAll(async () => {
  await bed.up([client, dns()]);
  client0 = await bed.pod('client', 0);
  client1 = await bed.pod('client', 1);
  dns1 = await bed.pod('dns', 1, { ports: [53, 80] });
  process0 = await bed.process(0);
  await bed.process(1, [53]);
  for (const node of bed.wire.nodes) await proxy(node, families.flatMap(services));
});
afterAll(() => bed.down());

/** Permitted requests get enough time for a busy machine; `briefly` tries those that must fail. */
const answered = async (from: Prober, to: string, port = 53, ms = 10_000) => {
  const answers = await Promise.all(protocols.map((kind) => from.ask(kind, to, port, ms)));
  if (new Set(answers.map((answer) => answer === undefined)).size > 1) {
    throw new Error(`${to} ${port}: ${answers.join(', ')}`);
  }
  return answers[0] !== undefined;
};

const briefly = (from: Prober, to: string, port = 53) => answered(from, to, port, 700);

describe.each<[string, Isolation | undefined]>([
  ['open', undefined],
  ['isolated', { mode: 'Isolated' }],
  ['isolated and closed to nodes', { mode: 'Isolated', hosts: 'Deny' }],
])('if the network of the cluster DNS is %s', (_, isolation) => {
  beforeAll(() => bed.apply([client, dns(isolation)]));

  test('containers reach it through its Service, on their own node and on another', async () => {
    for (const family of families) {
      expect(await answered(client0.prober, clusterIP(10, family))).toBe(true);
      expect(await answered(client1.prober, clusterIP(10, family))).toBe(true);
    }
  });

  test("nodes' processes reach it through its Service", async () => {
    for (const family of families) expect(await answered(process0, clusterIP(10, family))).toBe(true);
  });

  test('nothing else of it is reachable: port 53 directly, another port, another Service, a NodePort', async () => {
    for (const family of families) expect(await answered(client1.prober, clusterIP(10, family))).toBe(true);
    await dns1.delivered.reset();
    for (const { prober } of [client0, client1]) {
      for (const family of families) {
        const refused = await Promise.all([
          briefly(prober, dns1.ip[family]!),
          briefly(prober, dns1.ip[family]!, 80),
          briefly(prober, clusterIP(11, family), 5353),
          briefly(prober, nodeAddress(family), 30053),
        ]);
        expect(refused).toEqual([false, false, false, false]);
      }
    }
    expect(await dns1.delivered.seen()).toEqual(new Map());
  });
});

test("a cluster DNS on another node's own network answers through its Service, and not directly", async () => {
  await bed.apply([client, dns()]);
  for (const family of families) {
    // the source of a UDP answer is the server's choice: ours answers from the tunnel's address
    expect(await client0.prober.ask('tcp', clusterIP(12, family), 53)).toBeDefined();
  }
  const delivered = bed.delivered[1]!;
  await delivered.reset();
  for (const family of families) expect(await briefly(client0.prober, nodeAddress(family))).toBe(false);
  expect(await delivered.from(client0.ip[4], client0.ip[6])).toBe(0);
  for (const family of families) await client0.prober.ask('udp', clusterIP(12, family), 53, 300);
  expect(await delivered.from(client0.ip[4], client0.ip[6])).toBe(2);
});
