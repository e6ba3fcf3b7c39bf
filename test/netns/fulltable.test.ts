import { jest } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Underlay } from '../../src/api/types.ts';
import { connectionsFull } from '../../src/linux/connections.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import type { Netns } from '../support/netns.ts';
import { Prober } from '../support/prober.ts';
import { Wire } from '../support/wire.ts';

// a quarter of a million connections on each of two nodes
jest.setTimeout(240_000);

const dir = mkdtempSync(join(tmpdir(), 'ovt-full-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

/** Lines of `conntrack -R` for connections that both sides have used, from a source port on. */
const connections = (number: number, port: number): string =>
  Array.from(
    { length: number },
    (_, at) =>
      `-I -s 198.18.${(at >> 8) & 255}.${at & 255} -d 198.19.0.1 -p udp --sport ${port + (at >> 16)} --dport 2000 -t 900 -u SEEN_REPLY,ASSURED\n`,
  ).join('');

/**
 * Fills the node's connection table with connections that both sides have used: the kernel evicts none of them for a
 * new one.
 */
async function fill(node: Netns): Promise<void> {
  const most = Number(await node.sh('cat /proc/sys/net/netfilter/nf_conntrack_max'));
  const file = join(dir, 'connections');
  if (!existsSync(file)) {
    writeFileSync(file, connections(most, 1_000));
  }
  // conntrack ends when the kernel accepts no more
  await node.run('conntrack', ['-R', file], { timeoutMs: 200_000 });
  const count = Number(await node.sh('cat /proc/sys/net/netfilter/nf_conntrack_count'));
  expect(count).toBeGreaterThan(most * 0.99);
}

/** Takes the place of connections of the setup that have ended since the table was filled. */
async function topUp(node: Netns, round: number): Promise<void> {
  const file = join(dir, `more-${round}`);
  writeFileSync(file, connections(2_000, 2_000 + round));
  await node.run('conntrack', ['-R', file]);
}

describe.each<Underlay>(['IPv4', 'IPv6'])(
  'with the tables of connections of both nodes full, over %s',
  (underlay) => {
    const wire = new Wire();
    let nodes: Netns[], c0: Prober, c1: Prober, process0: Prober;

    beforeAll(async () => {
      await wire.up(underlay);
      ({ nodes } = wire);
      const [node0, node1] = nodes as [Netns, Netns];
      c0 = await Prober.start(await wire.container(node0, 'm-dcos', '9.0.0.2/25', '9.0.0.1'));
      c1 = await Prober.start(await wire.container(node1, 'm-dcos', '9.0.1.2/25', '9.0.1.1'));
      process0 = await Prober.start(node0, []);
      expect(await c0.ask('hold', '9.0.1.2', 80, 5_000)).toBe('9.0.0.2');
      expect(await process0.ask('hold', '9.0.1.2', 80, 5_000)).toBe('44.128.0.1');
      for (const node of nodes) await fill(node);
    });
    afterAll(async () => {
      for (const prober of [c0, c1, process0]) await prober.stop();
      await wire.down();
    });

    test('no new connection is possible: the tables are full', async () => {
      let round = 0;
      await eventually(async () => {
        round++;
        for (const node of nodes) await topUp(node, round);
        expect(await c0.ask('tcp', '9.0.1.2', 80, 1_500)).toBeUndefined();
      });
    });

    test('existing connections between containers, and of a node’s processes, lose nothing', async () => {
      for (let round = 0; round < 8; round++) {
        await sleep(100);
        expect(await c0.ask('say', '9.0.1.2', 80, 5_000)).toBe('9.0.0.2');
        expect(await process0.ask('say', '9.0.1.2', 80, 5_000)).toBe('44.128.0.1');
      }
    });

    test('a pass finds nothing to change', async () => {
      for (const [index, node] of nodes.entries()) {
        const path = new DataPath({ log: silent, run: node.run });
        expect(await path.reconcile(cluster(2, index, { underlay }))).toMatchObject({
          changes: 0,
          failures: [],
        });
      }
    });

    test('the node reports the full table', async () => {
      mkdirSync(join(dir, 'net/netfilter'), { recursive: true });
      for (const name of ['max', 'count']) {
        const path = `net/netfilter/nf_conntrack_${name}`;
        writeFileSync(join(dir, path), await nodes[0]!.sh(`cat /proc/sys/${path}`));
      }
      expect(connectionsFull(dir)).toMatch(/^the table of connections is 90 % full or more/);
    });
  },
);
