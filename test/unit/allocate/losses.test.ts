import { reference, type Cluster } from '../../support/plancluster.ts';

test('a block that a person removed from a page is not given out while the AgentAllocation of a gone node has it', () => {
  const cluster = reference();
  cluster.leave('node2');
  for (const name of ['vtep-0', 'net-dcos-1', 'net-dcos6-2']) {
    const { metadata, spec } = cluster.ledger.get(name)!;
    const blocks = spec.page!.blocks.filter(({ node }) => node !== 'node2');
    cluster.ledger.set(name, { metadata, spec: { page: { ...spec.page!, blocks } } });
  }
  cluster.join('node4', '172.17.0.5');
  cluster.settle(() => {
    const shown = [...cluster.allocations.values()].flatMap(({ metadata: { name }, spec }) => [
      ...(spec.vtep === undefined ? [] : [spec.vtep.mac]),
      ...cluster.shown(name),
    ]);
    expect(new Set(shown).size).toBe(shown.length);
  });
  expect(cluster.shown('node4')).toHaveLength(2);
  expect(cluster.allocations.has('node2')).toBe(false);
});

test('while a lost index is rebuilt, a waiting node does not get one page after the other', () => {
  const cluster = reference();
  cluster.ledger.delete('spaces');
  cluster.ledger.delete('net-dcos-1');
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  const pages = () => cluster.ledger.get('spaces')!.spec.index!.spaces.map((space) => space.pages.length);
  expect(pages()).toEqual([1, 1, 1]);
  expect(cluster.shown('node4')).toEqual(['fd01:b:0:0:3::/80']);
  expect(cluster.condition('dcos', 'Ready').reason).not.toBe('Exhausted');
  cluster.now += 601_000;
  cluster.settle();
  expect(Math.max(...pages())).toBeLessThanOrEqual(2);
  expect(cluster.shown('node4')).toHaveLength(2);
});

test('an index with a version in the future is set back to an existing version', () => {
  const cluster = reference();
  const { metadata, spec } = cluster.ledger.get('spaces')!;
  const rebuilt = { version: '999999999', since: '2026-01-01T00:00:00Z' };
  cluster.ledger.set('spaces', { metadata, spec: { index: { ...spec.index!, rebuilt } } });
  const revision = cluster.spec('node1').revision;
  cluster.settle();
  expect(Number(cluster.ledger.get('spaces')!.spec.index!.rebuilt?.version ?? 0)).toBeLessThan(999_999);
  expect(cluster.spec('node1').revision).toBeLessThanOrEqual(revision + 1);
});

describe('while the CRD of OverlayNetwork is being deleted', () => {
  test.each([
    [['net-dcos-1']],
    [['spaces']],
    [['spaces', 'net-dcos-1', 'net-dcos6-2']],
    [['spaces', 'vtep-0']],
  ])('a ledger that loses %j takes nothing from nodes', (lost) => {
    const cluster = reference();
    const before = new Map([...cluster.allocations].map(([node, { spec }]) => [node, spec.networks]));
    cluster.loseNetworks();
    for (const name of lost) cluster.ledger.delete(name);
    cluster.allocations.delete('node3');
    const check = () => {
      for (const node of ['node1', 'node2']) expect(cluster.spec(node).networks).toEqual(before.get(node));
    };
    cluster.settle(check);
  });
});

describe('any losses at once, and any refusals of the API server after them', () => {
  const losses = ['spaces', 'vtep-0', 'net-dcos-1', 'config', 'agents', 'networks', 'node3'];
  const combinations = Array.from({ length: 2 ** losses.length }, (_, bits) =>
    losses.filter((_one, at) => (bits >> at) & 1),
  );
  const shown = (cluster: Cluster) =>
    ['node1', 'node2'].map((node) => [cluster.spec(node).vtep, cluster.spec(node).networks]);

  test.each([
    [[]],
    [['write-index']],
    [['create-config']],
    [['write-index', 'create-config']],
    [['write-page vtep-0', 'write-page net-dcos-1']],
  ])('refusing %j, nodes lose nothing', (refused) => {
    for (const lost of combinations) {
      const cluster = reference({ vtepSubnets: ['44.129.0.0/20', 'fd01:c::/64'] });
      const before = JSON.stringify(shown(cluster));
      for (const name of lost) cluster.ledger.delete(name);
      for (const key of refused) cluster.refusals.set(key, 'the kind is being deleted');
      if (lost.includes('config')) cluster.config = undefined;
      if (lost.includes('agents')) cluster.agents.clear();
      if (lost.includes('node3')) cluster.allocations.delete('node3');
      if (lost.includes('networks')) cluster.loseNetworks();
      cluster.settle(() => {
        if (JSON.stringify(shown(cluster)) !== before) expect([lost, shown(cluster)]).toEqual([lost, before]);
      });
    }
  });
});
