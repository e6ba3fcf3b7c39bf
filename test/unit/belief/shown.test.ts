import { wakeAt, type Belief } from '../../../src/belief/belief.ts';
import { names, peer, peerName, started } from '../../support/agentcluster.ts';

describe('peers that were released while this agent did not run', () => {
  /** The operator counts so many blocks of each network as given out, and as resting. */
  const count = (
    cluster: ReturnType<typeof started>['cluster'],
    held: number,
    releasing = 0,
    cooling = 8,
  ) => {
    for (const network of cluster.networks.values()) {
      const counts = { blocks: 256, held, releasing, cooling, quarantined: 0, free: 0 };
      const cidr = network.spec.subnets[0]!.cidr;
      network.status = { ...network.status, capacity: [{ cidr, ...counts }] };
      network.metadata.resourceVersion = cluster.write();
    }
  };

  test.each([
    ['some', 3],
    ['most', 8],
  ])('%s of them leave half a second after they are missed', (_, lost) => {
    const { cluster, belief } = started();
    cluster.lose(...Array.from({ length: lost }, (__, i) => i));
    count(cluster, 11 - lost);
    const first = cluster.believe(belief);
    expect(names(first.snapshot)).toHaveLength(11);
    expect(wakeAt(first, cluster.now)).toBe(cluster.started + 500);
    cluster.now += 500;
    expect(names(cluster.believe(first).snapshot)).toHaveLength(11 - lost);
  });

  test('not if the ledger has given out more than AgentAllocations contain', () => {
    const { cluster, belief } = started();
    cluster.lose(3);
    count(cluster, 11);
    const first = cluster.believe(belief);
    cluster.now += 1_000;
    expect(names(cluster.believe(first).snapshot)).toContain(peerName(3));
    // it is being taken back
    count(cluster, 10, 1);
    expect(names(cluster.believe(first).snapshot)).toContain(peerName(3));
    count(cluster, 10);
    expect(names(cluster.believe(first).snapshot)).not.toContain(peerName(3));
  });

  /** Peer 3 is lost, and a second later it is still there. */
  const stays = (cluster: ReturnType<typeof started>['cluster'], belief: Belief) => {
    cluster.lose(3);
    const first = cluster.believe(belief);
    cluster.now += 1_000;
    expect(names(cluster.believe(first).snapshot)).toContain(peerName(3));
  };

  test('not if the operator counted before another node joined', () => {
    const { cluster, belief } = started();
    count(cluster, 11);
    cluster.join(peer(20));
    stays(cluster, belief);
  });

  test('not if the count is older than what an earlier agent saw: etcd was restored from a backup', () => {
    const { cluster, belief } = started();
    count(cluster, 10);
    cluster.seen = 1_000n;
    stays(cluster, belief);
  });

  test('not if their blocks do not rest: etcd was restored with a higher revision from a backup without them', () => {
    const { cluster, belief } = started();
    cluster.lose(3, 4);
    count(cluster, 9, 0, 1);
    const first = cluster.believe(belief);
    cluster.now += 1_000;
    expect(names(cluster.believe(first).snapshot)).toContain(peerName(3));
    count(cluster, 9, 0, 2);
    expect(names(cluster.believe(first).snapshot)).not.toContain(peerName(3));
  });

  test('not if the others have more of an abandoned subnet, and less of the current one', () => {
    const { cluster, belief } = started();
    const { spec } = cluster.allocations.get(peerName(4))!;
    const [dcosBlocks, ...rest] = spec.networks!;
    const subnets = [...dcosBlocks!.subnets, { cidr: '10.0.4.0/24' }];
    cluster.join({ ...spec, networks: [{ ...dcosBlocks!, subnets }, ...rest] });
    count(cluster, 11);
    // of the other network it has been taken back
    cluster.networks.get('dcos6')!.status!.capacity![0]!.held = 10;
    stays(cluster, belief);
  });

  test('not if one had only a VTEP, or blocks of a network or subnet that is not counted', () => {
    const { networks = [] } = peer(3);
    for (const kept of [[], [networks[0]!, { name: 'gone', subnets: [{ cidr: '11.0.3.0/24' }] }]]) {
      const { cluster } = started();
      cluster.join({ ...peer(3), networks: kept });
      const belief = cluster.believe(undefined);
      count(cluster, 10);
      stays(cluster, belief);
    }
    const { cluster, belief } = started();
    count(cluster, 10);
    cluster.networks.get('dcos')!.status!.capacity![0]!.cidr = '10.0.0.0/8';
    stays(cluster, belief);
  });

  test('not if one network is not counted, or there is no network', () => {
    const { cluster, belief } = started();
    cluster.lose(3);
    count(cluster, 10);
    delete cluster.networks.get('dcos')!.status;
    const first = cluster.believe(belief);
    cluster.now += 1_000;
    expect(names(cluster.believe(first).snapshot)).toContain(peerName(3));
    cluster.networks.clear();
    expect(names(cluster.believe(first).snapshot)).toContain(peerName(3));
  });
});
