import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { NetworkAvailable } from '../../src/report/available.ts';
import type { KubeObject } from '../../src/api/types.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { nodes, type Node } from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { install } from '../support/refuses.ts';
import { recordingLog } from '../support/fixture.ts';

/** An agent's right on Nodes: to clear one condition of its own Node. */
const account = { name: 'overlaynet-agent', namespace: 'overlaynet-system' };

let plane: OwnControlPlane;
/** The agent of node1, and one with an unbound token. */
let own: Client, unbound: Client;

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  const { metadata } = await plane.client.create<KubeObject>(nodes, { metadata: { name: 'node1' } });
  const bound = { node: { name: 'node1', uid: metadata.uid ?? '' } };
  own = connect({ kubeconfig: await plane.kubeconfigFor({ ...account, ...bound }) });
  unbound = connect({ kubeconfig: await plane.kubeconfigFor(account) });
  // the policy takes some time to come into force
  for (let tries = 0; tries < 100; tries++) {
    const log = recordingLog();
    await new NetworkAvailable({ client: unbound, node: 'node1', log }).clear();
    if (log.lines.some((line) => line.includes('overlaynet-agent-node'))) return;
    await sleep(100);
  }
  throw new Error('the policy overlaynet-agent-node is not in force after 10 s');
});

afterAll(async () => {
  await own.close();
  await unbound.close();
  await plane.stop();
});

const denied = (words: string) => ({
  status: 403,
  reason: 'Forbidden',
  message: expect.stringContaining(words) as unknown,
});

const unavailable = (status: string) => ({
  type: 'NetworkUnavailable',
  status,
  reason: 'NoRouteCreated',
  message: 'RouteController has not created a route',
});
const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' };
const address = { type: 'InternalIP', address: '172.17.0.2' };
const log = recordingLog();
const conditionsOf = async (name: string) =>
  ((await plane.client.get(nodes, name))?.status?.conditions ?? []).map(
    ({ type, status, reason }) => `${type}=${status} ${reason}`,
  );
/** Makes a Node as its kubelet and a cloud's controllers leave it. */
const node = async (name: string) => {
  const stored = await plane.client.apply<Node>(nodes, { metadata: { name } });
  const status = { addresses: [address], conditions: [ready, unavailable('True')] };
  await plane.client.updateStatus<Node>(nodes, { ...stored, status });
};
const patched = (client: Client, name: string, body: unknown) =>
  client.patch(nodes, name, body, { type: 'merge', subresource: 'status' });
beforeEach(() => node('node1'));

test('an agent clears NetworkUnavailable of its own Node, and a second time changes nothing', async () => {
  const available = new NetworkAvailable({ client: own, node: 'node1', log });
  await available.clear();
  expect(await conditionsOf('node1')).toEqual([
    'Ready=True KubeletReady',
    'NetworkUnavailable=False OverlaynetIsUp',
  ]);
  const before = (await plane.client.get(nodes, 'node1'))?.metadata.resourceVersion;
  expect(await available.clear()).toBeGreaterThanOrEqual(600_000);
  expect((await plane.client.get(nodes, 'node1'))?.metadata.resourceVersion).toBe(before);
  expect(log.lines).toEqual([]);
  // a cloud's controller that writes later
  await node('node1');
  await available.clear();
  expect(await conditionsOf('node1')).toContain('NetworkUnavailable=False OverlaynetIsUp');
});

test('an agent cannot change another Node', async () => {
  await node('node2');
  const said = recordingLog();
  await new NetworkAvailable({ client: own, node: 'node2', log: said }).clear();
  expect(said.lines).toEqual([
    expect.stringContaining('an agent writes the Node that its token is bound to'),
  ]);
  await new NetworkAvailable({ client: unbound, node: 'node1', log: said }).clear();
  expect(said.lines).toHaveLength(2);
  expect(await conditionsOf('node2')).toContain('NetworkUnavailable=True NoRouteCreated');
  expect(await conditionsOf('node1')).toContain('NetworkUnavailable=True NoRouteCreated');
  await plane.client.delete(nodes, 'node2');
});

test.each([
  [
    'another condition',
    { status: { conditions: [{ ...ready, status: 'False' }, unavailable('False')] } },
    'NetworkUnavailable alone',
  ],
  ['a condition less', { status: { conditions: [unavailable('False')] } }, 'NetworkUnavailable alone'],
  [
    'an address',
    { status: { addresses: [address, { type: 'ExternalIP', address: '192.0.2.1' }] } },
    'conditions alone',
  ],
  ['a capacity', { status: { capacity: { 'example.com/gpu': '9' } } }, 'conditions alone'],
  ['no address any more', { status: { addresses: null } }, 'conditions alone'],
  ['a label', { metadata: { labels: { team: 'a' } } }, 'changes no metadata'],
  ['an annotation', { metadata: { annotations: { a: 'b' } } }, 'changes no metadata'],
  ['a finalizer', { metadata: { finalizers: ['example.com/f'] } }, 'changes no metadata'],
  [
    'the condition for the worse',
    { status: { conditions: [ready, { ...unavailable('Unknown'), reason: 'Ovt' }] } },
    'it does not set it',
  ],
])('an agent cannot write %s', async (_, body, words) => {
  const before = await plane.client.get(nodes, 'node1');
  await expect(patched(own, 'node1', body)).rejects.toMatchObject(denied(words));
  expect(await plane.client.get(nodes, 'node1')).toEqual(before);
});

test('an agent cannot read a Node, and can write only its status', async () => {
  await expect(own.get(nodes, 'node1')).rejects.toMatchObject({ status: 403 });
  await expect(own.list(nodes)).rejects.toMatchObject({ status: 403 });
  const labels = { metadata: { labels: { team: 'a' } } };
  await expect(own.patch(nodes, 'node1', labels, { type: 'merge' })).rejects.toMatchObject({ status: 403 });
});
