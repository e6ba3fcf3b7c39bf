import { Cluster, configSpec, dcos } from '../../support/plancluster.ts';

function started(): Cluster {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  cluster.join('node1', '172.17.0.2');
  return cluster.settle();
}

describe('a network is refused, with the field, the value and the rule, and nothing else changes', () => {
  const cases: [string, { cidr: string; prefix: number }, string, string][] = [
    [
      'overlap with another network',
      { cidr: '9.128.0.0/16', prefix: 24 },
      'Overlap',
      'spec.subnets: 9.128.0.0/16 overlaps 9.0.0.0/8 of network dcos',
    ],
    [
      'overlap with a VTEP subnet',
      { cidr: '44.128.8.0/24', prefix: 26 },
      'Overlap',
      'spec.subnets: 44.128.8.0/24 overlaps the VTEP subnet 44.128.0.0/20',
    ],
    [
      "a node's own address",
      { cidr: '172.16.0.0/12', prefix: 24 },
      'Overlap',
      'spec.subnets: 172.16.0.0/12 contains 172.17.0.2, an address of node node1',
    ],
    [
      'host bits',
      { cidr: '10.0.0.1/16', prefix: 24 },
      'Invalid',
      'spec.subnets: "10.0.0.1/16" has host bits set; the subnet is 10.0.0.0/16',
    ],
  ];
  test.each(cases)('%s', (_what, subnet, reason, message) => {
    const cluster = started();
    const before = cluster.spec('node1');
    cluster.network('other', [subnet]);
    cluster.settle();
    expect(cluster.condition('other', 'Accepted')).toMatchObject({ status: 'False', reason, message });
    expect(cluster.condition('dcos', 'Accepted').status).toBe('True');
    expect(cluster.spec('node1')).toEqual(before);
  });
});

// test/support/validation.ts has every rule that an object can break by itself
test('a name that is reserved is refused', () => {
  const cluster = started();
  cluster.network('host', [{ cidr: '10.0.0.0/16', prefix: 24 }]);
  cluster.settle();
  expect(cluster.condition('host', 'Accepted')).toMatchObject({
    status: 'False',
    reason: 'Invalid',
    message: 'metadata.name: "host" is reserved by Docker',
  });
});

test('of two networks applied at once that overlap the older wins, whatever their names', () => {
  const cluster = new Cluster();
  cluster.network('zz', [{ cidr: '10.0.0.0/16', prefix: 24 }]);
  cluster.network('aa', [{ cidr: '10.0.0.0/12', prefix: 24 }]);
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  expect(cluster.condition('zz', 'Accepted').status).toBe('True');
  expect(cluster.condition('aa', 'Accepted')).toMatchObject({ status: 'False', reason: 'Overlap' });
});

test('an accepted network keeps its blocks when a later entry of it is refused', () => {
  const cluster = started();
  cluster.network('dcos', [...dcos, { cidr: '44.128.0.0/24', prefix: 26 }]);
  cluster.settle();
  expect(cluster.condition('dcos', 'Accepted').reason).toBe('Overlap');
  expect(cluster.shown('node1')).toEqual(['9.0.0.0/24']);
});

test('an IPv6 network without an IPv6 VTEP subnet is refused', () => {
  const cluster = new Cluster();
  cluster.config!.spec = { ...configSpec, vtepSubnets: ['44.128.0.0/20'] };
  cluster.network('six', [{ cidr: 'fd02::/48', prefix: 64 }]);
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  expect(cluster.condition('six', 'Accepted').reason).toBe('NoVTEPSubnet');
});

test('while a space cools, the refusal of a network that overlaps it says when it is free', () => {
  const cluster = started();
  cluster.networks.delete('dcos');
  cluster.settle();
  cluster.network('new', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  cluster.settle();
  expect(cluster.condition('new', 'Accepted')).toMatchObject({
    reason: 'Cooling',
    message: expect.stringContaining('about 600 s'),
  });
  cluster.now += 600_001;
  cluster.settle();
  expect(cluster.condition('new', 'Accepted').status).toBe('True');
  expect(cluster.shown('node1')).toEqual(['9.0.0.0/24']);
});

test('an edited OverlayConfig changes nothing that is pinned, and says so; a deleted one comes back as it was', () => {
  const cluster = started();
  cluster.config!.spec = { ...configSpec, vni: 2000, vtepSubnets: ['44.0.0.0/20'] };
  cluster.settle();
  expect(cluster.configStatus()).toMatchObject({
    effective: { vni: 1024, vtepSubnets: configSpec.vtepSubnets, mtu: 1450 },
  });
  expect(cluster.configStatus().conditions).toContainEqual(
    expect.objectContaining({
      type: 'Accepted',
      reason: 'Pinned',
      message: expect.stringContaining('spec.vni: 2000 is not in force, 1024 is'),
    }),
  );
  const before = cluster.spec('node1');
  cluster.config = undefined;
  cluster.settle();
  expect(cluster.config!.spec.vni).toBe(1024);
  expect(cluster.spec('node1')).toEqual(before);
});

test.each(['70:B3:D5:00:00', '70:B3:D5:00:00:01', 'zz:B3:D5:00:00:00'])(
  'the MAC OUI %s is refused, and no node is served',
  (oui) => {
    const cluster = new Cluster();
    cluster.config!.spec = { ...configSpec, vtepMACOUI: oui };
    cluster.network('dcos', dcos);
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    expect(cluster.configStatus().conditions).toContainEqual(
      expect.objectContaining({ type: 'Accepted', status: 'False', message: expect.stringContaining(oui) }),
    );
    expect(cluster.spec('node1').vtep).toBeUndefined();
  },
);

describe('a registration is refused', () => {
  test('of an address that is not the Node’s own', () => {
    const cluster = started();
    cluster.join('thief', '172.17.0.66');
    cluster.stated.set('thief', ['172.17.0.7']);
    cluster.settle();
    expect(cluster.allocationStatus('thief')!.conditions![0]).toMatchObject({
      reason: 'NotNodeAddress',
      message: 'spec.addresses: 172.17.0.66 is not an address of Node thief, which states 172.17.0.7',
    });
    expect(cluster.spec('thief').addresses).toEqual([]);
  });

  test('of an address that another node has', () => {
    const cluster = started();
    cluster.join('twin', '172.17.0.2');
    cluster.nodes.get('twin')!.creationTimestamp = '2020-01-01T00:00:00Z';
    cluster.settle();
    expect(cluster.allocationStatus('twin')!.conditions![0]).toMatchObject({
      reason: 'AddressConflict',
      message: 'spec.addresses: 172.17.0.2 is registered by node node1 already',
    });
    expect(cluster.spec('twin').vtep).toBeUndefined();
  });

  test('of an address inside an overlay or a VTEP subnet', () => {
    const cluster = started();
    cluster.join('inside', '9.1.2.3');
    cluster.join('vtep', '44.128.0.9');
    cluster.settle();
    expect(cluster.allocationStatus('inside')!.conditions![0]!.message).toBe(
      'spec.addresses: 9.1.2.3 lies in 9.0.0.0/8 of network dcos',
    );
    expect(cluster.allocationStatus('vtep')!.conditions![0]!.reason).toBe('AddressOverlap');
  });

  test('without an address of the underlay’s family', () => {
    const cluster = started();
    cluster.join('six', 'fd00::6');
    cluster.settle();
    expect(cluster.allocationStatus('six')!.conditions![0]!.reason).toBe('NoUnderlayAddress');
  });

  test('and a node that changes to a bad address keeps the good one', () => {
    const cluster = started();
    cluster.join('node2', '172.17.0.3');
    cluster.settle();
    const agent = cluster.agents.get('node2')!;
    cluster.agents.set('node2', { ...agent, spec: { ...agent.spec, addresses: ['172.17.0.2'] } });
    cluster.stated.set('node2', ['172.17.0.2', '172.17.0.3']);
    cluster.settle();
    expect(cluster.spec('node2').addresses).toEqual(['172.17.0.3']);
    expect(cluster.allocationStatus('node2')!.conditions![0]!.reason).toBe('AddressConflict');
  });
});

test('a Node made anew with another address keeps its blocks, and not its predecessor’s address', () => {
  const cluster = started();
  cluster.join('node2', '172.17.0.4');
  cluster.settle();
  const before = cluster.shown('node2');
  cluster.nodes.set('node2', { ...cluster.nodes.get('node2')!, uid: 'another' });
  cluster.stated.set('node2', ['172.17.0.77']);
  cluster.settle();
  expect(cluster.spec('node2')).toMatchObject({ nodeUID: 'another', addresses: [] });
  expect(cluster.shown('node2')).toEqual(before);
  expect(cluster.allocationStatus('node2')!.conditions![0]!.reason).toBe('NotNodeAddress');
  cluster.join('node3', '172.17.0.4');
  cluster.settle();
  expect(cluster.spec('node3').addresses).toEqual(['172.17.0.4']);
});

test('an AgentAllocation deleted by hand while its Node states no address comes back with its blocks', () => {
  const cluster = started();
  const before = cluster.shown('node1');
  cluster.stated.set('node1', []);
  cluster.allocations.delete('node1');
  cluster.settle();
  expect(cluster.shown('node1')).toEqual(before);
});
