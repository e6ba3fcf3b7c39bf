import { confirmRestore } from '../../../src/api/labels.ts';
import { firstBelief, keptBy, wakeAt, type Belief } from '../../../src/belief/belief.ts';
import { config, dcos, dcos6, node2 } from '../../support/fixture.ts';
import { names, peer, peerName, started } from '../../support/agentcluster.ts';

describe('CRDs that are deleted and installed again', () => {
  /** All of it is gone; then the operator made OverlayConfig anew. */
  const reinstalled = (order: ('config' | 'networks' | 'allocations')[]) => {
    const { cluster, belief } = started();
    const before = belief.snapshot;
    let now = belief;
    for (const kind of order) {
      cluster.clear(kind);
      now = cluster.believe(now);
      // the events of a kind come a moment after those of another
      cluster.now += 150;
      now = cluster.believe(now);
    }
    expect(now.snapshot).toEqual(before);
    cluster.now += 3_600_000;
    cluster.install('new');
    return { cluster, now: cluster.believe(now), before };
  };

  test.each([
    [['config', 'networks', 'allocations']],
    [['networks', 'config', 'allocations']],
    [['networks', 'allocations', 'config']],
    [['allocations', 'networks', 'config']],
    [['allocations', 'config', 'networks']],
    [['config', 'allocations', 'networks']],
  ] as const)('in the order %j take nothing away, whatever comes back when', (order) => {
    const { cluster, before, ...rest } = reinstalled([...order]);
    let { now } = rest;
    expect(now.snapshot).toEqual(before);
    cluster.status.restored = { id: 'r-1', since: '2026-01-01T00:00:00Z' };
    now = cluster.settle(now);
    cluster.join({ ...node2, revision: 1, networks: [] }, 'node2');
    now = cluster.settle(now);
    expect(now.doubt?.reason).toBe('ConfigReplaced');
    expect(names(now.snapshot)).toHaveLength(11);
    expect(now.snapshot.networks).toHaveLength(2);
    for (let i = 0; i < 9; i++) {
      cluster.join(peer(i));
      now = cluster.settle(now);
      cluster.now += 60_000;
      expect(names(now.snapshot)).toEqual(names(before));
    }
    cluster.network(dcos);
    now = cluster.settle(now);
    expect(now.snapshot.networks).toHaveLength(2);
    cluster.join({ ...node2, revision: 2, networks: node2.networks!.slice(0, 1) }, 'node2');
    delete cluster.status.restored;
    now = cluster.settle(now);
    // the operator's last writes may come a moment after the end of the restore
    expect(names(now.snapshot)).toEqual(names(before));
    cluster.now = wakeAt(now, cluster.now);
    now = cluster.settle(now);
    expect(names(now.snapshot)).toHaveLength(10);
    cluster.withdraw('dcos6');
    cluster.now += 10_000;
    expect(cluster.believe(now).snapshot.networks).toHaveLength(1);
    expect(now.configUID).toBe('new');
  });

  test('an agent that starts meanwhile knows it from its checkpoint', () => {
    const { before, cluster, now } = reinstalled(['config', 'networks', 'allocations']);
    const again = firstBelief(now.snapshot, {
      configUID: now.configUID!,
      doubt: now.doubt!,
      lostPeers: now.lostPeers,
    });
    cluster.join({ ...node2, revision: 1, networks: [] }, 'node2');
    expect(cluster.settle(again).snapshot.networks).toEqual(before.networks);
    expect(names(cluster.settle(again).snapshot)).toEqual(names(before));
  });

  test('without an answer of the operator, doubt ends after ten minutes', () => {
    const { cluster, ...rest } = reinstalled(['config', 'networks', 'allocations']);
    cluster.join(node2, 'node2');
    const now = cluster.believe(rest.now);
    expect(names(now.snapshot)).toHaveLength(11);
    cluster.now = wakeAt(now, cluster.now);
    expect(names(cluster.believe(now).snapshot)).toEqual(['node2']);
  });

  test('if only allocations are gone, peers come back one by one', () => {
    const { cluster, belief } = started(5);
    cluster.clear('allocations');
    let now = cluster.settle(belief);
    cluster.now += 60_000;
    cluster.join({ ...node2, revision: 9 }, 'node2');
    now = cluster.settle(now);
    for (let i = 0; i < 5; i++) {
      expect(names(now.snapshot)).toHaveLength(6);
      cluster.now += 5_000;
      cluster.join(peer(i));
      now = cluster.settle(now);
    }
    expect(keptBy(now, cluster.next).peers).toEqual([]);
  });
});

describe('a restore', () => {
  test('removes nothing until it is over: no network, peer, peer’s block or own block', () => {
    const { cluster, belief } = started();
    cluster.wentBack = true;
    cluster.lose(0, 1, 2);
    cluster.networks.delete('dcos6');
    cluster.join({ ...peer(5), networks: [] });
    cluster.join({ ...node2, revision: 1, networks: node2.networks!.slice(0, 1) }, 'node2');
    let now = cluster.settle(belief);
    expect(now.snapshot).toEqual(belief.snapshot);
    expect(now.doubt).toMatchObject({ reason: 'WentBack' });
    cluster.status.restored = { id: 'r-1', since: '2026-01-01T00:00:00Z' };
    cluster.now += 3_600_000 / 10;
    now = cluster.settle(now);
    expect(now.doubt).toMatchObject({ reason: 'Restored', id: 'r-1' });
    cluster.now += 86_400_000;
    now = cluster.believe(now);
    expect(now.snapshot).toEqual(belief.snapshot);
    expect(keptBy(now, cluster.next)).toEqual({
      peers: [peerName(0), peerName(1), peerName(2)],
      networks: ['dcos6'],
      blocks: ['fd01:b:0:0:1::/80'],
    });
  });

  test('gives this node no further block: another node may have got it since', () => {
    const { cluster, belief } = started();
    cluster.wentBack = true;
    const subnets = [...node2.networks![0]!.subnets, { cidr: '9.0.99.0/24' }];
    cluster.join({ ...node2, revision: 8, networks: [{ name: 'dcos', subnets }] }, 'node2');
    const own = (now: Belief) => now.snapshot.allocations.find(({ node }) => node === 'node2')?.spec;
    const now = cluster.believe(belief);
    expect(own(now)).toEqual(node2);
  });

  test('keeps no block for a peer if another peer has it, and reaches no peer through this node’s own blocks', () => {
    const { cluster, belief } = started();
    cluster.wentBack = true;
    cluster.join({ ...peer(5), networks: [] });
    const [theirs, mine] = [{ cidr: '9.0.15.0/24' }, { cidr: '9.0.1.0/24' }];
    cluster.join({ ...peer(6), networks: [{ name: 'dcos', subnets: [theirs, mine] }] });
    cluster.join({ ...peer(7), vtep: node2.vtep! });
    cluster.join({ ...peer(8), addresses: node2.addresses });
    const { snapshot } = cluster.believe(belief);
    const of = (i: number) => snapshot.allocations.find(({ node }) => node === peerName(i))?.spec.networks;
    expect(of(5)).toEqual(peer(5).networks!.slice(1));
    // what it had stays as well
    expect(of(6)).toEqual([
      { name: 'dcos', subnets: [theirs, { cidr: '9.0.16.0/24' }] },
      ...peer(6).networks!.slice(1),
    ]);
    expect(of(7)).toBeUndefined();
    expect(of(8)).toBeUndefined();
    expect(snapshot.allocations.find(({ node }) => node === 'node2')?.spec).toEqual(node2);
  });

  test('keeps pinned settings: a tunnel with another VNI would not reach the old nodes', () => {
    const { cluster, belief } = started();
    cluster.wentBack = true;
    cluster.effective = { ...config, vni: 7, mtu: 1400 };
    expect(cluster.believe(belief).snapshot.config).toEqual({ ...config, mtu: 1400 });
  });

  test('lets a network that was replaced since wait: its place is taken', () => {
    const { cluster, belief } = started();
    cluster.wentBack = true;
    cluster.networks.delete('dcos');
    cluster.network({ ...dcos, metadata: { name: 'before', uid: 'b' } });
    cluster.network({
      ...dcos6,
      metadata: { name: 'other', uid: 'o' },
      spec: { ...dcos6.spec, subnets: [{ cidr: '10.5.0.0/16', prefix: 24, state: 'Active' }] },
    });
    const { networks } = cluster.believe(belief).snapshot;
    expect(networks.map(({ metadata }) => metadata.name)).toEqual(['dcos', 'dcos6', 'other']);
  });

  test('is over when a person confirms it', () => {
    const { cluster, belief } = started();
    cluster.status.restored = { id: 'r-1', since: '2026-01-01T00:00:00Z' };
    cluster.lose(0);
    let now = cluster.settle(belief);
    expect(names(now.snapshot)).toHaveLength(11);
    cluster.annotations = { [confirmRestore]: 'r-1' };
    now = cluster.believe(now);
    cluster.now = wakeAt(now, cluster.now);
    expect(names(cluster.believe(now).snapshot)).toHaveLength(10);
  });
});

describe('blocks that two nodes hold', () => {
  const block = { network: 'dcos', cidr: '9.0.1.0/24', nodes: ['node1', 'node2'] };

  test('stay at this node although its AgentAllocation lacks them, and no peer is reached through them', () => {
    const { cluster, belief } = started();
    cluster.status.quarantined = [block];
    cluster.join({ ...node2, revision: 4, networks: node2.networks!.slice(1) }, 'node2');
    cluster.join({
      ...peer(0),
      networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24' }, { cidr: '9.0.77.0/24' }] }],
    });
    const now = cluster.settle(belief);
    const of = (name: string) => now.snapshot.allocations.find(({ node }) => node === name)?.spec.networks;
    expect(of('node2')).toEqual(node2.networks);
    expect(of(peerName(0))).toEqual([{ name: 'dcos', subnets: [{ cidr: '9.0.77.0/24' }] }]);
    delete cluster.status.quarantined;
    expect(
      cluster.settle(now).snapshot.allocations.find(({ node }) => node === 'node2')?.spec.networks,
    ).toEqual(node2.networks!.slice(1));
  });

  test('of other nodes have no effect here', () => {
    const { cluster, belief } = started();
    cluster.status.quarantined = [{ ...block, nodes: ['node1', 'node7'] }];
    cluster.join({ ...node2, revision: 4, networks: [] }, 'node2');
    const now = cluster.settle(belief);
    expect(now.snapshot.allocations.find(({ node }) => node === 'node2')?.spec.networks).toEqual([]);
  });

  test('include a VTEP', () => {
    const { cluster, belief } = started();
    cluster.status.quarantined = [{ network: '', cidr: '44.128.0.2/32', nodes: ['node2', 'node9'] }];
    const vtep = { ip: '44.128.0.9/20', mac: '70:b3:d5:80:00:09' };
    cluster.join({ ...node2, revision: 4, vtep }, 'node2');
    const now = cluster.settle(belief);
    expect(now.snapshot.allocations.find(({ node }) => node === 'node2')?.spec.vtep).toEqual(node2.vtep);
  });
});
