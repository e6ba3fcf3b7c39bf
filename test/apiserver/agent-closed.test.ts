import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/api/types.ts';
import { overlayNetworks, type Resource } from '../../src/kube/resources.ts';
import { node2 } from '../support/fixture.ts';
import { askAgent } from './agent-ask.ts';
import { Bench, condition, states } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

/** Which failures of a pass refuse new containers. */
let bench: Bench;
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

beforeAll(async () => {
  bench = await Bench.start();
  await bench.plane.client.apply(namespaces, { metadata: { name: 'shop' } });
});
afterAll(async () => {
  await bench.stop();
});
beforeEach(async () => {
  for (const name of ['dcos', 'dcos6']) await bench.plane.client.delete(overlayNetworks, name);
  await bench.reset();
});

const ask = (fields: object) => askAgent(bench.node, fields);
const answered = (fields: object, expected: unknown) =>
  eventually(async () => {
    expect(await ask(fields)).toEqual(expected);
  });

test('an agent whose pass fails after a restart still gives the networks that worked, and stops a rolling update', async () => {
  await bench.running();
  await answered({ namespace: 'shop' }, 'eth0=dcos');
  await bench.node.stop();
  bench.node.kernel.failures = [{ message: 'ipset: set cannot be created' }];
  const agent = await bench.node.start(bench.plane.kubeconfig);
  await answered({ namespace: 'shop' }, 'eth0=dcos');
  expect(agent.ready).toBe(false);
  bench.node.kernel.failures = [];
  agent.reconcile();
  await eventually(() => {
    expect(agent.ready).toBe(true);
  });
});

test('an object that cannot be removed is reported, and closes nothing', async () => {
  bench.node.kernel.failures = [{ message: 'ipset: set is in use', leftover: true }];
  const agent = await bench.node.start(bench.plane.kubeconfig);
  await bench.operator.allocate('node2', node2);
  await answered({ namespace: 'shop' }, 'eth0=dcos');
  await eventually(async () => {
    expect(condition(await bench.stored(), 'DataPathReady')).toMatchObject({
      status: 'True',
      reason: 'LeftOver',
      message: expect.stringContaining('ipset: set is in use'),
    });
    expect(states(await bench.stored())).toContain('dcos OK');
  });
  expect(agent.ready).toBe(true);
});

test('an isolated network without its rules admits no new containers, and an open one that worked still does', async () => {
  const agent = await bench.running();
  const isolate = (isolation: object | null) =>
    bench.plane.client.patch(overlayNetworks, 'dcos6', { spec: { isolation } }, { type: 'merge' });
  const six = { namespace: 'shop', annotation: 'dcos6' };
  await answered(six, 'eth0=dcos6');
  bench.node.kernel.failures = [{ message: 'iptables-nft-restore: line 3 failed', rules: true }];
  await isolate({ mode: 'Isolated' });
  await answered(six, expect.stringMatching(/^11 .*dcos6.*iptables-nft-restore: line 3 failed/));
  expect(await ask({ namespace: 'shop' })).toBe('eth0=dcos');
  await eventually(async () => {
    expect(states(await bench.stored())).toContain('dcos6 Failed');
  });
  bench.node.kernel.failures = [];
  agent.reconcile();
  await answered(six, 'eth0=dcos6');
  await isolate(null);
});
