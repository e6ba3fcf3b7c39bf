import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { KubeObject } from '../../src/api/types.ts';
import { namespaceMetadata, overlayNetworks, type Resource } from '../../src/kube/resources.ts';
import { attachment, node2 } from '../support/fixture.ts';
import { askAgent } from './agent-ask.ts';
import { Bench, condition } from '../support/agent-harness.ts';
import type { OwnControlPlane } from '../support/controlplane.ts';
import { eventually } from '../support/eventually.ts';

/** The agent's answers to the CNI plugin, with a real API server. */
let bench: Bench<OwnControlPlane>;
beforeAll(async () => {
  bench = await Bench.startOwn();
});
afterAll(async () => {
  await bench.stop();
});
beforeEach(async () => {
  const { client } = bench.plane;
  for (const name of ['dcos', 'dcos6']) await client.delete(overlayNetworks, name);
  await bench.reset();
  for (const name of ['shop', 'bare']) {
    await client.apply(namespaces, { metadata: { name } });
    const metadata = { annotations: { 'overlaynet.dev/network': null }, labels: { team: null } };
    await client.patch(namespaces, name, { metadata }, { type: 'merge' });
  }
});

const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };
const annotated = (name: string, annotations: Record<string, string | null>) =>
  bench.plane.client.patch(namespaces, name, { metadata: { annotations } }, { type: 'merge' });
const labelled = (name: string, labels: Record<string, string | null>) =>
  bench.plane.client.patch(namespaces, name, { metadata: { labels } }, { type: 'merge' });

const ask = (fields: object) => askAgent(bench.node, fields);
const answered = (fields: object, expected: unknown) =>
  eventually(async () => {
    expect(await ask(fields)).toEqual(expected);
  });

test('a container’s error names what is missing until the data path is complete; then the container gets its network', async () => {
  await bench.node.start(bench.plane.kubeconfig);
  await answered(
    { namespace: 'shop' },
    "11 overlaynet's data path is not complete yet: this node's AgentAllocation has no VTEP",
  );
  expect(existsSync(bench.node.at.path('run', 'complete'))).toBe(false);
  expect(existsSync(bench.node.at.path('net', '05-overlaynet.conflist'))).toBe(false);
  await bench.operator.allocate('node2', node2);
  await answered({ namespace: 'shop' }, 'eth0=dcos');
  expect(existsSync(bench.node.at.path('run', 'complete'))).toBe(true);
  expect(existsSync(bench.node.at.path('net', '05-overlaynet.conflist'))).toBe(true);
});

test.each([
  ['all', {}, ''],
  ['the default network', { network: 'dcos' }, 'dcos: '],
])(
  'a kernel that fails %s keeps the node closed, and a container is told its words',
  async (_, of, named) => {
    bench.node.kernel.failures = [{ ...of, message: 'ipset: not found; install ipset' }];
    await bench.node.start(bench.plane.kubeconfig);
    await bench.operator.allocate('node2', node2);
    await answered(
      { namespace: 'shop' },
      `11 overlaynet's data path is not complete yet: ${named}ipset: not found; install ipset`,
    );
    await eventually(async () => {
      expect(condition(await bench.stored(), 'ContainersReady')).toMatchObject({
        status: 'False',
        reason: 'Waiting',
      });
    });
    expect(existsSync(bench.node.at.path('net', '05-overlaynet.conflist'))).toBe(false);
    bench.node.kernel.failures = [];
    await answered({ namespace: 'shop' }, 'eth0=dcos');
    // a data path that was complete once counts as complete
    bench.node.kernel.failures = [{ message: 'boom' }];
    await bench.operator.allocate('node2', { ...node2, revision: 4 });
    await eventually(async () => {
      expect(condition(await bench.stored(), 'DataPathReady')?.message).toBe('boom');
    });
    expect(await ask({ namespace: 'shop' })).toBe('eth0=dcos');
  },
);

test('a node without a network is complete, too, and its pods’ error says what is missing', async () => {
  await bench.node.start(bench.plane.kubeconfig);
  await bench.operator.allocate('node2', { ...node2, networks: [] });
  await answered({ namespace: 'shop' }, expect.stringMatching(/^103 .*network dcos is not on node node2/));
  expect(existsSync(bench.node.at.path('net', '05-overlaynet.conflist'))).toBe(true);
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')?.status).toBe('True');
  });
});

test('a namespace’s annotation and labels take effect as soon as they are written', async () => {
  await bench.running();
  await answered({ namespace: 'shop' }, 'eth0=dcos');
  await annotated('shop', { 'overlaynet.dev/network': 'dcos6,dcos' });
  await answered({ namespace: 'shop' }, 'eth0=dcos6 eth1=dcos');
  expect(await ask({ namespace: 'bare' })).toBe('eth0=dcos');
  expect(await ask({ namespace: 'shop', annotation: 'dcos' })).toBe('eth0=dcos');
  await annotated('shop', { 'overlaynet.dev/network': null });
  await answered({ namespace: 'shop' }, 'eth0=dcos');

  const namespaceSelector = { matchLabels: { team: 'shop' } };
  await bench.plane.client.patch(
    overlayNetworks,
    'dcos6',
    { spec: { namespaceSelector } },
    { type: 'merge' },
  );
  const refused =
    '102 annotation overlaynet.dev/network of pod shop/web-0: namespace shop may not use network dcos6, whose ' +
    'namespaceSelector is team=shop';
  await answered({ namespace: 'shop', annotation: 'dcos6' }, refused);
  expect(await ask({ namespace: 'shop', network: 'dcos6' })).toMatch(/^102 conflist dcos6: /);
  expect(await ask({ pod: undefined, network: 'dcos6' })).toBe('eth0=dcos6');
  await labelled('shop', { team: 'shop' });
  await answered({ namespace: 'shop', annotation: 'dcos6' }, 'eth0=dcos6');
  await labelled('shop', { team: null });
  await answered({ namespace: 'shop', annotation: 'dcos6' }, refused);
});

test('a disabled network, an unknown network and an unknown namespace have different errors', async () => {
  await bench.running();
  await bench.plane.client.patch(overlayNetworks, 'dcos6', { spec: { enabled: false } }, { type: 'merge' });
  const own = 'annotation overlaynet.dev/network of pod shop/web-0: ';
  await answered(
    { namespace: 'shop', annotation: 'dcos6' },
    `101 ${own}network dcos6 is not in force: spec.enabled is false`,
  );
  expect(await ask({ namespace: 'shop', annotation: 'nope' })).toBe(`100 ${own}there is no network nope`);
  expect(await ask({ namespace: 'gone' })).toBe('11 there is no namespace gone');
});

test('an agent reads a namespace that its watch has not delivered yet', async () => {
  await bench.running();
  const { client } = bench.plane;
  const name = `new-${Date.now().toString(36)}`;
  const annotations = { 'overlaynet.dev/network': 'dcos6' };
  const asked = client
    .create(namespaces, { metadata: { name, annotations } })
    .then(() => ask({ namespace: name }));
  expect(await asked).toBe('eth0=dcos6');
});

test('without the right to read namespaces, an agent does everything else, and waiting pods get the reason', async () => {
  const kubeconfig = await bench.plane.kubeconfigFor({
    name: 'ovt-no-namespaces',
    rules: [{ apiGroups: ['overlaynet.dev'], resources: ['*'], verbs: ['*'] }],
  });
  await bench.running(kubeconfig);
  await eventually(async () => {
    const said = condition(await bench.stored(), 'ContainersReady');
    expect(said).toMatchObject({ status: 'False', reason: 'NamespacesUnknown' });
    expect(said?.message).toMatch(/list namespaces: 403 Forbidden/);
  });
  expect(await ask({ namespace: 'shop' })).toMatch(
    /^11 namespace shop is not known: get namespaces\/shop: 403 Forbidden: .*cannot get resource/,
  );
  expect(await ask({ namespace: 'shop', annotation: 'dcos6' })).toBe('eth0=dcos6');
  expect(await ask({ network: 'dcos6' })).toBe('eth0=dcos6');
});

test('without the API server, and after a restart, pods get the last known network of their namespace', async () => {
  await annotated('shop', { 'overlaynet.dev/network': 'dcos6' });
  await labelled('shop', { team: 'shop' });
  const selector = { namespaceSelector: { matchLabels: { team: 'shop' } } };
  await bench.plane.client.patch(overlayNetworks, 'dcos6', { spec: selector }, { type: 'merge' });
  await bench.running();
  await answered({ namespace: 'shop' }, 'eth0=dcos6');
  await bench.node.stop();
  await bench.plane.killApiserver();
  try {
    await bench.node.start(bench.plane.kubeconfig);
    await answered({ namespace: 'shop' }, 'eth0=dcos6');
    expect(await ask({ namespace: 'bare' })).toBe('eth0=dcos');
    expect(await ask({ namespace: 'bare', annotation: 'dcos6' })).toMatch(/^102 /);
    expect(await ask({ namespace: 'later' })).toMatch(/^11 namespace later is not known: /);
    expect(await ask({ namespace: 'bare', annotation: 'later' })).toMatch(
      /^11 .*network later is not known, and the API server cannot be asked now; known are: dcos, dcos6$/,
    );
  } finally {
    await bench.plane.startApiserver();
  }
  await annotated('shop', { 'overlaynet.dev/network': 'dcos' });
  await answered({ namespace: 'shop' }, 'eth0=dcos');
});

test('leases of a deleted network stay until its containers end, and the condition names them', async () => {
  const agent = await bench.running();
  const { at, links } = bench.node;
  mkdirSync(at.path('leases', 'dcos'));
  mkdirSync(at.path('state', 'attachments'));
  const record = at.path('state', 'attachments', 'cafe-eth0.json');
  writeFileSync(record, JSON.stringify(attachment()));
  links.add('c-0123456789ab');
  await bench.operator.withdraw('dcos');
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')).toMatchObject({
      status: 'True',
      reason: 'LeasesHeld',
      message: 'containers can join; network dcos is gone, and still has pod default/web-0',
    });
  });
  expect(existsSync(at.path('leases', 'dcos'))).toBe(true);
  links.clear();
  rmSync(record);
  agent.reconcile();
  await eventually(async () => {
    expect(existsSync(at.path('leases', 'dcos'))).toBe(false);
    expect(condition(await bench.stored(), 'ContainersReady')?.reason).toBe('Ready');
  });
});

test('unreadable records of containers are reported', async () => {
  bench.node.kernel.unread = ['cafe-eth0.json: not JSON'];
  const agent = await bench.running();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')).toMatchObject({
      status: 'True',
      reason: 'RecordsUnread',
      message: 'containers can join; what these records allowed stays allowed: cafe-eth0.json: not JSON',
    });
  });
  bench.node.kernel.unread = [];
  agent.reconcile();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'ContainersReady')?.reason).toBe('Ready');
  });
});

test('a read-only directory of the runtimes is reported, and tried again', async () => {
  rmSync(bench.node.at.path('net'), { recursive: true });
  writeFileSync(bench.node.at.path('net'), 'no directory');
  await bench.node.start(bench.plane.kubeconfig);
  await bench.operator.allocate('node2', node2);
  const stored = await eventually(async () => {
    const object = await bench.stored();
    expect(condition(object, 'ContainersReady')).toMatchObject({ status: 'False', reason: 'Failed' });
    return object;
  });
  expect(condition(stored, 'ContainersReady')?.message).toMatch(/^(EEXIST|ENOTDIR): /);
  expect(condition(stored, 'DataPathReady')?.status).toBe('True');
  expect(await ask({ namespace: 'shop' })).toBe('eth0=dcos');
  rmSync(bench.node.at.path('net'));
  await eventually(() => {
    expect(
      JSON.parse(readFileSync(bench.node.at.path('net', '05-overlaynet.conflist'), 'utf8')),
    ).toMatchObject({
      name: 'overlaynet.dev',
    });
  });
});

test('an agent reads only metadata of namespaces, and unrelated changes cause no write', async () => {
  await bench.running();
  await answered({ namespace: 'shop' }, 'eth0=dcos');
  const object = await bench.plane.client.get(namespaceMetadata, 'shop');
  expect(Object.keys(object ?? {})).not.toContain('spec');
  const checkpoint = () => readFileSync(bench.node.at.path('state', 'checkpoint.json'), 'utf8');
  await eventually(() => {
    expect(checkpoint()).toContain('"shop"');
  });
  const before = checkpoint();
  await annotated('shop', { 'example.com/other': String(Date.now()) });
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(checkpoint()).toBe(before);
});
