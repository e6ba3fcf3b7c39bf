import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Parts } from '../../hack/parts.ts';
import {
  addContainer,
  containerNamed,
  containersOf,
  removeContainer,
  type Container,
} from '../../hack/testbed/containers.ts';
import { nodesOf } from '../../hack/testbed/namespaces.ts';
import type { NetworkSubnet, OverlayNetwork } from '../../src/api/types.ts';
import { eventually } from '../support/eventually.ts';
import {
  inContainer,
  kernelOf,
  kubectl,
  lab,
  onNode,
  pinging,
  settledKernel,
  withdraw,
} from '../support/lab.ts';

/** A network whose range is replaced, and rolled back at each step, with containers on it; and one that is deleted. */

const network = 'swap';
const old = { cidr: '10.81.0.0/16', prefix: 24 };
const fresh = { cidr: '10.88.0.0/16', prefix: 24 };
const going = { ...old, state: 'Draining' } as const;
type Entry = Pick<NetworkSubnet, 'cidr' | 'prefix'> & Partial<NetworkSubnet>;

const parts = () => JSON.parse(readFileSync(join(lab.dir, 'parts.json'), 'utf8')) as Parts;

const apply = (...subnets: Entry[]): Promise<string> =>
  kubectl(
    ['apply', '-f', '-'],
    JSON.stringify({
      apiVersion: 'overlaynet.dev/v1alpha1',
      kind: 'OverlayNetwork',
      metadata: { name: network },
      spec: { subnets },
    }),
  );

const shown = async (): Promise<OverlayNetwork> =>
  JSON.parse(await kubectl(['get', 'onet', network, '-o', 'json'])) as OverlayNetwork;

/** The node's bridge has a gateway in each of these ranges and in no other. */
const gateways = (node: string, ...starts: string[]) =>
  eventually(
    () => onNode(node, 'ip', '-4', '-br', 'address', 'show', 'dev', `m-${network}`),
    (text) => (text.match(/10\.8\d\./g) ?? []).sort().join() === [...starts].sort().join(),
    { what: `${node} has gateways in ${starts.join(', ')}` },
  );

/** Starts a container, once the node gives an address of one of these ranges. */
const start = (node: string, name: string, ...starts: string[]): Promise<Container> =>
  eventually(async () => {
    const one = await addContainer(lab, parts(), { node, network, name });
    if (one.addresses.every((address) => starts.some((from) => address.startsWith(from)))) return one;
    await removeContainer(lab, parts(), one);
    throw new Error(`${name} has ${one.addresses.join(', ')}`);
  });

const reaches = (from: { node: string; name: string }, to: string) =>
  inContainer(from.node, from.name, 'ping', '-n', '-c', '2', '-i', '0.2', '-W', '2', to);

const drained = (state: string) =>
  eventually(
    async () => (await shown()).status?.draining?.[0],
    (entry) => entry?.state === state,
    { what: `the old range is ${state}`, seconds: 60 },
  );

afterEach(async () => {
  for (const node of nodesOf(lab))
    for (const one of containersOf(lab, node).filter((each) => each.network === network))
      await removeContainer(lab, parts(), one);
  await withdraw(network);
});

test('a range is replaced and rolled back at each step, and no packet of the containers on it is lost', async () => {
  await apply(old);
  const [a, b] = [await start('node2', 'ovt-a', '10.81.'), await start('node3', 'ovt-b', '10.81.')];
  const before = { node2: await settledKernel('node2'), node3: await settledKernel('node3') };
  const traffic = await pinging(a, b.addresses[0]!);

  // grown: what is new has an address of either
  await apply(old, fresh);
  for (const node of ['node2', 'node3']) await gateways(node, '10.81.', '10.88.');
  const both = await start('node3', 'ovt-both', '10.81.', '10.88.');
  await removeContainer(lab, parts(), both);

  // drained: what is new comes from the other range alone, what was there stays and is named
  await apply(going, fresh);
  const c = await start('node2', 'ovt-c', '10.88.');
  // an attempt of `start` may have been counted
  await eventually(async () => {
    const { containers, users = [] } = (await drained('InUse'))!;
    expect(containers).toBe(2);
    expect(users.map(({ node, address }) => [node, address]).sort()).toEqual([
      ['node2', a.addresses[0]],
      ['node3', b.addresses[0]],
    ]);
  });
  await reaches(c, b.addresses[0]!);

  // rolled back while it drains: each node has the block that it had
  await apply(old, fresh);
  const again = await start('node3', 'ovt-again', '10.81.', '10.88.');
  await reaches(a, again.addresses[0]!);
  for (const one of [again, c]) await removeContainer(lab, parts(), one);

  // rolled back to what it was: the new range goes, once nothing uses it
  await apply(old, { ...fresh, state: 'Draining', removeWhenDrained: true });
  await drained('Removed');
  await apply(old);
  for (const node of ['node2', 'node3'] as const) {
    await gateways(node, '10.81.');
    await eventually(async () => {
      expect(await kernelOf(node)).toBe(before[node]);
    });
  }
  await reaches(await start('node2', 'ovt-d', '10.81.'), b.addresses[0]!);
  const { sent, received } = await traffic.stop();
  console.log(`${sent} packets sent during the replacement, ${sent - received} lost`);
  expect(sent).toBeGreaterThan(100);
  expect(received).toBe(sent);
});

test('to its end: the old range goes by itself with its last container', async () => {
  await apply(old);
  const a = await start('node2', 'ovt-a', '10.81.');
  await apply(old, fresh);
  await gateways('node2', '10.81.', '10.88.');
  await apply({ ...going, removeWhenDrained: true }, fresh);
  await drained('InUse');
  const b = await start('node3', 'ovt-b', '10.88.');
  await removeContainer(lab, parts(), a);
  await drained('Removed');
  for (const node of ['node2', 'node3']) await gateways(node, '10.88.');
  const c = await start('node2', 'ovt-c', '10.88.');
  await reaches(c, b.addresses[0]!);
});

test('finished pods of a namespace that is being deleted keep no network from being deleted', async () => {
  await apply(old);
  const namespace = 'ovt-going';
  const name = 'ovt-finished';
  await kubectl(['create', 'namespace', namespace]);
  await kubectl(['create', 'serviceaccount', 'default', '-n', namespace]);
  const metadata = { name, namespace, finalizers: ['example.com/kept'] };
  const pod = { metadata, spec: { nodeName: 'node2', containers: [{ name: 'c', image: 'x' }] } };
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod }));
  process.env.CNI_ARGS = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`;
  try {
    await start('node2', name, '10.81.');
  } finally {
    delete process.env.CNI_ARGS;
  }
  await kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await kubectl(['delete', 'onet', network, '--wait=false']);
  const waits = await eventually(
    async () => (await shown()).status?.conditions?.find(({ type }) => type === 'Deleting')?.message ?? '',
    (message) => message.includes(name),
  );
  expect(waits).toContain(`1 container uses it: pod ${namespace}/${name} (node2, 10.81.`);
  // it ends, and its runtime does not come round to telling the plugin
  const { node } = containerNamed(lab, 'node2', name);
  await onNode(node, 'ip', 'netns', 'del', name);
  try {
    await kubectl(['wait', '--for=delete', 'onet', network, '--timeout=60s']);
    expect(await kubectl(['get', 'pod', '-n', namespace, name, '-o', 'name'])).toBe(`pod/${name}\n`);
  } finally {
    await onNode(node, 'ip', 'netns', 'add', name);
    await kubectl([
      'patch',
      'pod',
      '-n',
      namespace,
      name,
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    ]);
  }
});
