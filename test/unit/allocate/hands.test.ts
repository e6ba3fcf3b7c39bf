import type { LedgerIndex } from '../../../src/api/types.ts';
import { Cluster, configSpec, dcos, reference } from '../../support/plancluster.ts';

/** Manual changes, foreign finalizers, wrong clocks and stale caches. */

const editIndex = (cluster: Cluster, edit: (index: LedgerIndex) => LedgerIndex) => {
  const spaces = cluster.ledger.get('spaces')!;
  cluster.ledger.set('spaces', { ...spaces, spec: { index: edit(spaces.spec.index!) } });
};

const allShown = (cluster: Cluster) =>
  [...cluster.allocations.keys()].map((node) => [cluster.spec(node).vtep?.ip, ...cluster.shown(node)]);

test('an AgentAllocation that a finalizer keeps is emptied before its blocks rest, and no other node gets these', () => {
  const cluster = reference();
  cluster.allocations.get('node2')!.metadata.finalizers = ['example.com/keep'];
  cluster.leave('node2');
  cluster.settle();
  expect(cluster.spec('node2')).toMatchObject({ addresses: [] });
  expect(cluster.spec('node2').vtep).toBeUndefined();
  expect(cluster.shown('node2')).toEqual([]);
  expect(cluster.blocks()).toContain('net-dcos-1/1 node2 Cooling');
  cluster.now += 600_001;
  cluster.settle();
  cluster.join('node4', '172.17.0.5');
  cluster.settle();
  expect(cluster.shown('node4')[0]).toBe('9.0.1.0/24');
  expect(cluster.spec('node4').vtep!.ip).toBe('44.128.0.2/20');
});

test('spaces deleted by hand is rebuilt: page numbers go on, what is in force stays, an edited OverlayConfig is not pinned', () => {
  const cluster = reference();
  const before = allShown(cluster);
  cluster.config = { ...cluster.config!, status: cluster.configStatus() };
  cluster.config.spec = { ...configSpec, vni: 2000, vtepSubnets: ['44.200.0.0/20', 'fd01:a::/64'] };
  cluster.ledger.delete('spaces');
  cluster.join('node4', '172.17.0.5');
  cluster.settle(() => {
    expect(allShown(cluster).slice(0, 3)).toEqual(before);
  });
  const index = cluster.ledger.get('spaces')!.spec.index!;
  expect(index.config).toMatchObject({ vni: 1024, vtepSubnets: configSpec.vtepSubnets });
  expect(index.nextPage).toBeGreaterThanOrEqual(3);
  expect(cluster.shown('node4')).toEqual(['9.0.3.0/24', 'fd01:b:0:0:3::/80']);
});

test('spaces and a page deleted by hand: the blocks are taken up again, and later pages are not trusted at once', () => {
  const cluster = reference();
  const before = allShown(cluster);
  cluster.ledger.delete('spaces');
  cluster.ledger.delete('net-dcos-1');
  cluster.config = { ...cluster.config!, status: { effective: { ...configSpec, mtu: 1450 } } };
  cluster.settle(() => {
    expect(allShown(cluster)).toEqual(before);
  });
  expect(
    cluster.blocks().filter((text) => text.startsWith('net-dcos-') && !text.startsWith('net-dcos6')),
  ).toEqual([1, 2, 3].map((n) => expect.stringMatching(new RegExp(`node${n} Held$`))));
});

test.each([
  ['a cidr that is none', (index: LedgerIndex) => ({ cidr: '9.0.0.0/33', index })],
  ['a cidr with host bits', (index: LedgerIndex) => ({ cidr: '9.0.0.1/8', index })],
])('%s in spaces stops nothing, and is put right', (_what, edit) => {
  const cluster = reference();
  const before = allShown(cluster);
  editIndex(cluster, (index) => ({
    ...index,
    spaces: index.spaces.map((space) =>
      space.network === 'dcos' ? { ...space, cidr: edit(index).cidr } : space,
    ),
  }));
  cluster.join('node4', '172.17.0.5');
  cluster.settle(() => {
    expect(allShown(cluster).slice(0, 3)).toEqual(before);
  });
  const { spaces } = cluster.ledger.get('spaces')!.spec.index!;
  expect(spaces.map(({ cidr }) => cidr)).toEqual(
    expect.arrayContaining(['vtep', '9.0.0.0/8', 'fd01:b::/64']),
  );
  expect(cluster.shown('node4')[0]).toBe('9.0.3.0/24');
});

test('a node that cannot become ready delays no other node, and keeps its blocks', () => {
  const cluster = reference();
  const before = cluster.shown('node1');
  cluster.agents.delete('node1');
  cluster.allocations.delete('node1');
  cluster.network('late', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
  cluster.settle();
  expect(cluster.shown('node2')).toContain('10.9.0.0/24');
  expect(cluster.blocks()).toContain('net-dcos-1/0 node1 Held');
  cluster.agents.set('node1', {
    metadata: { name: 'node1' },
    spec: { addresses: ['172.17.0.2'], uplinkMTU: 1500 },
  });
  cluster.settle();
  expect(cluster.shown('node1')).toEqual([...before, '10.9.2.0/24']);
});

test('a node whose AgentAllocation cannot be created keeps its blocks over all retries', () => {
  const cluster = reference();
  cluster.allocations.delete('node2');
  cluster.refusals.set('create-allocation node2', 'boom');
  cluster.settle();
  cluster.now += 3_600_000;
  cluster.settle();
  expect(cluster.blocks()).toContain('net-dcos-1/1 node2 Held');
  cluster.refusals.clear();
  cluster.settle();
  expect(cluster.shown('node2')[0]).toBe('9.0.1.0/24');
});

test('blocks that a leader with a wrong clock released do not rest for a hundred years', () => {
  const cluster = reference();
  cluster.leave('node2');
  cluster.settle();
  for (const name of ['vtep-0', 'net-dcos-1', 'net-dcos6-2']) {
    const object = cluster.ledger.get(name)!;
    const page = object.spec.page!;
    const blocks = page.blocks.map((block) =>
      block.state === 'Cooling' ? { ...block, since: '2125-01-01T00:00:00Z' } : block,
    );
    cluster.ledger.set(name, { ...object, spec: { page: { ...page, blocks } } });
  }
  cluster.settle();
  cluster.now += 600_001;
  cluster.settle();
  expect(cluster.blocks().filter((text) => text.includes('node2'))).toEqual([]);
});

test('two nodes that swap addresses, and one that takes over a dead one’s, are accepted', () => {
  const cluster = reference();
  const swap = (node: string, address: string) => {
    const agent = cluster.agents.get(node)!;
    cluster.stated.set(node, [address]);
    cluster.agents.set(node, { ...agent, spec: { ...agent.spec, addresses: [address] } });
  };
  cluster.config!.spec = { ...configSpec, nodeSubnets: ['172.17.0.0/16'] };
  swap('node2', '172.17.0.3');
  swap('node3', '172.17.0.4');
  cluster.settle();
  expect(cluster.spec('node2').addresses).toEqual(['172.17.0.3']);
  expect(cluster.spec('node3').addresses).toEqual(['172.17.0.4']);
  cluster.allocations.get('node1')!.metadata.finalizers = ['example.com/keep'];
  cluster.leave('node1');
  cluster.join('node4', '172.17.0.2');
  cluster.settle();
  expect(cluster.spec('node4').addresses).toEqual(['172.17.0.2']);
});

test('an address whose owner’s Node still states it is refused', () => {
  const cluster = reference();
  cluster.join('thief', '172.17.0.4');
  cluster.settle();
  expect(cluster.allocationStatus('thief')!.conditions![0]).toMatchObject({ reason: 'AddressConflict' });
  expect(cluster.spec('node2').addresses).toEqual(['172.17.0.4']);
});

test('a deleted OverlayConfig comes back with all settings in force, and a longer rest continues meanwhile', () => {
  const cluster = new Cluster();
  cluster.config!.spec = { ...configSpec, mtu: 1400, defaultNetwork: 'dcos', reuseCooldown: '24h' };
  cluster.network('dcos', dcos);
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  cluster.leave('node1');
  cluster.settle();
  cluster.config = undefined;
  cluster.now += 3_600_000;
  cluster.settle();
  expect(cluster.config!.spec).toMatchObject({ mtu: 1400, defaultNetwork: 'dcos', reuseCooldown: '24h' });
  expect(cluster.blocks()).toContain('vtep-0/0 node1 Cooling');
});

test('an IPv6 network leaves with the IPv6 VTEP subnet, as long as that is not pinned', () => {
  const cluster = new Cluster();
  cluster.network('six', [{ cidr: 'fd02::/48', prefix: 64 }]);
  cluster.settle();
  expect(cluster.condition('six', 'Accepted').status).toBe('True');
  cluster.config!.spec = { ...configSpec, vtepSubnets: ['44.128.0.0/20'] };
  cluster.settle();
  expect(cluster.condition('six', 'Accepted')).toMatchObject({ status: 'False', reason: 'NoVTEPSubnet' });
});

test('a pinned VTEP subnet may grow to a shorter prefix that begins at the same address', () => {
  const cluster = reference();
  cluster.config!.spec = { ...configSpec, vtepSubnets: ['44.128.0.0/16', 'fd01:a::/64'] };
  cluster.settle();
  expect(cluster.configStatus().effective!.vtepSubnets).toEqual(['44.128.0.0/16', 'fd01:a::/64']);
  expect(cluster.spec('node2').vtep).toEqual({
    ip: '44.128.0.2/16',
    ip6: 'fd01:a::2/64',
    mac: '70:b3:d5:80:00:02',
  });
  for (const wrong of ['44.0.0.0/8', '44.128.0.0/24', '45.0.0.0/8']) {
    cluster.config!.spec = { ...configSpec, vtepSubnets: [wrong, 'fd01:a::/64'] };
    cluster.settle();
    expect(cluster.configStatus().effective!.vtepSubnets[0]).toBe('44.128.0.0/16');
    expect(cluster.configStatus().conditions![0]!.message).toContain('may only grow, to a shorter prefix');
  }
  cluster.network('near', [{ cidr: '44.129.0.0/16', prefix: 24 }]);
  cluster.settle();
  cluster.config!.spec = { ...configSpec, vtepSubnets: ['44.128.0.0/15', 'fd01:a::/64'] };
  cluster.settle();
  expect(cluster.configStatus().conditions![0]).toMatchObject({ status: 'False', reason: 'Overlap' });
});

describe('limits', () => {
  const many = (cluster: Cluster, networks: number, subnets: number) => {
    for (let n = 0; n < networks; n++) {
      const entries = Array.from({ length: subnets }, (_, at) => ({
        cidr: `10.${(n * subnets + at) >> 8}.${(n * subnets + at) & 255}.0/24`,
        prefix: 28,
      }));
      cluster.network(`n${n}`, entries, { containerizers: ['CNI'] });
    }
  };

  test('the 513th subnet is refused, and everything else continues', () => {
    const cluster = new Cluster();
    many(cluster, 64, 8);
    cluster.settle();
    expect(cluster.condition('n63', 'Accepted')).toMatchObject({ status: 'True' });
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    const spaces = () => cluster.ledger.get('spaces')!.spec.index!.spaces;
    expect(spaces()).toHaveLength(513);
    expect(cluster.spec('node1').vtep).toBeDefined();
    cluster.network('more', [{ cidr: '11.0.0.0/24', prefix: 28 }]);
    cluster.settle();
    expect(cluster.condition('more', 'Accepted')).toMatchObject({ status: 'False', reason: 'TooMany' });
    cluster.networks.delete('n0');
    cluster.settle();
    cluster.now += 600_001;
    cluster.settle();
    expect(cluster.condition('more', 'Accepted')).toMatchObject({ status: 'True' });
  });

  test('the 257th network is refused', () => {
    const cluster = new Cluster();
    many(cluster, 257, 1);
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    const refused = [...cluster.networks.keys()].filter(
      (name) => cluster.condition(name, 'Accepted').reason === 'TooMany',
    );
    expect(refused).toEqual(['n256']);
    expect(cluster.spec('node1').networks).toHaveLength(256);
  });

  test('an index that the API server refuses delays only its own changes', () => {
    const cluster = reference();
    cluster.refusals.set('write-index', 'spec.index.spaces: too long');
    cluster.network('new', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
    cluster.join('node4', '172.17.0.5');
    cluster.settle();
    expect(cluster.shown('node4')).toEqual(['9.0.3.0/24', 'fd01:b:0:0:3::/80']);
    expect(cluster.condition('new', 'Accepted')).toMatchObject({
      status: 'False',
      reason: 'NotStored',
      message: 'spec.subnets: 10.9.0.0/16 is not in the ledger: spec.index.spaces: too long',
    });
    expect(cluster.condition('dcos', 'Accepted').status).toBe('True');
  });
});
