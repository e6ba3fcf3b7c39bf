import { expect, test } from '@jest/globals';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { nodes, type Node } from '../../src/kube/resources.ts';
import { node2 } from '../support/fixture.ts';
import { type Bench, condition, withBench } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

let bench: Bench;
withBench((started) => {
  bench = started;
});

test('a conflist before ours makes the condition False, and a plugin that is chained behind ours is named', async () => {
  const agent = await bench.running();
  const net = (name: string) => bench.node.at.path('net', name);
  writeFileSync(net('00-other.conf'), '{}');
  agent.reconcile();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')).toMatchObject({
      status: 'False',
      reason: 'NotFirst',
    });
  });
  rmSync(net('00-other.conf'));
  const file = net('05-overlaynet.conflist');
  const list = JSON.parse(readFileSync(file, 'utf8')) as { plugins: object[] };
  list.plugins.push({ type: 'linkerd-cni' });
  writeFileSync(file, JSON.stringify(list));
  agent.reconcile();
  await eventually(async () => {
    const said = condition(await bench.stored(), 'ContainersReady');
    expect(said).toMatchObject({ status: 'True', reason: 'Chained' });
    expect(said?.message).toContain('linkerd-cni');
  });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(list);
});

test('NetworkUnavailable of the Node is cleared once the data path is complete, and not before', async () => {
  const { client } = bench.plane;
  const stored = await client.apply<Node>(nodes, { metadata: { name: 'node2' } });
  const taken = { type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated', message: '' };
  await client.updateStatus<Node>(nodes, { ...stored, status: { conditions: [taken] } });
  const said = async () =>
    (await client.get(nodes, 'node2'))?.status?.conditions?.map(
      ({ status, reason }) => `${status} ${reason}`,
    );
  bench.node.kernel.failures = [{ message: 'ipset: not found; install ipset' }];
  await bench.node.start(bench.plane.kubeconfig);
  await bench.operator.allocate('node2', node2);
  await eventually(async () => {
    expect(condition(await bench.stored(), 'DataPathReady')?.status).toBe('False');
  });
  expect(await said()).toEqual(['True NoRouteCreated']);
  bench.node.kernel.failures = [];
  await eventually(async () => {
    expect(await said()).toEqual(['False OverlaynetIsUp']);
  });
});

test('the plugin sweeps once, when the data path is complete; a failed sweep is reported and tried again', async () => {
  const { at } = bench.node;
  const plugin = at.path('overlaynet');
  const script = (end: string) => {
    writeFileSync(plugin, `#!/bin/sh\necho "$@" >> ${at.path('calls')}\n${end}\n`);
    chmodSync(plugin, 0o755);
  };
  script('echo the disk is on fire >&2; exit 1');
  bench.node.cniPlugin = plugin;
  const agent = await bench.running();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')?.message).toBe(
      `${plugin} sweep: the disk is on fire`,
    );
  });
  expect(readFileSync(at.path('calls'), 'utf8').split('\n')[0]).toBe(
    `sweep --state-dir ${at.path('state')} --lease-dir ${at.path('leases')}`,
  );
  script(`echo '{"freed":["cafe/eth0"],"kept":0}'`);
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')?.reason).toBe('Ready');
  });
  expect(bench.node.log.lines).toContainEqual(expect.stringMatching(/^info swept freed=1 kept=0/));
  const calls = readFileSync(at.path('calls'), 'utf8');
  agent.reconcile();
  await eventually(() => {
    expect(bench.node.kernel.snapshots.length).toBeGreaterThan(1);
  });
  expect(readFileSync(at.path('calls'), 'utf8')).toBe(calls);
});
