import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DataPath } from '../../src/linux/datapath.ts';
import { Netns } from '../support/netns.ts';
import { node1 } from '../support/fixture.ts';
import { Bench } from '../support/agent-harness.ts';

let bench: Bench;
let netns: Netns;
beforeAll(async () => {
  bench = await Bench.start();
  await bench.reset();
  netns = await Netns.create();
  await netns.sh('ip link add eth0 type veth peer name wire');
  await netns.sh('ip addr add 172.17.0.4/16 dev eth0');
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
  const path = new DataPath({ log: bench.node.log, run: netns.run });
  // a real data path
  bench.node.kernel.reconcile = (snapshot) => path.reconcile(snapshot);
});
afterAll(async () => {
  await bench.stop();
  await netns.delete();
});

const member = async () => (await netns.try('ipset test overlaynet-members-4 172.17.0.2')).code === 0;

test("an agent soon drops a removed node's tunnel packets", async () => {
  await bench.running();
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    while (!(await member())) await new Promise((resolve) => setTimeout(resolve, 20));
    // waits for a pass in progress
    await new Promise((resolve) => setTimeout(resolve, 500));
    const start = performance.now();
    await bench.operator.release('node1');
    while (await member()) await new Promise((resolve) => setTimeout(resolve, 5));
    times.push(Math.round(performance.now() - start));
    await bench.operator.allocate('node1', node1);
  }
  process.stdout.write(`removed node out after ${times.join(', ')} ms; 1000 are asked\n`);
  // a busy machine may take ten times as long
  expect(Math.max(...times)).toBeLessThan(10_000);
});

test('the rules stay in force after the agent ends', async () => {
  const rules = () => netns.sh('iptables-nft-save -t mangle');
  const table = () => netns.sh('nft list table bridge overlaynet');
  const shown = async () => [await rules(), await table()].map((text) => text.replace(/^#.*/gm, ''));
  const before = await shown();
  await bench.node.stop();
  expect(await shown()).toEqual(before);
  expect(before[0]).toContain('--dport 64000');
});
