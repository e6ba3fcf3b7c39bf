import type { OverlayConfig } from '../../../src/api/types.ts';
import { Cluster, configSpec, dcos } from '../../support/plancluster.ts';

const other: OverlayConfig['spec'] = {
  ...configSpec,
  vtepSubnets: ['44.200.0.0/24'],
  vtepMACOUI: '70:B3:D6:00:00:00',
  vni: 2000,
  port: 4789,
};

/** Two nodes, and the defaults pinned, as some seconds after an install. */
function installed(): Cluster {
  const cluster = new Cluster();
  cluster.join('node1', '172.17.0.2');
  cluster.join('node2', '172.17.0.3');
  return cluster.settle();
}

function apply(cluster: Cluster, spec: OverlayConfig['spec']): Cluster {
  cluster.config = { ...cluster.config!, spec };
  return cluster.settle();
}

const accepted = (cluster: Cluster) =>
  cluster.configStatus().conditions!.find(({ type }) => type === 'Accepted');

describe('as long as there is no network', () => {
  test('every value of OverlayConfig can still be changed, and each node keeps its number', () => {
    const cluster = installed();
    expect(cluster.spec('node2').vtep).toMatchObject({ ip: '44.128.0.2/20', mac: '70:b3:d5:80:00:02' });
    apply(cluster, other);
    expect(accepted(cluster)?.status).toBe('True');
    expect(cluster.configStatus().effective).toMatchObject({
      vtepSubnets: ['44.200.0.0/24'],
      vni: 2000,
      port: 4789,
    });
    expect(cluster.spec('node2').vtep).toEqual({ ip: '44.200.0.2/24', mac: '70:b3:d6:c8:00:02' });
    // and from then on it is pinned, also for an operator that starts anew
    cluster.network('dcos', dcos);
    cluster.settle();
    apply(cluster, configSpec);
    expect(accepted(cluster)).toMatchObject({ status: 'False', reason: 'Pinned' });
    expect(cluster.configStatus().effective).toMatchObject({ vni: 2000 });
  });

  test.each([
    [
      'too few VTEPs for the nodes that there are',
      ['44.200.0.0/30', 'fd01:f::/126'],
      'TooSmall',
      'spec.vtepSubnets: 44.200.0.0/30, fd01:f::/126 has 2 VTEPs, and node node3 holds number 3',
    ],
    [
      'addresses that other nodes still have',
      ['44.0.0.0/8'],
      'Overlap',
      'spec.vtepSubnets: 44.0.0.0/8 overlaps 44.128.0.0/20, which is in force, and does not begin at the same address',
    ],
    [
      'a node’s own address',
      ['172.17.0.0/24'],
      'Overlap',
      'spec.vtepSubnets: 172.17.0.0/24 contains 172.17.0.2, an address of node node1',
    ],
  ])('%s are refused, and what works stays', (_what, vtepSubnets, reason, message) => {
    const cluster = installed();
    cluster.join('node3', '172.17.0.4');
    cluster.settle();
    const before = cluster.spec('node1');
    apply(cluster, { ...configSpec, vtepSubnets });
    expect(accepted(cluster)).toMatchObject({ status: 'False', reason, message });
    expect(cluster.spec('node1')).toEqual(before);
  });

  test('an MTU below 1280 comes with VTEP subnets that have no IPv6', () => {
    const cluster = installed();
    apply(cluster, { ...other, mtu: 1200 });
    expect(accepted(cluster)?.status).toBe('True');
    expect(cluster.configStatus().effective?.mtu).toBe(1200);
  });
});

describe('nothing is unpinned', () => {
  const pinned = { status: 'False', reason: 'Pinned' };

  test('while blocks of a network that is gone still cool', () => {
    const cluster = installed();
    cluster.network('dcos', dcos);
    cluster.settle();
    cluster.networks.delete('dcos');
    cluster.settle();
    apply(cluster, other);
    expect(accepted(cluster)).toMatchObject(pinned);
    cluster.now += 600_001;
    cluster.settle();
    cluster.settle();
    expect(accepted(cluster)?.status).toBe('True');
    expect(cluster.configStatus().effective).toMatchObject({ vni: 2000 });
  });

  test('while an agent says that it uses a network, whatever the ledger has', () => {
    const cluster = installed();
    const agent = cluster.agents.get('node1')!;
    const networks = [{ name: 'dcos', subnets: ['9.0.0.0/24'] }];
    cluster.agents.set('node1', { ...agent, spec: { ...agent.spec, networks } });
    apply(cluster, other);
    expect(accepted(cluster)).toMatchObject(pinned);
  });

  test('while data is taken to be restored: networks may only be missing', () => {
    const cluster = installed();
    cluster.wentBackAt = cluster.now;
    cluster.settle();
    apply(cluster, other);
    expect(accepted(cluster)).toMatchObject(pinned);
  });
});

describe('the first OverlayConfig', () => {
  test('is created with what the operator was given', () => {
    const cluster = new Cluster();
    cluster.config = undefined;
    cluster.firstConfig = { vni: 2000, mtu: 1400, defaultNetwork: 'web' };
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    expect(cluster.config!.spec).toEqual({ ...configSpec, ...cluster.firstConfig });
    expect(cluster.configStatus().effective).toMatchObject({ vni: 2000, mtu: 1400 });
  });

  test('does not come back in place of one that was changed since', () => {
    const cluster = new Cluster();
    cluster.config = undefined;
    cluster.firstConfig = { mtu: 1400, nodeSubnets: ['10.0.0.0/8'] };
    cluster.settle();
    apply(cluster, configSpec);
    cluster.config = undefined;
    cluster.settle();
    expect(cluster.config!.spec).toEqual(configSpec);
  });
});
