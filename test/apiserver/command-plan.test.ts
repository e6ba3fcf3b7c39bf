import { expect } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  agentAllocations,
  nodes,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  type Node,
} from '../../src/kube/resources.ts';
import { usesCommandBed } from '../support/usescommandbed.ts';
import { eventually } from '../support/eventually.ts';

// `plan` as users type it, compared with what the operator does once the manifest is applied.

const { bed, run, client } = usesCommandBed();

const network = (name: string, spec: object) => ({
  apiVersion: 'overlaynet.dev/v1alpha1',
  kind: 'OverlayNetwork',
  metadata: { name },
  spec,
});
const subnets = (...all: [cidr: string, more?: object][]) => ({
  subnets: all.map(([cidr, more]) => ({ cidr, prefix: 24, ...more })),
});
const file = (name: string, ...objects: (object | string)[]) => {
  const at = path.join(bed().temp.path, `${name}.yaml`);
  // JSON is YAML
  writeFileSync(
    at,
    objects.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n---\n'),
  );
  return at;
};
const plan = async (object: object, flags = '') => {
  const { code, stdout } = await run(`plan${flags} -f -`, undefined, JSON.stringify(object));
  return { code, stdout };
};
/** Returns the versions of all objects, which must not change. */
const versions = async () => {
  const lists = [
    client().list(overlayNetworks),
    client().list(agentAllocations),
    client().list(overlayConfigs),
  ];
  return (await Promise.all(lists)).flatMap(({ items }) => items.map(({ metadata }) => metadata.uid));
};
const bare = { state: 'Active', prefix: 24 };

test('plan predicts room, nodes and containers of a new network as the operator then allocates them', async () => {
  const shop = network('shop', subnets(['10.9.0.0/16']));
  const before = await versions();
  const { code, stdout } = await plan(shop);
  expect(stdout.split('\n')).toEqual([
    'OverlayNetwork shop: create',
    '  accepted',
    '  10.9.0.0/16 in /24s: 256 nodes; you have 1, and 1 Node without an agent; containers per node: 125 of CNI and 125 of Docker',
    '  gives 1 block to nodes',
    '',
    'no problem found; nothing was changed',
    '',
  ]);
  expect(code).toBe(0);
  expect(await versions()).toEqual(before);
  await bed().plane.kubectl('apply', '-f', file('shop', shop));
  const held = () =>
    client()
      .get(overlayNetworks, 'shop')
      .then((one) => one?.status?.capacity?.[0]?.held);
  expect(await eventually(held, (count) => count === 1)).toBe(1);
  const again = await plan(shop);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('OverlayNetwork shop: no change')]);
});

test.each<[what: string, object: object, words: string]>([
  [
    'the operator: a network that has the range',
    network('late', subnets(['9.0.128.0/17'])),
    'REFUSED by the operator: Overlap: spec.subnets: 9.0.128.0/17 overlaps 9.0.0.0/16 of network dcos',
  ],
  [
    'the API server: a rule',
    network('late', subnets(['10.10.0.0/16', { prefix: 8 }])),
    'prefix 8 of 10.10.0.0/16 must be longer than the cidr',
  ],
  [
    'the API server: a field that is not there',
    network('late', { ...subnets(['10.10.0.0/16']), enabeld: true }),
    'strict decoding error: unknown field "spec.enabeld"',
  ],
  [
    'the operator: what is pinned',
    {
      apiVersion: 'overlaynet.dev/v1alpha1',
      kind: 'OverlayConfig',
      metadata: { name: 'default' },
      spec: { vni: 7 },
    },
    'REFUSED by the operator: Pinned: spec.vni: 7 is not in force, 1024 is',
  ],
])('refused by %s', async (_, object, words) => {
  const { code, stdout } = await plan(object);
  expect([code, stdout]).toEqual([1, expect.stringContaining(words)]);
});

test('plan knows the API server’s ranges of Services, and the Nodes’ ranges of pods', async () => {
  const services = await plan(network('late', subnets(['10.0.0.0/16'])));
  expect([services.code, services.stdout]).toEqual([
    1,
    expect.stringMatching(
      /WARNING spec.subnets: 10.0.0.0\/16 overlaps 10.0.0.0\/\d+, addresses of Services \(ServiceCIDR kubernetes\)/,
    ),
  ]);
  const node = (await client().get(nodes, 'control'))!;
  await client().update<Node>(nodes, { ...node, spec: { podCIDRs: ['10.244.3.0/24'] } });
  const pods = await plan(network('late', subnets(['10.244.0.0/16'])));
  expect([pods.code, pods.stdout]).toEqual([
    1,
    expect.stringContaining('overlaps 10.244.3.0/24, addresses of pods (podCIDRs of Node control)'),
  ]);
});

test('the exit status is 3 if blocks are taken away: by a disabled network or a removed entry', async () => {
  const off = await plan(network('dcos', { ...subnets(['9.0.0.0/16']), enabled: false }));
  expect([off.code, off.stdout]).toEqual([
    3,
    expect.stringContaining(
      'TAKES AWAY 1 block of network dcos, of which 0 addresses are used: 9.0.0.0/24 of node1',
    ),
  ]);
  expect(off.stdout).toContain('spec.enabled: true becomes false');
  const two = network('two', subnets(['10.20.0.0/16'], ['10.21.0.0/16']));
  await bed().plane.kubectl('apply', '-f', file('two', two));
  await eventually(
    () => client().get(overlayNetworks, 'two'),
    (one) => one?.status?.capacity?.[1]?.held === 1,
  );
  const one = await plan(network('two', subnets(['10.20.0.0/16'])));
  expect([one.code, one.stdout]).toEqual([3, expect.stringContaining('TAKES AWAY 1 block of network two')]);
  expect(one.stdout).toContain(
    `spec.subnets[10.21.0.0/16]: removed, it was ${JSON.stringify(bare).replace(/.*/, '{"prefix":24,"state":"Active"}')}`,
  );
  // server-side apply keeps fields of another manager
  const server = await plan(network('two', subnets(['10.20.0.0/16'])), ' --server-side');
  expect(server.stdout).not.toContain('TAKES AWAY');
  const drained = (more: object) =>
    plan(network('two', subnets(['10.20.0.0/16', { state: 'Draining', ...more }], ['10.21.0.0/16'])));
  expect(await drained({})).toEqual({
    code: 0,
    stdout: expect.stringContaining('DRAINS 10.20.0.0/16: 1 node hold blocks of it'),
  });
  expect((await drained({ removeWhenDrained: true })).code).toBe(3);
});

const reservation = (name: string, spec: object) => ({
  apiVersion: 'overlaynet.dev/v1alpha1',
  kind: 'OverlayReservation',
  metadata: { name },
  spec,
});

test('plan tells what the operator reserves and refuses, as it then does', async () => {
  const blocks = (cidr: string) => ({ networks: [{ name: 'dcos', subnets: [cidr] }] });
  const free = reservation('free', { nodeName: 'late', ...blocks('9.0.77.0/24') });
  const taken = reservation('taken', { nodeName: 'late2', ...blocks('9.0.0.0/24') });
  const early = reservation('early', {
    nodeName: 'late3',
    networks: [{ name: 'nope', subnets: ['10.60.0.0/24'] }],
  });
  const files = [free, taken, early].map((one) => file(one.metadata.name, one));
  const { code, stdout } = await run(`plan -f ${files.join(' -f ')}`);
  expect(stdout.split('\n')).toEqual([
    'OverlayReservation free: create',
    '  accepted',
    '  reserves 9.0.77.0/24 of network dcos for node late, which does not exist yet',
    'OverlayReservation taken: create',
    '  REFUSED by the operator: Held: 9.0.0.0/24 of network dcos is held by node node1',
    'OverlayReservation early: create',
    '  accepted',
    '  WAITS 10.60.0.0/24 of network nope: there is no network nope',
    '',
    'READ THE LINES IN CAPITALS before you apply it; nothing was changed',
    '',
  ]);
  expect(code).toBe(1);
  const bad = await plan(reservation('bad', { nodeName: 'late' }));
  expect([bad.code, bad.stdout]).toEqual([
    1,
    expect.stringContaining('spec reserves nothing; give vtep or networks, or exclusive'),
  ]);
  for (const one of files) await bed().plane.kubectl('apply', '-f', one);
  const said = (name: string, type: string) =>
    eventually(
      () => client().get(overlayReservations, name),
      (one) => one?.status?.conditions?.some((all) => all.type === type) === true,
    ).then((one) => one?.status?.conditions?.find((all) => all.type === type)?.message);
  expect(await said('free', 'Reserved')).toBe('the ledger has all of it for node late');
  expect(await said('taken', 'Accepted')).toBe('9.0.0.0/24 of network dcos is held by node node1');
  expect(await said('early', 'Reserved')).toBe('there is no network nope');
  const again = await plan(free);
  expect([again.code, again.stdout]).toEqual([
    0,
    expect.stringContaining('OverlayReservation free: no change'),
  ]);
});

test('several files and documents make one plan, and foreign objects are ignored', async () => {
  const a = file('a', network('aa', subnets(['10.31.0.0/16'])), '# nothing', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
  });
  const b = file('b', {
    apiVersion: 'v1',
    kind: 'List',
    items: [network('bb', subnets(['10.31.0.0/17'])), network('cc', subnets(['10.32.0.0/16']))],
  });
  const { code, stdout } = await run(`plan -f ${a} -f ${b} -o json`);
  const told = JSON.parse(stdout) as { objects: { about: string; refused?: string }[]; passedOver: string[] };
  expect(code).toBe(1);
  expect(told.passedOver).toEqual(['Deployment web']);
  expect(
    told.objects.map(({ about, refused = '' }) => [about, refused.replace(/.*overlaps/, 'overlaps')]),
  ).toEqual([
    ['OverlayNetwork aa', ''],
    ['OverlayNetwork bb', 'overlaps 10.31.0.0/16 of network aa'],
    ['OverlayNetwork cc', ''],
  ]);
});

test('the exit status is 2 if the plan is unknown, with what to do', async () => {
  const fine = network('late', subnets(['10.10.0.0/16']));
  const refused = async (text: string, words: RegExp, kubeconfig?: string) => {
    const { code, stdout, stderr } = await run('plan -f -', kubeconfig, text);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(words)]);
  };
  await refused('a: b: c', /standard input: line 1: Nested mappings[^]*kubectl would refuse it too/);
  await refused('', /there is nothing to plan/);
  await refused('[1]', /kind is missing/);
  await refused(JSON.stringify({ ...fine, metadata: {} }), /metadata.name: nothing is not a name/);
  await refused(
    JSON.stringify({ ...fine, apiVersion: 'overlaynet.dev/v2' }),
    /v2 is not overlaynet.dev\/v1alpha1/,
  );
  await refused(JSON.stringify({ ...fine, kind: 'AgentAllocation' }), /written by operator and agents alone/);
  await refused(
    `${JSON.stringify(fine)}\n---\n${JSON.stringify(fine)}`,
    /is in standard input, document 1 already/,
  );
  const rules = [{ apiGroups: ['overlaynet.dev'], resources: ['*'], verbs: ['get', 'list'] }];
  const user = await bed().plane.kubeconfigFor({ name: 'ovt-reader', rules });
  await refused(JSON.stringify(fine), /you lack a right[^]*overlaynet-edit/, user);
  expect((await run('plan -f /nonexistent.yaml')).stderr).toMatch(/cannot be read: [^]*give -f a file/);
});
