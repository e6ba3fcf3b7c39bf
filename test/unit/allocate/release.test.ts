import { confirmRestore } from '../../../src/api/labels.ts';
import { dcos, reference } from '../../support/plancluster.ts';

test('a network added later reaches the nodes that exist; a removed one is withdrawn, and its blocks rest', () => {
  const cluster = reference();
  cluster.network('third', [{ cidr: '10.99.0.0/16', prefix: 24 }]);
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(['9.0.1.0/24', 'fd01:b:0:0:1::/80', '10.99.1.0/24']);
  const revision = cluster.spec('node2').revision;
  cluster.networks.delete('third');
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(['9.0.1.0/24', 'fd01:b:0:0:1::/80']);
  expect(cluster.spec('node2').revision).toBeGreaterThan(revision);
  expect(cluster.blocks().filter((text) => text.startsWith('net-third'))).toEqual(
    [1, 2, 3].map((n) => expect.stringMatching(new RegExp(`node${n} Cooling$`))),
  );
  cluster.now += 600_001;
  cluster.settle();
  expect(cluster.blocks().filter((text) => text.startsWith('net-third'))).toEqual([]);
  expect([...cluster.ledger.keys()].filter((name) => name.startsWith('net-third'))).toEqual([]);
  expect(cluster.ledger.get('spaces')!.spec.index!.spaces.map(({ network }) => network)).toEqual([
    '',
    'dcos',
    'dcos6',
  ]);
});

test('a network deleted and made again at once keeps every block with its node', () => {
  const cluster = reference();
  const before = cluster.shown('node3');
  cluster.networks.delete('dcos');
  cluster.settle();
  cluster.network('dcos', dcos);
  cluster.settle();
  expect(cluster.shown('node3')).toEqual(before);
});

test('a network recreated after its space was forgotten gets pages of new numbers', () => {
  const cluster = reference();
  const pages = () => [...cluster.ledger.keys()].filter((name) => name.startsWith('net-dcos-'));
  const [old] = pages();
  cluster.networks.delete('dcos');
  cluster.settle();
  cluster.now += 600_001;
  cluster.settle();
  expect(pages()).toEqual([]);
  cluster.network('dcos', dcos);
  cluster.settle();
  expect(pages()).toHaveLength(1);
  expect(pages()).not.toContain(old);
});

test('a page that was listed and never created is a tombstone once its space retires', () => {
  const cluster = reference();
  const spaces = cluster.ledger.get('spaces')!;
  const space = spaces.spec.index!.spaces.find(({ network }) => network === 'dcos')!;
  space.pages.push(77);
  cluster.networks.delete('dcos');
  cluster.settle();
  expect(cluster.ledger.get('net-dcos-77')!.spec.page).toMatchObject({ retired: true, blocks: [] });
});

test('a deselected node’s block is first removed from its AgentAllocation, and the node gets it again within the cooldown', () => {
  const cluster = reference();
  const selector = { nodeSelector: { matchLabels: { overlay: 'yes' } } };
  for (const name of ['node1', 'node2']) cluster.nodes.get(name)!.labels.overlay = 'yes';
  cluster.network('dcos', dcos, selector);
  cluster.history = [];
  cluster.settle();
  expect(cluster.shown('node3')).toEqual(['fd01:b:0:0:2::/80']);
  expect(cluster.blocks()).toContain('net-dcos-1/2 node3 Cooling');
  const steps = cluster.history
    .filter(({ kind }) => kind === 'write-page' || kind === 'update-allocation')
    .map(({ kind }) => kind);
  expect(steps).toEqual(['write-page', 'update-allocation', 'write-page']);
  cluster.nodes.get('node3')!.labels.overlay = 'yes';
  cluster.settle();
  expect(cluster.shown('node3')).toEqual(['9.0.2.0/24', 'fd01:b:0:0:2::/80']);
});

test('a release writes a changed AgentAllocation even if that never showed the block', () => {
  const cluster = reference();
  const { metadata, spec } = cluster.ledger.get('net-dcos-1')!;
  const { uid } = cluster.nodes.get('node3')!;
  const since = '2026-01-01T00:00:00Z';
  const blocks = [...spec.page!.blocks, { index: 9, node: 'node3', uid, state: 'Held' as const, since }];
  cluster.ledger.set('net-dcos-1', { metadata, spec: { page: { ...spec.page!, blocks } } });
  const revision = cluster.spec('node3').revision;
  cluster.settle();
  expect(cluster.blocks()).toContain('net-dcos-1/9 node3 Cooling');
  expect(cluster.spec('node3').revision).toBeGreaterThan(revision);
  expect(cluster.shown('node3')).toEqual(['9.0.2.0/24', 'fd01:b:0:0:2::/80']);
});

test('a gone node’s blocks are marked, its AgentAllocation is emptied and deleted, and they rest; its return revives them', () => {
  const cluster = reference();
  const before = cluster.shown('node2');
  cluster.leave('node2');
  cluster.history = [];
  cluster.settle();
  const kinds = cluster.history.map(({ kind }) => kind);
  const emptied = kinds.indexOf('update-allocation');
  expect(cluster.history[emptied]).toMatchObject({
    node: 'node2',
    spec: { revision: expect.any(Number), nodeUID: expect.any(String), addresses: [] },
  });
  expect(kinds.indexOf('write-page')).toBeLessThan(emptied);
  expect(kinds.lastIndexOf('write-page')).toBeGreaterThan(emptied);
  expect(kinds.indexOf('delete-allocation')).toBeGreaterThan(emptied);
  expect(kinds).toContain('delete-agent');
  expect(cluster.allocations.has('node2')).toBe(false);
  expect(cluster.blocks().filter((text) => text.includes('node2'))).toEqual(
    expect.arrayContaining(['vtep-0/1 node2 Cooling', 'net-dcos-1/1 node2 Cooling']),
  );
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  expect(cluster.shown('node4')[0]).toBe('9.0.3.0/24');
  cluster.join('node2', '172.17.0.4');
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(before);
  expect(cluster.spec('node2').vtep!.ip).toBe('44.128.0.2/20');
});

test('after the cooldown the lowest free block goes to the next node', () => {
  const cluster = reference();
  cluster.leave('node2');
  cluster.settle();
  cluster.now += 600_001;
  cluster.settle();
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  expect(cluster.shown('node4')[0]).toBe('9.0.1.0/24');
});

test('a block is not given out until the agent of its former node reports that it is unused', () => {
  const cluster = reference();
  const selector = { nodeSelector: { matchLabels: { overlay: 'yes' } } };
  for (const name of ['node1', 'node2']) cluster.nodes.get(name)!.labels.overlay = 'yes';
  const agent = cluster.agents.get('node3')!;
  agent.spec.networks = [{ name: 'dcos', subnets: ['9.0.9.0/24', '9.0.2.0/24'] }];
  cluster.network('dcos', dcos, selector);
  cluster.settle();
  cluster.now += 3_600_000;
  cluster.settle();
  expect(cluster.blocks()).toContain('net-dcos-1/2 node3 Cooling');
  agent.spec.networks = [];
  cluster.settle();
  expect(cluster.blocks()).not.toContain('net-dcos-1/2 node3 Cooling');
});

test('a removed network blocks its range while a node uses a block of it', () => {
  const cluster = reference();
  const agent = cluster.agents.get('node3')!;
  agent.spec.networks = [{ name: 'dcos', subnets: ['9.0.2.0/24'] }];
  cluster.networks.delete('dcos');
  cluster.settle();
  cluster.now += 3_600_000;
  cluster.network('heir', dcos);
  cluster.settle();
  expect(cluster.shown('node3')).not.toContain('9.0.0.0/24');
  expect(cluster.blocks().filter((text) => text.startsWith('net-dcos-'))).toEqual([
    'net-dcos-1/2 node3 Cooling',
  ]);
  expect(cluster.condition('heir', 'Accepted')).toMatchObject({
    reason: 'Cooling',
    message:
      'spec.subnets: 9.0.0.0/8 overlaps 9.0.0.0/8 /24, which network dcos gave up and which is free again once containers ' +
      'have left it on node3: kubectl describe overlayagent node3',
  });
  agent.spec.networks = [];
  cluster.settle();
  cluster.now += 1;
  cluster.settle();
  expect(cluster.shown('node1')).toContain('9.0.0.0/24');
});

test('a network that was deleted with its CRD is withdrawn only after a person confirms it', () => {
  const cluster = reference();
  const before = cluster.shown('node2');
  cluster.networks.delete('dcos6');
  cluster.networksKind = { uid: 'crd-1', goes: true };
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(before);
  expect(cluster.last.wakeAt).toBe(cluster.now + 5_000);
  cluster.networksKind = { uid: 'crd-2', goes: false };
  cluster.settle();
  for (const node of cluster.nodes.keys()) cluster.answer(node);
  const agent = cluster.agents.get('node2')!;
  const networks = cluster.spec('node2').networks!.map(({ name, subnets }) => ({
    name,
    subnets: subnets.map(({ cidr }) => cidr),
  }));
  cluster.agents.set('node2', { ...agent, spec: { ...agent.spec, networks } });
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(before);
  expect(cluster.last.restore.missing).toEqual(['dcos6']);
  const { config } = cluster;
  const confirmed = { [confirmRestore]: cluster.configStatus().restored!.id };
  cluster.config = { ...config!, metadata: { name: 'default', annotations: confirmed } };
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(['9.0.1.0/24']);
});

test('a deleted network is withdrawn at once, even the last one', () => {
  const cluster = reference();
  cluster.networks.clear();
  cluster.settle();
  expect(cluster.shown('node2')).toEqual([]);
});

test('a CRD that is created again with all its networks changes nothing', () => {
  const cluster = reference();
  const before = cluster.shown('node2');
  cluster.networksKind = { uid: 'crd-2', goes: false };
  cluster.settle();
  expect(cluster.configStatus().restored).toBeUndefined();
  cluster.networks.delete('dcos6');
  cluster.settle();
  expect(cluster.configStatus().restored).toBeUndefined();
  expect(cluster.shown('node2')).toEqual(before.filter((cidr) => cidr.startsWith('9.')));
});
