import { Bed, type Pod } from '../support/bed.ts';
import { nodeAddresses } from '../support/cluster.ts';
import type { Netns } from '../support/netns.ts';
import type { Prober } from '../support/prober.ts';

/**
 * Other programs' traffic on a node: it must lose no packets because of the overlay, and the overlay none because of
 * it.
 */

const families = [4, 6] as const;
type Family = (typeof families)[number];

const bed = new Bed();
let pod0: Pod, pod1: Pod, process1: Prober;

const addressOf = (node: number, family: Family) => nodeAddresses(node)[family === 4 ? 0 : 1]!;
const patience = 10_000;

beforeAll(async () => {
  await bed.up([Bed.network(1, 'blue')]);
  pod0 = await bed.pod('blue', 0);
  pod1 = await bed.pod('blue', 1);
  process1 = await bed.process(1);
  await bed.process(0);
});
afterAll(() => bed.down());

describe.each(families)('IPv%d', (family) => {
  // such rules exist with nm-cloud-setup, and in clouds with several interfaces
  test('policy rules by source address do not affect the overlay’s packets', async () => {
    const node = bed.node(1);
    const elsewhere = family === 4 ? '172.17.9.9' : 'fd00:17::99';
    await node.sh(`ip -${family} rule add from ${addressOf(1, family)} lookup 77 pref 30000`);
    const near = family === 4 ? '172.17.0.0/16' : 'fd00:17::/64';
    await node.sh(`ip -${family} route add ${near} dev eth0 table 77`);
    await node.sh(`ip -${family} route add default via ${elsewhere} table 77`);
    for (const kind of ['tcp', 'udp'] as const) {
      expect(await pod0.prober.ask(kind, addressOf(1, family), 80, patience)).toBe(pod0.ip[family]);
      expect(await process1.ask(kind, pod0.ip[family]!, 80, patience)).toBeDefined();
      expect(await process1.ask(kind, pod1.ip[family]!, 80, patience)).toBeDefined();
    }
    const from = `ping -${family} -n -q -c 1 -W 5 -I ${addressOf(1, family)}`;
    await node.sh(`${from} ${pod0.ip[family]!}`);
    await node.sh(`${from} ${pod1.ip[family]!}`);
  });

  /** Sends a request to the node's server over UDP from the tunnel's port. */
  const fromTunnelPort = (netns: Netns) => {
    const program = `
      const socket = require('dgram').createSocket('udp${family}');
      socket.on('message', (text) => { console.log(String(text)); process.exit(0); });
      socket.bind(64000, () => setInterval(() => socket.send('x', 80, '${addressOf(1, family)}'), 200));
      setTimeout(() => process.exit(1), ${patience});`;
    return netns.run(process.execPath, ['-e', program]);
  };

  test("a node's process answers clients that use the tunnel's port by chance", async () => {
    const outside = await fromTunnelPort(bed.wire.outside);
    expect(outside.stdout.trim()).toBe(family === 4 ? '172.17.9.9' : 'fd00:17::99');
    const container = await fromTunnelPort(pod0.netns);
    expect(container.stdout.trim()).toBe(pod0.ip[family]);
  });

  test("the tunnel's packets use no entries of the connection table", async () => {
    expect(await pod0.prober.ask('udp', pod1.ip[family]!, 80, patience)).toBeDefined();
    for (const node of bed.wire.nodes) {
      const between = ['-s', '172.17.0.0/16', '-d', '172.17.0.0/16', '-p', 'udp', '--dport', '64000'];
      const { stdout } = await node.run('conntrack', ['-L', ...between]);
      expect(stdout).toBe('');
      const inner = ['-L', '-f', family === 4 ? 'ipv4' : 'ipv6', '-p', 'udp', '--dport', '80'];
      expect((await node.run('conntrack', inner)).stdout).toContain(`dst=${pod1.ip[family]!}`);
    }
  });
});
