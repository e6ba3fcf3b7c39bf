import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import {
  agentAllocations,
  endpointSlices,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
} from '../../src/kube/resources.ts';
import { HttpProxy } from '../support/kubeproxy.ts';
import { node1, node2 } from '../support/fixture.ts';
import { Bench, condition, eventually, states } from '../support/agent-harness.ts';

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

test('an idle agent writes nothing to the API server, whatever it looks at', async () => {
  const proxy = await HttpProxy.to(bench.plane.server);
  try {
    const agent = await bench.running(bench.plane.kubeconfigAt(proxy.url));
    await eventually(async () => {
      expect((await bench.stored()).spec.networks).toHaveLength(2);
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [requests, passes, { metadata }] = [
      proxy.requests.length,
      bench.node.kernel.snapshots.length,
      await bench.stored(),
    ];
    for (let i = 0; i < 5; i++) {
      agent.reconcile();
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(bench.node.kernel.snapshots.length).toBe(passes + 5);
    expect(proxy.requests.slice(requests).filter((request) => !request.startsWith('GET '))).toEqual([]);
    expect((await bench.stored()).metadata.resourceVersion).toBe(metadata.resourceVersion);
    // registration, what it holds, a status for each step on the way, and NetworkUnavailable of its Node
    const writes = proxy.requests.filter((request) => !request.startsWith('GET '));
    expect(writes.length).toBeLessThanOrEqual(6);
  } finally {
    await bench.node.stop();
    await proxy.close();
  }
});

test('a report of the kernel has links looked at; all is read again after a change, a failure and a new object', async () => {
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
  // what the last pass changed is to be seen
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

test('objects that change without meaning for the node cause no pass', async () => {
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

test('registers again when its OverlayAgent is deleted, with what it holds', async () => {
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
  // the uplink is where packets to these leave
  expect(bench.node.measuredTo).toEqual(node1.addresses);
});

test('a failure is told for its network in the tool’s words, tried again, and forgotten', async () => {
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

test('what no retry can mend is said of its network, and holds up nothing else', async () => {
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

test('a network that is deleted loses its conflist before its bridge, and its leases after', async () => {
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
  // a pass may have been under way that knew the network still
  expect(seen.find(([networks]) => networks?.includes('dcos') === false)).toEqual([['dcos6'], false, true]);
  // without it the node would be NotReady; a pod of the network that is gone is told
  expect(readdirSync(bench.node.at.path('net'))).toEqual(['05-overlaynet.conflist']);
  const checkpoint = JSON.parse(
    readFileSync(bench.node.at.path('state', 'checkpoint.json'), 'utf8'),
  ) as object;
  expect(checkpoint).toMatchObject({ networks: expect.arrayContaining(['dcos6']) });
});

test('an allocation or a configuration that is deleted takes nothing away', async () => {
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

test('a registration that the operator refuses is logged once and shown', async () => {
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
    'error the operator refuses this registration refusal="NotItsAddress: not of this Node"',
  ]);
});

test('what is wrong with the node itself shows in a condition until it is mended', async () => {
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
}, 60_000);

test('a network with allowAPIServer learns where the API servers listen, an agent without them from its checkpoint', async () => {
  const apiServers = [{ address: '172.17.0.2', port: 6443 }];
  // an API server on loopback does not write it itself
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
