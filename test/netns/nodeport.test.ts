import { Bed, type Pod } from '../support/bed.ts';
import { nodeAddresses } from '../support/cluster.ts';
import type { Prober } from '../support/prober.ts';
import { proxy, type Service } from '../support/services.ts';

const families = [4, 6] as const;
type Family = (typeof families)[number];
const protocols = ['tcp', 'udp'] as const;

const bed = new Bed();
let pod0: Pod, pod1: Pod, docker0: Pod;
let processes: Prober[], outside: Prober;

const addressOf = (node: number, family: Family) => nodeAddresses(node)[family === 4 ? 0 : 1]!;

/** NodePorts of containers: `Cluster` and `Local` on node0, one on node1, and one on Docker's bridge. */
const ports = { cluster0: 30080, local0: 30081, cluster1: 30082, docker0: 30083 };

const services = (family: Family): Service[] =>
  protocols.flatMap((protocol) =>
    Object.entries(ports).map(([name, nodePort], at): Service => {
      const to = { cluster0: pod0, local0: pod0, cluster1: pod1, docker0 }[name]!;
      return {
        name: `${name}-${protocol}-${family}`.toUpperCase(),
        ip: `${family === 4 ? '10.96.0.' : 'fd00:96::'}${at + 1}`,
        protocol,
        port: 8080,
        to: { ip: to.ip[family]!, port: 80 },
        nodePort,
        local: name === 'local0',
      };
    }),
  );

beforeAll(async () => {
  await bed.up([Bed.network(1, 'blue')]);
  pod0 = await bed.pod('blue', 0);
  pod1 = await bed.pod('blue', 1);
  docker0 = await bed.pod('blue', 0, { half: 'docker' });
  processes = [await bed.process(0), await bed.process(1)];
  outside = await bed.outside();
  for (const node of bed.wire.nodes) {
    await proxy(node, families.flatMap(services));
    // IPv6 has no rp_filter; firewalld has such a rule
    await node.sh('ip6tables-nft -t raw -A PREROUTING -m rpfilter --invert -j DROP');
  }
});
afterAll(() => bed.down());

test('the nodes drop packets that arrive by another link than the route back to their source', async () => {
  for (const node of bed.wire.nodes)
    expect((await node.sh('sysctl -n net.ipv4.conf.all.rp_filter')).trim()).toBe('1');
});

describe.each(families)('IPv%d', (family) => {
  test.each(Object.keys(ports) as (keyof typeof ports)[])(
    "a node's process and a host outside reach every node's NodePort: %s",
    async (name) => {
      const others = [
        ...[0, 1].map((from) => ({ from: processes[from]!, to: addressOf(1 - from, family) })),
        ...[0, 1].map((node) => ({ from: outside, to: addressOf(node, family) })),
      ].filter(({ to }) => name !== 'local0' || to === addressOf(0, family));
      for (const { from, to } of others)
        for (const protocol of protocols)
          expect([to, protocol, await from.ask(protocol, to, ports[name], 10_000)]).not.toContain(undefined);
    },
  );

  test('a container sees the client’s address with a NodePort of externalTrafficPolicy Local', async () => {
    const seen = await processes[1]!.ask('tcp', addressOf(0, family), ports.local0, 10_000);
    expect(seen).toBe(addressOf(1, family));
  });

  test('containers still reach nodes through the tunnel, without masquerade', async () => {
    const seen = await pod0.prober.ask('tcp', addressOf(1, family), 80, 10_000);
    expect(seen).toBe(pod0.ip[family]);
  });

  test("a container reaches another node's NodePort", async () => {
    for (const protocol of protocols)
      expect(await pod0.prober.ask(protocol, addressOf(1, family), ports.cluster1, 10_000)).toBeDefined();
  });
});
