import { readFileSync } from 'node:fs';
import { renderState } from '../../../src/api/state.ts';
import { Memory, plan } from '../../../src/allocate/plan.ts';
import { version } from '../../../src/allocate/view.ts';
import { Cluster, configSpec, dcos, reference } from '../../support/plancluster.ts';

test('the three agents of the reference cluster get the allocation of its state document', () => {
  const cluster = reference();
  for (const name of ['dcos', 'dcos6']) {
    const network = cluster.networks.get(name)!;
    network.status = cluster.status(name);
  }
  const ok = { status: { networks: ['dcos', 'dcos6'].map((name) => ({ name, state: 'OK' as const })) } };
  const state = renderState(
    cluster.configStatus().effective!,
    [...cluster.networks.values()],
    [...cluster.allocations.values()],
    () => ok,
  );
  expect(state).toEqual(
    JSON.parse(readFileSync(new URL('../../reference/state.json', import.meta.url), 'utf8')),
  );
});

test('waiting nodes are served by creation time, then name, in any order of events', () => {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  for (const [name, address] of [
    ['c', '10.0.0.3'],
    ['b', '10.0.0.2'],
    ['a', '10.0.0.1'],
  ] as const)
    cluster.join(name, address);
  const same = '2025-06-01T00:00:00Z';
  cluster.nodes.get('a')!.creationTimestamp = same;
  cluster.nodes.get('b')!.creationTimestamp = same;
  cluster.settle();
  expect(['c', 'a', 'b'].map((name) => cluster.spec(name).vtep!.ip)).toEqual([
    '44.128.0.1/20',
    '44.128.0.2/20',
    '44.128.0.3/20',
  ]);
  expect(['c', 'a', 'b'].flatMap((name) => cluster.shown(name))).toEqual([
    '9.0.0.0/24',
    '9.0.1.0/24',
    '9.0.2.0/24',
  ]);
});

test('an AgentAllocation is created empty, and shows a block only after the ledger does', () => {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  cluster.join('node1', '10.0.0.1');
  cluster.settle(() => {
    if (cluster.shown('node1').length > 0) expect(cluster.blocks()).toContain('net-dcos-1/0 node1 Held');
  });
  const kinds = cluster.history.map(({ kind }) => kind);
  expect(kinds.indexOf('create-allocation')).toBeLessThan(kinds.indexOf('update-allocation'));
  const created = cluster.history.find((write) => write.kind === 'create-allocation')!;
  expect(created).toMatchObject({ spec: { revision: 1, addresses: ['10.0.0.1'] } });
  expect(created).not.toHaveProperty('spec.networks');
  expect(created).not.toHaveProperty('spec.vtep');
});

test('one write of a page serves every node that waits in it', () => {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  for (let at = 0; at < 300; at++) cluster.join(`node${at}`, `10.0.${at >> 8}.${at & 255}`);
  cluster.settle();
  const pages = cluster.history.filter(({ kind }) => kind === 'write-page').length;
  expect(pages).toBeLessThanOrEqual(8);
  expect(new Set([...cluster.nodes.keys()].flatMap((name) => cluster.shown(name))).size).toBe(300);
});

test('the 257th node of a /16 cut into /24 gets its other networks, and the condition says so with numbers', () => {
  const cluster = new Cluster();
  cluster.network('small', [{ cidr: '10.99.0.0/16', prefix: 24 }]);
  cluster.network('dcos', dcos);
  for (let at = 0; at < 257; at++)
    cluster.join(`node${String(at).padStart(3, '0')}`, `172.18.${at >> 8}.${at & 255}`);
  cluster.settle();
  expect(cluster.shown('node256')).toEqual(['9.1.0.0/24']);
  expect(cluster.condition('small', 'Ready')).toMatchObject({
    status: 'False',
    reason: 'Exhausted',
    message: '10.99.0.0/16 has 256 blocks of /24: 256 held, 0 free; 1 node waits: node256',
  });
  expect(cluster.status('small').agents).toMatchObject({ allocated: 256, waiting: 1 });
  cluster.leave('node007');
  cluster.settle();
  expect(cluster.condition('small', 'Ready').message).toContain('255 held, 1 cooling, 0 free');
  cluster.now += 600_001;
  cluster.settle();
  expect(cluster.shown('node256')).toContain('10.99.7.0/24');
});

test('a VTEP subnet too small for one more node: that node gets the reason, and the others do not change', () => {
  const cluster = new Cluster();
  cluster.config!.spec = { ...configSpec, vtepSubnets: ['44.128.0.0/30', 'fd01:a::/64'] };
  cluster.network('dcos', dcos);
  for (const at of [1, 2, 3]) cluster.join(`node${at}`, `172.17.0.${at}`);
  cluster.settle();
  expect(cluster.spec('node2').vtep!.ip).toBe('44.128.0.2/30');
  expect(cluster.spec('node3').vtep).toBeUndefined();
  expect(cluster.shown('node3')).toEqual([]);
  expect(cluster.configStatus().conditions).toContainEqual(
    expect.objectContaining({
      type: 'Ready',
      reason: 'Exhausted',
      message: expect.stringContaining('has 2 VTEPs, 0 free; 1 node waits: node3'),
    }),
  );
  expect(cluster.allocationStatus('node3')!.conditions![0]).toMatchObject({
    status: 'False',
    reason: 'Exhausted',
  });
});

test('blocks that the ledger lost are restored from the AgentAllocations, and no other node gets them before the cooldown is over', () => {
  const cluster = reference();
  const before = ['node1', 'node2', 'node3'].map((name) => cluster.shown(name));
  cluster.leave('node1');
  cluster.settle();
  cluster.ledger.delete('net-dcos-1');
  cluster.ledger.delete('vtep-0');
  cluster.join('newcomer', '172.17.0.9');
  cluster.nodes.get('newcomer')!.creationTimestamp = '2020-01-01T00:00:00Z';
  cluster.settle();
  expect(['node2', 'node3'].map((name) => cluster.shown(name))).toEqual(before.slice(1));
  expect(cluster.spec('node3').vtep!.ip).toBe('44.128.0.3/20');
  // blocks that rested in the lost pages are unknown: the new node is served from new pages
  expect(cluster.shown('newcomer')[0]).toBe('9.1.0.0/24');
  expect(cluster.spec('newcomer').vtep!.ip).toBe('44.128.1.1/20');
  cluster.now += 600_001;
  cluster.settle();
  cluster.join('later', '172.17.0.10');
  cluster.settle();
  expect(cluster.shown('later')[0]).toBe('9.0.0.0/24');
});

test('a damaged or deleted AgentAllocation is created again unchanged', () => {
  const cluster = reference();
  const { revision, ...spec } = cluster.spec('node2');
  cluster.edit('node2', {
    ...spec,
    revision,
    networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.2.0/24' }] }],
  });
  cluster.settle();
  expect(cluster.spec('node2')).toEqual({ ...spec, revision: revision + 1 });
  cluster.allocations.delete('node2');
  cluster.settle();
  expect(cluster.spec('node2')).toMatchObject(spec);
});

test('a page that differs from the index is ignored, and its blocks are restored in another page', () => {
  const cluster = reference();
  const before = ['node1', 'node2', 'node3'].map((name) => cluster.shown(name));
  const page = cluster.ledger.get('net-dcos-1')!;
  page.spec.page = { ...page.spec.page!, first: 512 };
  cluster.join('node4', '172.17.0.5');
  cluster.history = [];
  cluster.settle();
  expect(cluster.history.some((write) => write.kind === 'write-page' && write.name === 'net-dcos-1')).toBe(
    false,
  );
  expect(['node1', 'node2', 'node3'].map((name) => cluster.shown(name))).toEqual(before);
  expect(cluster.shown('node4')[0]).toBe('9.1.0.0/24');
  expect(cluster.blocks().filter((text) => /^net-dcos-[^1]/.test(text))).toEqual(
    ['node1', 'node2', 'node3', 'node4'].map((name) => expect.stringContaining(`${name} Held`)),
  );
});

test('a network with one containerizer gives it the whole subnet; a dual-stack one has both families', () => {
  const cluster = new Cluster();
  cluster.network(
    'solo',
    [
      { cidr: '10.1.0.0/16', prefix: 24 },
      { cidr: 'fd02::/48', prefix: 64 },
    ],
    { containerizers: ['Docker'] },
  );
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  expect(cluster.spec('node1').networks).toEqual([
    {
      name: 'solo',
      subnets: [
        { cidr: '10.1.0.0/24', bridges: { docker: '10.1.0.0/24' } },
        { cidr: 'fd02::/64', bridges: { docker: 'fd02::/64' } },
      ],
    },
  ]);
});

test('a draining entry keeps its blocks and gives out no new ones', () => {
  const cluster = reference();
  cluster.network('dcos', [
    { ...dcos[0]!, state: 'Draining' },
    { cidr: '10.2.0.0/16', prefix: 24 },
  ]);
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(['9.0.1.0/24', '10.2.1.0/24', 'fd01:b:0:0:1::/80']);
  expect(cluster.shown('node4')).toEqual(['10.2.3.0/24', 'fd01:b:0:0:3::/80']);
});

test('a node whose agent has unregistered keeps what it has', () => {
  const cluster = reference();
  const before = cluster.spec('node2');
  cluster.agents.delete('node2');
  cluster.settle();
  expect(cluster.spec('node2')).toEqual(before);
});

test.each(['9/20', ':::/64', 'fd01:a::2', ''])(
  'a node that says it holds the VTEP "%s" is served like any other',
  (ip) => {
    const cluster = reference();
    cluster.join('node4', '172.17.0.5');
    cluster.agents.get('node4')!.spec.vtep = { ip, mac: '70:b3:d5:80:00:09' };
    cluster.agents.get('node4')!.spec.networks = [{ name: 'dcos', subnets: ['nonsense'] }];
    cluster.settle();
    expect(cluster.shown('node4')[0]).toBe('9.0.3.0/24');
  },
);

test('an AgentAllocation whose revision can go no higher is made again', () => {
  const cluster = reference();
  const before = cluster.shown('node2');
  cluster.edit('node2', { ...cluster.spec('node2'), revision: Number.MAX_SAFE_INTEGER, networks: [] });
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(before);
  expect(cluster.spec('node2').revision).toBeLessThan(10);
});

test('blocks in an AgentAllocation are not removed because of a ledger that was read before it', () => {
  const cluster = reference();
  cluster.network('dcos', dcos, { nodeSelector: { matchLabels: { overlay: 'yes' } } });
  const view = cluster.view();
  const pages = new Map(view.ledger.pages);
  const page = pages.get('net-dcos-1')!;
  const blocks = page.spec.page!.blocks.map((block) => ({ ...block, state: 'Cooling' as const }));
  pages.set('net-dcos-1', { ...page, spec: { page: { ...page.spec.page!, blocks } } });
  const stale = { ...view, ledger: { ...view.ledger, pages, readAt: 1, fresh: new Map() } };
  const planned = plan(stale, new Memory());
  expect(planned.reads.ledger.get('net-dcos-1')).toBe(version(view.allocations.get('node3')));
  expect(planned.writes.filter(({ kind }) => kind === 'update-allocation')).toEqual([]);
  const fresh = { ...view, ledger: { ...view.ledger, pages } };
  const next = plan(fresh, new Memory());
  expect(next.writes.filter(({ kind }) => kind === 'update-allocation')).toHaveLength(3);
});

test('a missing page does not remove its blocks from AgentAllocations', () => {
  const cluster = reference();
  cluster.ledger.delete('net-dcos-1');
  const before = cluster.shown('node2');
  cluster.settle(() => {
    expect(cluster.shown('node2')).toEqual(before);
  });
});
