import { fileURLToPath } from 'node:url';
import type { Attachment } from '../../src/dataplane/attachment.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import type { Netns } from '../support/netns.ts';
import { Prober } from '../support/prober.ts';
import { Wire } from '../support/wire.ts';
import { attachment } from '../support/fixture.ts';

// A container may send to any address of a network, even an unused one. The node that has the block resolves only a few
// of the unused ones at a time, and always those of its containers.

const scanner = fileURLToPath(new URL('../support/scanner.ts', import.meta.url));

/** Blocks that have more than 10,000 addresses, for a scan. */
const networks = [
  { name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 16 }] },
  { name: 'dcos6', subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }] },
];

describe.each([
  {
    family: 4,
    bridge: 'm-dcos',
    length: 17,
    here: '9.0.0',
    there: '9.1.0',
    unused: '9.1.1.0',
    at: (net: string, host: number) => `${net}.${host}`,
  },
  {
    family: 6,
    bridge: 'm-dcos6',
    length: 81,
    here: 'fd01:b:',
    there: 'fd01:b::1:0:0',
    unused: 'fd01:b::1:0:1:0',
    at: (net: string, host: number) => `${net}:${host.toString(16)}`,
  },
])('IPv$family', ({ family, bridge, length, here, there, unused, at }) => {
  const wire = new Wire();
  const probers: Prober[] = [];
  let node0: Netns, node1: Netns, attacker: Netns;
  let client: Prober;
  let records: Attachment[] = [];

  /** Adds a container on the second node. */
  async function container(host: number): Promise<Prober> {
    const netns = await wire.container(node1, bridge, `${at(there, host)}/${length}`, at(there, 1));
    const prober = await Prober.start(netns);
    probers.push(prober);
    return prober;
  }

  /** Makes its record, and elements as the CNI plugin and the agent's next pass would. */
  async function record(host: number): Promise<void> {
    const [one] = attachment().interfaces;
    records = [attachment({ interfaces: [{ ...one!, addresses: [at(there, host)] }] })];
    await pass();
  }

  const pass = async () => {
    const path = new DataPath({
      log: silent,
      run: node1.run,
      attachments: () => ({ attachments: records, problems: [] }),
    });
    expect((await path.reconcile(cluster(2, 1, { networks }))).failures).toEqual([]);
  };

  const lookedFor = async () =>
    (await node1.sh(`ip -${family} neigh show dev ${bridge} nud incomplete`)).split('\n').length - 1;

  /**
   * @returns the maximum number of addresses that the second node resolved at a time, until the scan or `meanwhile`
   * ends
   */
  async function scan(count: number, rate: number, meanwhile: () => Promise<void> = () => Promise.resolve()) {
    const scan = attacker.spawn(process.execPath, [scanner, unused, String(count), String(rate)]);
    await scan.ready;
    let most = 0;
    const state = { busy: true };
    const work = meanwhile().finally(() => (state.busy = false));
    const end = performance.now() + (count / rate) * 1_000 + 1_000;
    while (state.busy || performance.now() < end) {
      most = Math.max(most, await lookedFor());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await work;
    await scan.stop().catch(() => undefined);
    return most;
  }

  beforeAll(async () => {
    await wire.up('IPv4', { networks });
    [node0, node1] = wire.nodes as [Netns, Netns];
    attacker = await wire.container(node0, bridge, `${at(here, 2)}/${length}`, at(here, 1));
    const netns = await wire.container(node0, bridge, `${at(here, 3)}/${length}`, at(here, 1));
    client = await Prober.start(netns);
    probers.push(client);
  });
  afterAll(async () => {
    for (const prober of probers) await prober.stop();
    await wire.down();
  });
  // removes the neighbours of the previous test
  beforeEach(async () => {
    await node1.sh('nft delete table inet overlaynet');
    await node1.sh(`ip -${family} neigh flush dev ${bridge} nud all`);
    records = [];
    await pass();
  });

  test('few of 10,000 unused addresses are resolved at a time', async () => {
    const most = await scan(10_000, 5_000);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(64);
  });

  test('their number does not grow while a scan goes on', async () => {
    expect(await scan(10_000, 800)).toBeLessThanOrEqual(64);
  });

  test('during a scan, a container with a record that has never sent a packet is reached at once', async () => {
    await container(20);
    await record(20);
    await scan(10_000, 5_000, async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(await client.ask('udp', at(there, 20), 80, 5_000)).toBe(at(here, 3));
    });
  });

  test('so is a container without a record that has sent a packet before, such as Docker’s', async () => {
    const other = await container(21);
    expect(await other.ask('tcp', at(here, 3))).toBe(at(there, 21));
    await node1.sh(`ip -${family} neigh flush dev ${bridge} nud all`);
    await scan(10_000, 5_000, async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(await client.ask('udp', at(there, 21), 80, 5_000)).toBe(at(here, 3));
    });
  });

  test('so is one that has answered before', async () => {
    await container(22);
    expect(await client.ask('tcp', at(there, 22))).toBe(at(here, 3));
    await node1.sh(`ip -${family} neigh flush dev ${bridge} nud all`);
    await scan(10_000, 5_000, async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(await client.ask('udp', at(there, 22), 80, 5_000)).toBe(at(here, 3));
    });
  });

  test('without a scan, containers without a record are always reached at once', async () => {
    await container(23);
    // more than the rate's burst; fewer than the 166 packets that a receive buffer takes while its program waits
    const asked = Array.from({ length: 100 }, () => client.ask('udp', at(there, 23), 80, 5_000));
    expect(new Set(await Promise.all(asked))).toEqual(new Set([at(here, 3)]));
  });

  test('a scan through the tunnel does not disturb containers of one bridge', async () => {
    await container(24);
    const friend = await container(25);
    await scan(10_000, 5_000, async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(await friend.ask('udp', at(there, 24), 80, 5_000)).toBe(at(there, 25));
    });
  });
});
