import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { nodes, type Node } from '../../src/kube/resources.ts';
import { node2 } from '../support/fixture.ts';
import { Bench, condition, eventually } from '../support/agent-harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.start();
}, 60_000);
afterAll(async () => {
  await bench.stop();
});
beforeEach(async () => {
  await bench.reset();
});

test('a conflist that comes first makes the condition false, and a plugin that is chained behind ours is named', async () => {
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
