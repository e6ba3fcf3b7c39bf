import { expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { node1, node2 } from '../support/fixture.ts';
import { askAgent } from './agent-ask.ts';
import { type Bench, condition, crds, states, withOwnBench } from '../support/agent-harness.ts';
import type { OwnControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';

let bench: Bench<OwnControlPlane>;
withOwnBench((started) => {
  bench = started;
});

test('without the right to register or report, an agent keeps the data path and logs the server’s message', async () => {
  const readOnly = await bench.plane.kubeconfigFor({
    name: 'ovt-read-only',
    rules: [{ apiGroups: ['overlaynet.dev'], resources: ['*'], verbs: ['get', 'list', 'watch'] }],
  });
  await bench.operator.allocate('node2', node2);
  await bench.node.start(readOnly);
  await eventually(() => {
    expect(bench.node.kernel.last?.allocations).toHaveLength(2);
    expect(bench.node.log.lines.join('\n')).toMatch(
      /cannot register: create overlayagents\/node2: 403 Forbidden: .*ovt-read-only.* cannot create resource/,
    );
  });
  await bench.node.stop();

  const noStatus = await bench.plane.kubeconfigFor({
    name: 'ovt-no-status',
    rules: [
      { apiGroups: ['overlaynet.dev'], resources: ['*'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['overlaynet.dev'], resources: ['overlayagents'], verbs: ['create', 'update'] },
    ],
  });
  await bench.node.start(noStatus);
  await eventually(async () => {
    expect((await bench.stored()).spec.networks).toHaveLength(2);
    expect(bench.node.log.lines.join('\n')).toMatch(
      /cannot write the status: update overlayagents\/node2\/status: 403 Forbidden: .*cannot update resource/,
    );
  });
});

test('a corrupt checkpoint is moved aside, reported in a condition, and replaced', async () => {
  writeFileSync(bench.node.at.path('state', 'checkpoint.json'), '{');
  await bench.running();
  const agent = await eventually(async () => {
    const object = await bench.stored();
    expect(condition(object, 'Checkpoint')).toMatchObject({ status: 'True', reason: 'MovedAside' });
    return object;
  });
  expect(condition(agent, 'Checkpoint')?.message).toContain('checkpoint.json.corrupt-');
  expect(readdirSync(bench.node.at.path('state'))).toHaveLength(2);
});

test('an agent that starts without the API server keeps its state, and continues when the server is back', async () => {
  await bench.running();
  // the first count of addresses is the last report of the start
  await eventually(async () => {
    expect((await bench.stored()).status?.networks?.every(({ usage }) => usage !== undefined)).toBe(true);
  });
  await bench.node.stop();
  const before = bench.node.kernel.last;
  const passes = bench.node.kernel.snapshots.length;
  writeFileSync(bench.node.at.path('conf', 'dcos.conflist'), 'damaged while it was away');
  const { metadata } = await bench.stored();
  await bench.plane.killApiserver();
  try {
    const agent = await bench.node.start(bench.plane.kubeconfig);
    await eventually(() => {
      expect(bench.node.kernel.snapshots.length).toBeGreaterThan(passes);
      expect(agent.ready).toBe(true);
    });
    expect(bench.node.kernel.last).toEqual(before);
    expect(agent.state?.overlays).toHaveLength(2);
    expect(JSON.parse(readFileSync(bench.node.at.path('conf', 'dcos.conflist'), 'utf8'))).toMatchObject({
      name: 'dcos',
    });
  } finally {
    await bench.plane.startApiserver();
  }
  await bench.operator.allocate('node1', { ...node1, revision: 12 });
  await eventually(() => {
    expect(bench.node.kernel.last?.allocations[0]?.spec.revision).toBe(12);
  });
  // there was nothing new to report
  expect((await bench.stored()).metadata.resourceVersion).toBe(metadata.resourceVersion);
});

test('a missing CRD is reported in log and condition, and the data path is kept', async () => {
  await bench.running();
  await bench.node.stop();
  const before = bench.node.kernel.last;
  await bench.plane.kubectl('delete', 'crd', 'overlaynetworks.overlaynet.dev');
  try {
    await bench.node.start(bench.plane.kubeconfig);
    const agent = await eventually(async () => {
      const object = await bench.stored();
      expect(condition(object, 'Synced')).toMatchObject({ status: 'False', reason: 'NotListed' });
      expect(condition(object, 'Synced')?.message).toContain('list overlaynetworks: 404');
      return object;
    });
    expect(states(agent)).toEqual(['dcos OK', 'dcos6 OK']);
    expect(bench.node.log.lines.join('\n')).toMatch(/list overlaynetworks: 404/);
    expect(bench.node.kernel.last).toEqual(before);
    expect(readdirSync(bench.node.at.path('conf'))).toEqual(['dcos.conflist', 'dcos6.conflist']);
  } finally {
    await bench.plane.apply(...crds);
  }
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Synced')?.status).toBe('True');
  });
});

test('a restarted agent answers after its first pass, or after a time-out', async () => {
  const ask = () => askAgent(bench.node, { network: 'dcos' });
  await bench.running();
  expect(await ask()).toBe('eth0=dcos');
  await bench.node.stop();
  bench.node.kernel.during = () => new Promise((resolve) => setTimeout(resolve, 1_000));
  await bench.node.start(bench.plane.kubeconfig);
  expect(await ask()).toBe('eth0=dcos');

  await bench.node.stop();
  const stuck = Promise.withResolvers<undefined>();
  bench.node.kernel.during = () => stuck.promise;
  await bench.node.start(bench.plane.kubeconfig);
  expect(await ask()).toMatch(/^11 .*the first pass over the kernel has not ended/);
  stuck.resolve(undefined);
  await eventually(async () => {
    expect(await ask()).toBe('eth0=dcos');
  });
});

test('a failure is reported for its network with the tool’s message, retried, and cleared', async () => {
  bench.node.kernel.failures = [{ network: 'dcos6', message: 'RTNETLINK answers: Operation not permitted' }];
  await bench.node.start(bench.plane.kubeconfig);
  await bench.operator.allocate('node2', node2);
  await eventually(async () => {
    expect((await bench.stored()).status?.networks).toMatchObject([
      { name: 'dcos', state: 'OK' },
      { name: 'dcos6', state: 'Failed', message: 'RTNETLINK answers: Operation not permitted' },
    ]);
  });
  expect(readdirSync(bench.node.at.path('conf'))).toEqual(['dcos.conflist']);
  bench.node.kernel.failures = [];
  await bench.settled();
  expect(readdirSync(bench.node.at.path('conf'))).toEqual(['dcos.conflist', 'dcos6.conflist']);
});

test('a permanent failure is reported for its network, and delays nothing else', async () => {
  const message =
    'this node has no IPv6 (its kernel has none) and carries nothing of the network that needs it';
  bench.node.kernel.failures = [{ network: 'dcos6', message, lasting: true }];
  await bench.node.start(bench.plane.kubeconfig);
  await bench.operator.allocate('node2', node2);
  await eventually(async () => {
    const stored = await bench.stored();
    expect(stored.status?.networks).toMatchObject([
      { name: 'dcos', state: 'OK' },
      { name: 'dcos6', state: 'Failed', message },
    ]);
    expect(condition(stored, 'DataPathReady')).toMatchObject({ status: 'True', reason: 'Partial' });
    expect(condition(stored, 'ContainersReady')?.status).toBe('True');
  });
  expect(readdirSync(bench.node.at.path('conf'))).toEqual(['dcos.conflist']);
  expect(existsSync(bench.node.at.path('net', '05-overlaynet.conflist'))).toBe(true);
});
