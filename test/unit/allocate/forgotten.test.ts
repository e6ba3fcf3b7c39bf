import { plan, Memory } from '../../../src/allocate/plan.ts';
import { overlaps as covers, parseCidr } from '../../../src/net/cidr.ts';
import { type Cluster, reference } from '../../support/plancluster.ts';

/** Subnets that the index lost while their pages still have blocks in use. */

const takeOut = (cluster: Cluster, name: string) => {
  const spaces = cluster.ledger.get('spaces')!;
  const index = spaces.spec.index!;
  const rest = index.spaces.filter(({ network }) => network !== name);
  cluster.ledger.set('spaces', { ...spaces, spec: { index: { ...index, spaces: rest } } });
};

describe('spaces deleted by hand while another network takes the range of one that is gone', () => {
  const overlaps = (cluster: Cluster) => {
    const all = [...cluster.allocations.keys()].flatMap((node) =>
      cluster.shown(node).map((text) => ({ node, cidr: parseCidr(text) })),
    );
    return all.filter((a) => all.some((b) => a.node !== b.node && covers(a.cidr, b.cidr)));
  };
  const replace = (cluster: Cluster) => {
    cluster.networks.delete('dcos');
    const agent = cluster.agents.get('node3')!;
    agent.spec.networks = [{ name: 'dcos', subnets: ['9.0.2.0/24'] }];
    cluster.config = { ...cluster.config!, status: cluster.configStatus() };
  };
  const add = (cluster: Cluster) => {
    cluster.network('red', [{ cidr: '9.0.0.0/16', prefix: 22 }]);
    cluster.join('node4', '172.17.0.5');
  };
  const pagesOfOld = (cluster: Cluster) =>
    [...cluster.ledger.keys()].filter((name) => name.startsWith('net-dcos-'));
  const letGo = (cluster: Cluster) => {
    cluster.agents.get('node3')!.spec.networks = [];
    cluster.settle();
    cluster.now += 600_001;
    cluster.settle();
  };

  test.each([
    { when: 'before the network was withdrawn', withdrawn: false },
    { when: 'while its blocks are being withdrawn', withdrawn: true },
  ])('$when: its blocks rest until no node uses them', ({ withdrawn }) => {
    const cluster = reference();
    replace(cluster);
    if (withdrawn) cluster.settle();
    cluster.ledger.delete('spaces');
    add(cluster);
    const refused = () => {
      expect(overlaps(cluster)).toEqual([]);
      expect(pagesOfOld(cluster)).not.toEqual([]);
      expect(cluster.shown('node4').filter((text) => text.startsWith('9.'))).toEqual([]);
    };
    cluster.settle(refused);
    expect(cluster.last.refusedNetworks.get('red')?.reason).toBe('Cooling');
    cluster.now += 600_001;
    cluster.settle(refused);
    expect(cluster.last.refusedNetworks.get('red')?.message).toContain(
      'once containers have left it on node3',
    );
    letGo(cluster);
    expect(cluster.shown('node4')).toContain('9.0.12.0/22');
    expect(pagesOfOld(cluster)).toEqual([]);
  });

  test('with its page: nothing overlaps the blocks that a node still has or uses', () => {
    const cluster = reference();
    replace(cluster);
    cluster.ledger.delete('spaces');
    for (const name of pagesOfOld(cluster)) cluster.ledger.delete(name);
    add(cluster);
    cluster.settle(() => {
      expect(overlaps(cluster)).toEqual([]);
      expect(cluster.shown('node4')).not.toContain('9.0.0.0/22');
    });
    cluster.now += 600_001;
    cluster.settle();
    expect(cluster.shown('node4')).toContain('9.0.12.0/22');
    for (const node of ['node1', 'node2', 'node4']) expect(cluster.shown(node)).not.toContain('9.0.0.0/22');
  });

  test('a subnet that was removed from the index by hand is listed again with its blocks', () => {
    const cluster = reference();
    replace(cluster);
    takeOut(cluster, 'dcos');
    add(cluster);
    cluster.settle(() => {
      expect(overlaps(cluster)).toEqual([]);
    });
    expect(cluster.last.refusedNetworks.get('red')?.reason).toBe('Cooling');
    expect(cluster.blocks().filter((text) => text.startsWith('net-dcos'))).toContain(
      'net-dcos-1/2 node3 Cooling',
    );
  });

  test('a page that comes back although another network has its range: its blocks rest, and no node gets them', () => {
    const cluster = reference();
    const page = cluster.ledger.get('net-dcos-1')!;
    cluster.networks.delete('dcos');
    cluster.settle();
    cluster.now += 600_001;
    cluster.settle();
    cluster.now += 600_001;
    cluster.settle();
    cluster.network('blue', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    cluster.settle();
    const shown = ['node1', 'node2', 'node3'].map((node) => cluster.shown(node));
    cluster.network('dcos', [{ cidr: '9.0.0.0/8', prefix: 24 }]);
    cluster.ledger.set('net-dcos-1', page);
    cluster.settle(() => {
      expect(overlaps(cluster)).toEqual([]);
    });
    expect(['node1', 'node2', 'node3'].map((node) => cluster.shown(node))).toEqual(shown);
    expect(cluster.last.refusedNetworks.get('dcos')?.reason).toBe('Overlap');
  });

  test('a page that begins beyond its subnet is ignored', () => {
    const cluster = reference();
    const page = cluster.ledger.get('net-dcos-1')!;
    const { page: content } = page.spec;
    const odd = { ...content!, space: '10.8.0.0/16', first: 16_776_960 };
    cluster.ledger.set('net-odd-77', {
      ...page,
      metadata: { ...page.metadata, name: 'net-odd-77' },
      spec: { page: odd },
    });
    cluster.settle();
    const { spaces } = cluster.ledger.get('spaces')!.spec.index!;
    expect(spaces.map(({ cidr }) => cidr)).not.toContain('10.8.0.0/16');
  });

  test('a page that is known from before the index is read first: it may be empty by now', () => {
    const cluster = reference();
    replace(cluster);
    takeOut(cluster, 'dcos');
    add(cluster);
    const view = cluster.view();
    const { spaces } = view.ledger;
    const later = { ...spaces!, metadata: { ...spaces!.metadata, resourceVersion: '1000000' } };
    const { reads } = plan({ ...view, ledger: { ...view.ledger, spaces: later } }, new Memory());
    expect(reads.ledger.get('net-dcos-1')).toBe(1_000_000);
  });
});
