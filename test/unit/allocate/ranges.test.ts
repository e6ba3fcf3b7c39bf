import { confirmOverlap } from '../../../src/api/ranges.ts';
import type { HostRange } from '../../../src/api/types.ts';
import { Cluster, configSpec, dcos } from '../../support/plancluster.ts';

const lan: HostRange = { cidr: '10.100.0.0/16', kind: 'Subnet', link: 'eth1' };
const route: HostRange = { ...lan, kind: 'Route' };
const other = [{ cidr: '10.100.0.0/16', prefix: 24 }];

function has(cluster: Cluster, node: string, ...ranges: HostRange[]): void {
  const agent = cluster.agents.get(node)!;
  cluster.agents.set(node, { ...agent, spec: { ...agent.spec, ranges } });
}

/** Three nodes, the third with such ranges. */
function started(...ranges: HostRange[]): Cluster {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  for (const node of ['node1', 'node2', 'node3']) cluster.join(node, `172.17.0.${node.slice(4)}`);
  has(cluster, 'node3', ...ranges);
  return cluster.settle();
}

const annotate = (cluster: Cluster, network: string, value: string) => {
  const known = cluster.networks.get(network)!;
  const metadata = { ...known.metadata, annotations: { [confirmOverlap]: value } };
  cluster.networks.set(network, { ...known, metadata });
};

const apply = (cluster: Cluster, cidr = '10.100.0.0/16') => {
  cluster.network('other', [{ cidr, prefix: 28 }]);
  cluster.settle();
  return cluster.condition('other', 'Accepted');
};

test("a network over a node's second LAN is refused, with node, link, range and what takes it all the same", () => {
  const cluster = started(lan);
  expect(apply(cluster)).toMatchObject({
    reason: 'Overlap',
    message:
      'spec.subnets: 10.100.0.0/16 overlaps 10.100.0.0/16, a subnet of node3 on eth1; if nodes are to reach the overlay ' +
      'there: kubectl annotate --overwrite overlaynetwork other overlaynet.dev/confirm-overlap=10.100.0.0/16',
  });
  expect(cluster.shown('node1')).toEqual(['9.0.0.0/24']);
  annotate(cluster, 'other', '10.9.0.0/16,10.100.0.0/16');
  cluster.settle();
  expect(cluster.condition('other', 'Accepted').status).toBe('True');
  // for that subnet alone
  const more = started(lan);
  more.network('other', other);
  annotate(more, 'other', '10.9.0.0/16');
  more.settle();
  expect(more.condition('other', 'Accepted').message).toContain('confirm-overlap=10.9.0.0/16,10.100.0.0/16');
});

test.each<[string, HostRange[], string, boolean]>([
  ['a part of a LAN', [lan], '10.100.64.0/18', true],
  ['more than a LAN', [lan], '10.96.0.0/12', true],
  ['beside it', [lan], '10.101.0.0/16', false],
  ['just what a router leads to', [route], '10.100.0.0/16', true],
  ['more than that', [route], '10.96.0.0/12', true],
  ['a part of what a router leads to', [{ ...route, cidr: '10.0.0.0/8' }], '10.100.0.0/16', false],
  [
    'a narrow route in a wide one',
    [
      { ...route, cidr: '10.0.0.0/8' },
      { ...route, cidr: '10.100.7.0/24' },
    ],
    '10.100.0.0/16',
    true,
  ],
  ['a pool of Docker', [{ cidr: '10.0.0.0/8', kind: 'Pool' }], '10.100.0.0/16', true],
])('a network over %s', (_what, ranges, cidr, refused) => {
  expect(apply(started(...ranges), cidr).status).toBe(refused ? 'False' : 'True');
});

test('the message says how many more nodes it concerns', () => {
  const cluster = started(route);
  has(cluster, 'node1', lan);
  expect(apply(cluster).message).toMatch(
    /^spec.subnets: 10.100.0.0\/16 overlaps 10.100.0.0\/16, a (subnet of node1 on|route of node3 by) eth1 \(and ranges of 1 more nodes\);/,
  );
});

test('a network in use stays when nodes get conflicting ranges, even if a lost ledger no longer has it', () => {
  const cluster = started();
  cluster.network('other', other);
  cluster.settle();
  const before = cluster.shown('node3');
  for (const node of ['node1', 'node2', 'node3']) {
    const agent = cluster.agents.get(node)!;
    const { vtep, networks } = cluster.spec(node);
    const held = networks!.map(({ name, subnets }) => ({ name, subnets: subnets.map(({ cidr }) => cidr) }));
    cluster.agents.set(node, {
      ...agent,
      spec: { ...agent.spec, vtep: vtep!, networks: held, ranges: [lan] },
    });
  }
  cluster.settle();
  expect(cluster.condition('other', 'Accepted').status).toBe('True');
  expect(cluster.shown('node3')).toEqual(before);
  cluster.ledger.clear();
  cluster.settle();
  expect(cluster.condition('other', 'Accepted').status).toBe('True');
});

test('a node that joins with a range of a network in force is refused before it gets anything; then it is accepted', () => {
  const cluster = started();
  cluster.join('node4', '172.17.0.4');
  has(cluster, 'node4', { ...lan, cidr: '9.7.0.0/16' });
  cluster.settle();
  expect(cluster.allocationStatus('node4')?.conditions?.[0]).toMatchObject({
    type: 'Accepted',
    status: 'False',
    reason: 'RangeOverlap',
    message:
      'spec.ranges: 9.7.0.0/16, a subnet of node node4 on eth1, overlaps 9.0.0.0/8 of network dcos: the node would no ' +
      'longer reach it; change it, or, if the node is to reach the overlay there: kubectl annotate --overwrite ' +
      'overlaynetwork dcos overlaynet.dev/confirm-overlap=9.0.0.0/8',
  });
  expect(cluster.spec('node4').vtep).toBeUndefined();
  expect(cluster.shown('node1')).toEqual(['9.0.0.0/24']);
  annotate(cluster, 'dcos', '9.0.0.0/8');
  cluster.settle();
  expect(cluster.shown('node4')).toEqual(['9.0.3.0/24']);
  // a member that gets it later keeps what it has
  has(cluster, 'node2', { ...lan, cidr: '44.128.0.0/24' });
  cluster.settle();
  expect(cluster.shown('node2')).toEqual(['9.0.1.0/24']);
  expect(cluster.last.registrations.refused.has('node2')).toBe(false);
});

test('a wide route through a router does not refuse a node', () => {
  const cluster = started();
  cluster.join('node4', '172.17.0.4');
  has(cluster, 'node4', { cidr: '8.0.0.0/6', kind: 'Route', link: 'eth0' });
  cluster.settle();
  expect(cluster.shown('node4')).toEqual(['9.0.3.0/24']);
});

describe('VTEP subnets', () => {
  const accepted = (cluster: Cluster) =>
    cluster.configStatus().conditions!.find(({ type }) => type === 'Accepted')!;
  const beginning = () => {
    const cluster = new Cluster();
    cluster.join('node1', '172.17.0.1');
    has(cluster, 'node1', { ...lan, cidr: '44.128.0.0/16' });
    return cluster;
  };

  test('are not pinned over a range of a node, until they are others or it is confirmed', () => {
    const cluster = beginning().settle();
    expect(accepted(cluster)).toMatchObject({
      reason: 'Overlap',
      message:
        'spec.vtepSubnets: 44.128.0.0/20 overlaps 44.128.0.0/16, a subnet of node1 on eth1; if nodes are to reach the ' +
        'overlay there: kubectl annotate --overwrite overlayconfig default overlaynet.dev/confirm-overlap=44.128.0.0/20',
    });
    expect(cluster.spec('node1').vtep).toBeUndefined();
    cluster.config = { ...cluster.config!, spec: { ...configSpec, vtepSubnets: ['44.200.0.0/20'] } };
    cluster.settle();
    expect(accepted(cluster).status).toBe('True');
    expect(cluster.spec('node1').vtep?.ip).toBe('44.200.0.1/20');
    const other = beginning();
    const annotations = { [confirmOverlap]: '44.128.0.0/20' };
    other.config = { ...other.config!, metadata: { name: 'default', annotations } };
    other.settle();
    expect(other.spec('node1').vtep?.ip).toBe('44.128.0.1/20');
  });

  test('that are in force stay, and grow over nothing new', () => {
    const cluster = started();
    has(cluster, 'node2', { ...lan, cidr: '44.128.1.0/24' }, { ...lan, cidr: '44.128.32.0/24' });
    cluster.settle();
    expect(accepted(cluster).status).toBe('True');
    const grown = (...vtepSubnets: string[]) => {
      cluster.config = { ...cluster.config!, spec: { ...configSpec, vtepSubnets } };
      cluster.settle();
      return accepted(cluster);
    };
    expect(grown('44.128.0.0/16', 'fd01:a::/64')).toMatchObject({
      reason: 'Overlap',
      message: expect.stringContaining('44.128.32.0/24, a subnet of node2 on eth1'),
    });
    expect(grown('44.128.0.0/19', 'fd01:a::/64').status).toBe('True');
  });
});

describe("a node's further addresses", () => {
  const says = (cluster: Cluster, node: string, ...furtherAddresses: string[]) => {
    const agent = cluster.agents.get(node)!;
    cluster.agents.set(node, { ...agent, spec: { ...agent.spec, furtherAddresses } });
    cluster.settle();
  };

  test('are copied from its agent to its AgentAllocation with one write', () => {
    const cluster = started();
    const before = cluster.spec('node2');
    says(cluster, 'node2', '10.100.0.2', 'fd99::2');
    const { revision } = before;
    expect(cluster.spec('node2')).toEqual({
      ...before,
      revision: revision + 1,
      furtherAddresses: ['10.100.0.2', 'fd99::2'],
    });
    cluster.comparing = true;
    cluster.settle();
    expect(cluster.spec('node2').revision).toBe(revision + 1);
    says(cluster, 'node2');
    expect(cluster.spec('node2')).toEqual({ ...before, revision: revision + 2 });
  });

  test('outside spec.nodeSubnets are ignored, and stay unchanged while the registration is refused', () => {
    const cluster = started();
    const nodeSubnets = ['172.17.0.0/16', '10.100.0.0/16'];
    cluster.config = { ...cluster.config!, spec: { ...configSpec, nodeSubnets } };
    says(cluster, 'node2', '10.100.0.2', '8.8.8.8');
    expect(cluster.spec('node2').furtherAddresses).toEqual(['10.100.0.2']);
    cluster.config = { ...cluster.config, spec: configSpec };
    cluster.settle();
    expect(cluster.spec('node2').furtherAddresses).toEqual(['10.100.0.2', '8.8.8.8']);
    const agent = cluster.agents.get('node2')!;
    const spec = { ...agent.spec, addresses: ['172.17.9.9'], furtherAddresses: ['10.100.0.9'] };
    cluster.agents.set('node2', { ...agent, spec });
    cluster.settle();
    expect(cluster.last.registrations.refused.get('node2')?.reason).toBe('NotNodeAddress');
    expect(cluster.spec('node2').furtherAddresses).toEqual(['10.100.0.2', '8.8.8.8']);
  });
});
