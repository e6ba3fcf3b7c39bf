import { expect, test } from '@jest/globals';
import { type Bench, withBench } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

// the ranges of a node beside the overlays, which its agent registers with a real API server

let bench: Bench;
withBench((started) => {
  bench = started;
});

test('an agent registers the ranges and further addresses of its node, and writes again only when they change', async () => {
  bench.node.ranges = {
    ranges: [
      { cidr: '10.100.0.0/16', kind: 'Subnet', link: 'eth1' },
      { cidr: '192.168.0.0/16', kind: 'Pool' },
      { cidr: 'fd00:9::/48', kind: 'Route', link: 'eth1' },
    ],
    rangesLeftOut: 3,
    furtherAddresses: ['10.100.0.2', 'fd00:9::2'],
  };
  const agent = await bench.running();
  const before = await eventually(async () => {
    const object = await bench.stored();
    expect(object.spec).toMatchObject({
      ...bench.node.ranges,
      networks: [{ name: 'dcos' }, { name: 'dcos6' }],
    });
    return object;
  });
  for (let look = 0; look < 3; look++) {
    const passes = bench.node.kernel.snapshots.length;
    agent.reconcile();
    await eventually(() => {
      expect(bench.node.kernel.snapshots.length).toBeGreaterThan(passes);
    });
  }
  expect((await bench.stored()).metadata.generation).toBe(before.metadata.generation);

  bench.node.ranges = { furtherAddresses: ['10.100.0.3'] };
  agent.reconcile();
  await eventually(async () => {
    const { spec } = await bench.stored();
    expect(spec.furtherAddresses).toEqual(['10.100.0.3']);
    expect(spec).not.toHaveProperty('ranges');
    expect(spec).not.toHaveProperty('rangesLeftOut');
  });
});
