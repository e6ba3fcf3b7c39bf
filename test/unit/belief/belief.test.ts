import { confirmDepartures } from '../../../src/api/labels.ts';
import { believe, keptBy, overdue, wakeAt } from '../../../src/belief/belief.ts';
import { dcos, node2 } from '../../support/fixture.ts';
import { names, peer, peerName, started } from '../../support/agentcluster.ts';

test('additions and changes of objects are accepted at once', () => {
  const { cluster, belief } = started();
  cluster.join(peer(10));
  cluster.join({ ...peer(3), addresses: ['172.17.9.9'] });
  const { snapshot: shown } = cluster.believe(belief);
  expect(names(shown)).toHaveLength(12);
  expect(shown.allocations.find(({ node }) => node === peerName(3))?.spec.addresses).toEqual(['172.17.9.9']);
});

describe('peers', () => {
  test('all peers that the operator emptied are removed at once', () => {
    const { cluster, belief } = started();
    cluster.leave(0, 1, 2, 3, 4, 5, 6);
    const now = cluster.believe(belief);
    expect(names(now.snapshot)).toHaveLength(4);
    expect(wakeAt(now, cluster.now)).toBe(Infinity);
  });

  test('a lost peer has a minute to come back', () => {
    const { cluster, belief } = started();
    cluster.lose(3);
    const first = cluster.believe(belief);
    cluster.now += 59_999;
    const second = cluster.believe(first);
    expect(names(second.snapshot)).toContain(peerName(3));
    expect(wakeAt(second, cluster.now)).toBe(cluster.started + 60_000);
    cluster.now += 1;
    expect(names(cluster.believe(second).snapshot)).not.toContain(peerName(3));
  });

  test('a lost peer that the operator then empties is removed at once', () => {
    const { cluster, belief } = started();
    cluster.lose(0, 1, 2, 3, 4, 5);
    const now = cluster.settle(belief);
    cluster.leave(0, 1);
    expect(names(cluster.believe(now).snapshot)).toHaveLength(9);
  });

  test('more than half of eight or more peers that are lost at once stay for ten minutes', () => {
    const { cluster, belief } = started();
    cluster.lose(0, 1, 2, 3, 4, 5);
    let now = cluster.believe(belief);
    for (let minute = 0; minute < 10; minute++) {
      expect(names(now.snapshot)).toHaveLength(11);
      cluster.now += 59_900;
      now = cluster.believe(now);
    }
    expect(names(now.snapshot)).toHaveLength(11);
    expect(wakeAt(now, cluster.now)).toBe(cluster.started + 600_000);
    cluster.now = cluster.started + 600_000;
    expect(names(cluster.believe(now).snapshot)).toHaveLength(5);
  });

  test.each([
    ['half of them', 10, 5],
    ['all of seven', 7, 7],
  ])('%s are no mass departure', (_, peers, lost) => {
    const { cluster, belief } = started(peers);
    cluster.lose(...Array.from({ length: lost }, (__, i) => i));
    const first = cluster.believe(belief);
    expect(names(first.snapshot)).toHaveLength(peers + 1);
    cluster.now += 60_000;
    expect(names(cluster.believe(first).snapshot)).toHaveLength(peers - lost + 1);
  });

  test('small losses within a minute count together', () => {
    const { cluster, belief } = started();
    let now = belief;
    for (let i = 0; i < 6; i++) {
      cluster.lose(i);
      now = cluster.believe(now);
      cluster.now += 9_000;
    }
    cluster.now += 60_000;
    expect(names(cluster.believe(now).snapshot)).toHaveLength(11);
  });

  test('small losses over several minutes do not', () => {
    const { cluster, belief } = started();
    let now = belief;
    for (let i = 0; i < 8; i++) {
      cluster.lose(i);
      now = cluster.believe(now);
      cluster.now += 30_000;
    }
    cluster.now += 30_000;
    expect(names(cluster.believe(now).snapshot)).toHaveLength(3);
  });

  test('a confirmation with the departure’s id removes them at once', () => {
    const { cluster, belief } = started();
    cluster.lose(0, 1, 2, 3, 4, 5);
    cluster.status.departures = { id: 'd-1', since: '2026-01-01T00:00:00Z' };
    let now = cluster.settle(belief);
    cluster.annotations = { [confirmDepartures]: 'another' };
    now = cluster.settle(now);
    expect(names(now.snapshot)).toHaveLength(11);
    cluster.annotations = { [confirmDepartures]: 'd-1' };
    now = cluster.believe(now);
    expect(names(now.snapshot)).toHaveLength(5);
    // the operator has taken its question back
    delete cluster.status.departures;
    cluster.annotations = {};
    expect(names(cluster.settle(now).snapshot)).toHaveLength(5);
  });

  test.each([
    ['a block', { networks: peer(0).networks! }],
    ['the IPv4 VTEP', { vtep: { ip: peer(0).vtep!.ip!, mac: '70:b3:d5:80:ff:ff' } }],
    ['the IPv6 VTEP', { vtep: { ip6: peer(0).vtep!.ip6!, mac: '70:b3:d5:80:ff:ff' } }],
    ['the MAC', { vtep: { ip: '44.128.9.9/20', mac: peer(0).vtep!.mac } }],
    ['the address', { addresses: peer(0).addresses }],
    ['a part of a block', { networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.10.128/25' }] }] }],
    ['more than a block', { networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.10.0/23' }] }] }],
  ])('one that stays goes as soon as another node has %s of it', (_, changes) => {
    const { cluster, belief } = started();
    cluster.lose(0, 1, 2, 3, 4, 5);
    const now = cluster.settle(belief);
    cluster.join({ ...peer(20), ...changes });
    const shown = names(cluster.believe(now).snapshot);
    expect(shown).not.toContain(peerName(0));
    expect(shown).toContain(peerName(2));
  });

  test('peers that come back follow their objects, and the others stay for their time', () => {
    const { cluster, belief } = started();
    cluster.lose(0, 1, 2, 3, 4, 5);
    let now = cluster.settle(belief);
    cluster.join({ ...peer(0), revision: 7 });
    for (const i of [1, 2, 3]) cluster.join(peer(i));
    now = cluster.settle(now);
    expect(now.snapshot.allocations.find(({ node }) => node === peerName(0))?.spec.revision).toBe(7);
    expect(names(now.snapshot)).toHaveLength(11);
    expect(keptBy(now, cluster.next).peers).toEqual([peerName(4), peerName(5)]);
  });

  test('no network is removed while the API server refuses a kind', () => {
    const { cluster, belief } = started();
    cluster.lose(1);
    cluster.refused = true;
    let now = cluster.believe(belief);
    for (let i = 0; i < 5; i++) {
      cluster.now += 60_000;
      now = cluster.believe(now);
    }
    expect(names(now.snapshot)).toContain(peerName(1));
    cluster.refused = false;
    now = cluster.believe(now);
    cluster.now += 60_000;
    expect(names(cluster.believe(now).snapshot)).not.toContain(peerName(1));
  });
});

describe('networks', () => {
  test('a deleted network stays until the operator has withdrawn it from all nodes', () => {
    const { cluster, belief } = started();
    cluster.networks.delete('dcos');
    let now = cluster.settle(belief);
    cluster.now += 600_000;
    now = cluster.believe(now);
    expect(now.snapshot.networks).toHaveLength(2);
    expect(overdue(now, cluster.now)).toEqual(['dcos']);
    cluster.withdraw('dcos');
    now = cluster.believe(now);
    expect(now.snapshot.networks.map(({ metadata }) => metadata.name)).toEqual(['dcos6']);
    expect(overdue(now, cluster.now)).toEqual([]);
  });

  test('a network that no node has is removed after seconds', () => {
    const { cluster, belief } = started();
    cluster.withdraw('dcos6');
    let now = cluster.believe(belief);
    cluster.networks.delete('dcos6');
    now = cluster.believe(now);
    expect(now.snapshot.networks).toHaveLength(2);
    cluster.now = wakeAt(now, cluster.now);
    expect(cluster.believe(now).snapshot.networks).toHaveLength(1);
  });

  test('a network that a person disables is withdrawn at once', () => {
    const { cluster, belief } = started();
    cluster.networks.get('dcos')!.spec = { ...dcos.spec, enabled: false };
    expect(cluster.believe(belief).snapshot.networks.map(({ metadata }) => metadata.name)).toEqual(['dcos6']);
  });

  test('a recreated network stays until the new one is accepted', () => {
    const { cluster, belief } = started();
    const object = cluster.networks.get('dcos')!;
    object.metadata = { name: 'dcos', uid: 'new' };
    delete object.status;
    const now = cluster.believe(belief);
    expect(now.snapshot.networks).toHaveLength(2);
    cluster.accept('dcos');
    expect(cluster.believe(now).snapshot.networks[0]?.metadata.uid).toBe('new');
  });

  test('a network that waits for a finalizer stays until the operator has withdrawn it', () => {
    const { cluster, belief } = started();
    cluster.networks.get('dcos')!.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    let now = cluster.settle(belief);
    expect(now.snapshot.networks).toHaveLength(2);
    cluster.withdraw('dcos');
    cluster.now += 10_000;
    now = cluster.believe(now);
    expect(now.snapshot.networks).toHaveLength(1);
  });
});

test('without an earlier belief, the objects are followed', () => {
  const { cluster } = started();
  cluster.status.restored = { id: 'r-1', since: '2026-01-01T00:00:00Z' };
  cluster.wentBack = true;
  expect(cluster.believe(undefined).snapshot).toEqual(cluster.next);
  expect(
    believe(undefined, {
      config: undefined,
      networks: [],
      allocations: [],
      seen: undefined,
      next: undefined,
      released: new Set(),
      wentBack: false,
      refused: false,
      now: 0,
    }),
  ).toBeUndefined();
});

test('equal content is the same object, so that no needless pass runs', () => {
  const { cluster, belief } = started();
  cluster.wentBack = true;
  cluster.join({ ...node2, revision: 8, networks: [] }, 'node2');
  cluster.join({ ...peer(5), networks: [] });
  cluster.lose(0);
  const now = cluster.believe(belief);
  const again = cluster.believe(now);
  again.snapshot.allocations.forEach(({ spec }, i) => {
    expect(spec).toBe(now.snapshot.allocations[i]?.spec);
  });
});
