import { expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  agentAllocations,
  endpointSlices,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
} from '../../src/kube/resources.ts';
import { Informer } from '../../src/kube/informer.ts';
import { HttpProxy } from '../support/kubeproxy.ts';
import { node1, node2 } from '../support/fixture.ts';
import { type Bench, condition, states, withBench } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

let bench: Bench;
withBench((started) => {
  bench = started;
});

test('registers, waits for its allocation, applies it, and reports', async () => {
  const agent = await bench.node.start(bench.plane.kubeconfig);
  const fresh = await eventually(async () => {
    const object = await bench.stored();
    expect(condition(object, 'DataPathReady')).toMatchObject({ status: 'False', reason: 'Waiting' });
    return object;
  });
  expect(fresh.spec).toEqual({
    addresses: ['172.17.0.4'],
    uplinkMTU: 1500,
    seenResourceVersion: expect.stringMatching(/^[0-9]+$/),
  });
  expect(bench.node.kernel.snapshots).toEqual([]);
  expect(agent.state).toBeUndefined();

  await bench.operator.allocate('node2', node2);
  const done = await bench.settled();
  expect(done.status).toMatchObject({
    revision: 3,
    conditions: ['Registered', 'Synced', 'DataPathReady', 'Checkpoint', 'ContainersReady', 'SystemReady'].map(
      (type) => ({
        type,
        status: 'True',
      }),
    ),
  });
  expect(bench.node.kernel.last?.allocations.map((one) => one.node)).toEqual(['node1', 'node2']);
  expect(readdirSync(bench.node.at.path('conf'))).toEqual(['dcos.conflist', 'dcos6.conflist']);
  expect(readdirSync(bench.node.at.path('net'))).toEqual(['05-overlaynet.conflist']);
  expect(agent.state?.overlays.map(({ info, state }) => [info.name, state.status])).toEqual([
    ['dcos', 'STATUS_OK'],
    ['dcos6', 'STATUS_OK'],
  ]);
  await eventually(async () => {
    expect((await bench.stored()).spec).toMatchObject({
      vtep: node2.vtep,
      networks: [{ name: 'dcos' }, { name: 'dcos6' }],
    });
  });
});

test('an idle agent writes nothing to the API server', async () => {
  const proxy = await HttpProxy.to(bench.plane.server);
  const agents = new Informer(bench.plane.client, overlayAgents);
  let changes = 0;
  agents.onChange(() => changes++);
  agents.start();
  try {
    await eventually(() => agents.hasSynced);
    const agent = await bench.running(bench.plane.kubeconfigAt(proxy.url));
    await eventually(async () => {
      expect((await bench.stored()).spec.networks).toHaveLength(2);
    });
    // the agent has made all reports of its start
    await eventually(async () => {
      const { metadata } = await bench.stored();
      await sleep(500);
      expect((await bench.stored()).metadata.resourceVersion).toBe(metadata.resourceVersion);
    });
    const [requests, passes, { metadata }] = [
      proxy.requests.length,
      bench.node.kernel.snapshots.length,
      await bench.stored(),
    ];
    for (let i = 0; i < 5; i++) {
      agent.reconcile();
      const expected = passes + i + 1;
      await eventually(() => {
        expect(bench.node.kernel.snapshots).toHaveLength(expected);
      });
    }
    await sleep(150);
    expect(bench.node.kernel.snapshots).toHaveLength(passes + 5);
    expect(proxy.requests.slice(requests).filter((request) => !request.startsWith('GET '))).toEqual([]);
    expect((await bench.stored()).metadata.resourceVersion).toBe(metadata.resourceVersion);
    // while it started, it wrote nothing twice: a write that changes nothing makes no event
    const written = proxy.answers.filter((answer) => /^20[01] P.*\/overlayagents/.test(answer));
    expect(written.length).toBeGreaterThan(2);
    await eventually(() => {
      expect(changes).toBe(written.length);
    });
  } finally {
    await agents.stop();
    await bench.node.stop();
    await proxy.close();
  }
});

test('a kernel notification causes a pass over links; a change, a failure or a new object causes a full one', async () => {
  const { kernel } = bench.node;
  const agent = await bench.running();
  await bench.settled();
  const scopeOf = async (act: () => unknown) => {
    const before = kernel.scopes.length;
    await act();
    return eventually(() => {
      expect(kernel.scopes.length).toBeGreaterThan(before);
      return kernel.scopes[before];
    });
  };
  const report = () => {
    agent.reconcile('links');
  };
  kernel.changes = 0;
  // the next pass must see what the last one changed
  expect(await scopeOf(report)).toBe('all');
  expect(await scopeOf(report)).toBe('links');
  expect(
    await scopeOf(() => {
      agent.reconcile();
      report();
    }),
  ).toBe('all');
  expect(await scopeOf(report)).toBe('links');
  expect(await scopeOf(() => bench.operator.allocate('node2', { ...node2, revision: 4 }))).toBe('all');
  kernel.failures = [{ message: 'boom' }];
  expect(await scopeOf(report)).toBe('links');
  expect(await scopeOf(report)).toBe('all');
});

test('changes that do not concern the node cause no pass', async () => {
  await bench.running();
  const passes = bench.node.kernel.snapshots.length;
  await bench.plane.client.patch(
    overlayNetworks,
    'dcos',
    { metadata: { labels: { a: 'b' } } },
    { type: 'merge' },
  );
  await bench.operator.allocate('node1', { ...node1, revision: 9 });
  await eventually(() => {
    expect(bench.node.kernel.last?.allocations[0]?.spec.revision).toBe(9);
  });
  expect(bench.node.kernel.snapshots.length).toBe(passes + 1);
});

test('registers again with its blocks when its OverlayAgent is deleted', async () => {
  await bench.running();
  const { metadata } = await bench.stored();
  await bench.plane.client.delete(overlayAgents, 'node2');
  const again = await eventually(async () => {
    const object = await bench.stored();
    expect(object.metadata.uid).not.toBe(metadata.uid);
    expect(states(object)).toEqual(['dcos OK', 'dcos6 OK']);
    return object;
  });
  expect(again.spec).toMatchObject({ vtep: node2.vtep, networks: [{ name: 'dcos' }, { name: 'dcos6' }] });
});

test('registers a new uplink MTU', async () => {
  const agent = await bench.running();
  bench.node.uplinkMTU = 9000;
  agent.reconcile();
  await eventually(async () => {
    expect((await bench.stored()).spec.uplinkMTU).toBe(9000);
  });
  // the uplink is the link to these addresses
  expect(bench.node.measuredTo).toEqual(node1.addresses);
});

test('a deleted network loses its conflist before its bridge, and its leases after it', async () => {
  await bench.running();
  mkdirSync(bench.node.at.path('leases', 'dcos'));
  const seen: [string[] | undefined, boolean, boolean][] = [];
  bench.node.kernel.during = () => {
    seen.push([
      bench.node.kernel.last?.networks.map(({ metadata }) => metadata.name),
      existsSync(bench.node.at.path('conf', 'dcos.conflist')),
      existsSync(bench.node.at.path('leases', 'dcos')),
    ]);
  };
  await bench.operator.withdraw('dcos');
  await eventually(() => {
    expect(existsSync(bench.node.at.path('leases', 'dcos'))).toBe(false);
  });
  // a pass that still had the network may have been in progress
  expect(seen.find(([networks]) => networks?.includes('dcos') === false)).toEqual([['dcos6'], false, true]);
  // without this file, the node would be NotReady; a pod of the deleted network gets an error
  expect(readdirSync(bench.node.at.path('net'))).toEqual(['05-overlaynet.conflist']);
  const checkpoint = JSON.parse(
    readFileSync(bench.node.at.path('state', 'checkpoint.json'), 'utf8'),
  ) as object;
  expect(checkpoint).toMatchObject({ networks: expect.arrayContaining(['dcos6']) });
});

test('deleting an allocation or the configuration removes nothing from the node', async () => {
  await bench.running();
  const before = bench.node.kernel.last;
  await bench.plane.client.delete(agentAllocations, 'node2');
  await eventually(async () => {
    expect(condition(await bench.stored(), 'DataPathReady')?.reason).toBe('Kept');
  });
  await bench.plane.client.delete(overlayConfigs, 'default');
  await eventually(async () => {
    const kept = condition(await bench.stored(), 'DataPathReady');
    expect(kept?.message).toContain('OverlayConfig default has no effective configuration');
  });
  expect(bench.node.kernel.last).toEqual(before);
  expect(readdirSync(bench.node.at.path('conf'))).toEqual(['dcos.conflist', 'dcos6.conflist']);
  expect((await bench.stored()).spec.vtep).toEqual(node2.vtep);
});

test('a refused registration is logged once and reported', async () => {
  await bench.running();
  const object = await bench.plane.client.get(agentAllocations, 'node2');
  const refusal = {
    type: 'Accepted',
    status: 'False',
    reason: 'NotItsAddress',
    message: 'not of this Node',
  } as const;
  await bench.plane.client.updateStatus(agentAllocations, {
    ...object!,
    status: { conditions: [{ ...refusal, lastTransitionTime: '2026-01-01T00:00:00Z' }] },
  });
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Registered')).toMatchObject({
      status: 'False',
      reason: 'NotItsAddress',
      message: 'not of this Node',
    });
  });
  const said = bench.node.log.lines.filter((line) => line.includes('refuses'));
  expect(said).toEqual([
    'error the operator refuses this registration object="agentallocations/node2" ' +
      'command="register overlayagents/node2" output="NotItsAddress: not of this Node"',
  ]);
});

test('a condition reports a problem of the node itself until it is repaired', async () => {
  const agent = await bench.running();
  const problem = 'net.ipv4.ip_forward is 0: packets of containers are not forwarded; set it to 1';
  for (const [system, shown] of [
    [[problem], { status: 'False', reason: 'SwitchedOff', message: problem }],
    [[], { status: 'True', reason: 'Prepared' }],
  ] as const) {
    bench.node.host.problems = system.map((message) => ({ reason: 'SwitchedOff', message }));
    agent.reconcile();
    await eventually(async () => {
      expect(condition(await bench.stored(), 'SystemReady')).toMatchObject(shown);
    });
  }
  expect(states(await bench.stored())).toEqual(['dcos OK', 'dcos6 OK']);
});

test('a network with allowAPIServer gets the API servers’ addresses, without them from the checkpoint', async () => {
  const apiServers = [{ address: '172.17.0.2', port: 6443 }];
  // an API server on loopback does not write this object
  const slice = {
    metadata: { name: 'kubernetes' },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['172.17.0.2'] }],
    ports: [{ name: 'https', port: 6443, protocol: 'TCP' as const }],
  };
  await bench.plane.client.create(endpointSlices('default'), slice);
  await bench.running();
  expect(bench.node.kernel.last).not.toHaveProperty('apiServers');
  const isolation = { mode: 'Isolated', hosts: 'Deny', allowAPIServer: true };
  await bench.plane.client.patch(overlayNetworks, 'dcos', { spec: { isolation } }, { type: 'merge' });
  await eventually(() => {
    expect(bench.node.kernel.last?.apiServers).toEqual(apiServers);
  });
  await bench.node.stop();
  bench.node.kernel.snapshots.length = 0;
  await bench.node.start(bench.plane.kubeconfigAt('http://127.0.0.1:9'));
  await eventually(() => {
    expect(bench.node.kernel.last?.apiServers).toEqual(apiServers);
  });
  await bench.plane.client.patch(overlayNetworks, 'dcos', { spec: { isolation: null } }, { type: 'merge' });
});
