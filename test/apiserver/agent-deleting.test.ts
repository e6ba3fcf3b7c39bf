import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { inUseFinalizer } from '../../src/api/inuse.ts';
import type { KubeObject } from '../../src/api/types.ts';
import { overlayNetworks, type Resource } from '../../src/kube/resources.ts';
import { node2 } from '../support/fixture.ts';
import { askAgent } from './agent-ask.ts';
import { Bench } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

/** A network is deleted while a pod of this node uses it. */
let bench: Bench;
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

beforeAll(async () => {
  bench = await Bench.start();
  await bench.plane.client.apply(namespaces, { metadata: { name: 'shop' } });
  await bench.reset();
  await bench.running();
});
afterAll(async () => {
  await bench.stop();
});

const said = async () => (await bench.stored()).status?.networks?.find(({ name }) => name === 'dcos');
const ask = (containerID: string) =>
  askAgent(bench.node, { namespace: 'shop', network: 'dcos', containerID });
const host = 'c-00000000c0de';

/** Writes what the plugin leaves of a container. */
function attach(): void {
  const one = { network: 'dcos', name: 'eth0', host, mac: '', bridge: 'm-dcos', addresses: ['9.0.1.2'] };
  const who = { containerID: 'c0de', ifname: 'eth0', netns: '/run/netns/x', namespace: 'shop', pod: 'web-0' };
  mkdirSync(bench.node.at.path('state', 'attachments'), { recursive: true });
  mkdirSync(bench.node.at.path('leases', 'dcos'), { recursive: true });
  writeFileSync(bench.node.at.path('leases', 'dcos', '9.0.1.2'), 'c0de\neth0');
  const record = { version: 1, conflist: 'overlaynet', ...who, interfaces: [one] };
  writeFileSync(bench.node.at.path('state', 'attachments', 'c0de.json'), JSON.stringify(record));
  bench.node.links.add(host);
}

function detach(): void {
  rmSync(bench.node.at.path('state', 'attachments', 'c0de.json'));
  rmSync(bench.node.at.path('leases', 'dcos', '9.0.1.2'));
  bench.node.links.delete(host);
}

test('the agent reports the pod, keeps the network for it, and admits no container after the last one has ended', async () => {
  const { client } = bench.plane;
  await bench.operator.allocate('node2', node2);
  await eventually(async () => {
    expect((await said())?.usage?.find(({ containerizer }) => containerizer === 'CNI')).toMatchObject({
      cidr: '9.0.1.0/25',
      addresses: 125,
      used: 0,
    });
  });
  await eventually(async () => {
    expect(await ask('c0de')).toBe('eth0=dcos');
  });
  attach();
  await eventually(async () => {
    expect((await said())?.inUse).toBe(true);
  });
  await client.patch(
    overlayNetworks,
    'dcos',
    { metadata: { finalizers: [inUseFinalizer] } },
    { type: 'merge' },
  );
  await client.delete(overlayNetworks, 'dcos');
  await eventually(async () => {
    expect((await said())?.users).toMatchObject({
      count: 1,
      named: [{ pod: 'shop/web-0', address: '9.0.1.2' }],
    });
  });
  expect((await said())?.state).toBe('OK');
  expect(bench.node.kernel.last?.networks.map(({ metadata }) => metadata.name)).toContain('dcos');
  expect(await ask('c0ffee')).toBe('eth0=dcos');
  detach();
  await eventually(async () => {
    expect((await said())?.users?.count).toBe(0);
  });
  expect(await ask('beef')).toMatch(
    /^101 .*network dcos is being deleted, and takes no more containers on node node2: no pod on this node uses it any more$/,
  );
});
