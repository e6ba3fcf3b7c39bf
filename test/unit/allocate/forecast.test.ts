import { forecast, type Forecast } from '../../../src/allocate/forecast.ts';
import { rehearse } from '../../../src/allocate/rehearse.ts';
import type { View } from '../../../src/allocate/view.ts';
import type { OverlayReservation } from '../../../src/api/types.ts';
import { Cluster, dcos, reference } from '../../support/plancluster.ts';

/** What would become of the cluster with that change. */
function told(
  cluster: Cluster,
  change: (copy: Cluster) => void,
  more: Partial<Parameters<typeof forecast>[2]> = {},
): Forecast {
  const view = cluster.view();
  const changed = Object.assign(Object.create(Object.getPrototypeOf(cluster) as object) as Cluster, cluster, {
    networks: new Map(cluster.networks),
    nodes: new Map(cluster.nodes),
    reservations: new Map(cluster.reservations),
  });
  change(changed);
  const next: View = {
    ...view,
    config: changed.config,
    networks: [...changed.networks.values()],
    nodes: new Map(changed.nodes),
    reservations: new Map(changed.reservations),
  };
  const names = [...changed.networks].flatMap(([name, network]) =>
    cluster.networks.get(name) === network ? [] : [name],
  );
  const reserving = [...changed.reservations.keys()].filter((name) => !cluster.reservations.has(name));
  const told = { names, reserving, used: [], pods: () => undefined, ...more };
  return forecast(rehearse(view), rehearse(next), told);
}

test('a cluster at rest stays as it is, and a rehearsal changes nothing of it', () => {
  const cluster = reference();
  const before = JSON.stringify([...cluster.ledger, ...cluster.allocations]);
  const { view, plan } = rehearse(cluster.view());
  expect(plan.writes).toEqual([]);
  expect([...view.allocations]).toEqual([...cluster.allocations]);
  expect(JSON.stringify([...cluster.ledger, ...cluster.allocations])).toBe(before);
});

test('a new network gets what the operator would give it', () => {
  const cluster = reference();
  const { networks, taken } = told(cluster, (copy) => {
    copy.network('shop', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
  });
  expect(taken).toEqual([]);
  expect(networks).toEqual([
    {
      name: 'shop',
      refusal: undefined,
      subnets: [
        {
          cidr: '10.9.0.0/16',
          prefix: 24,
          state: 'Active',
          room: 256,
          containers: [
            { containerizer: 'CNI', addresses: 125 },
            { containerizer: 'Docker', addresses: 125 },
          ],
        },
      ],
      nodes: { registered: 3, others: 0 },
      given: 3,
      waiting: [],
      drains: [],
      taken: [],
      warnings: [],
    },
  ]);
  // and that is what it does
  cluster.network('shop', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
  cluster.settle();
  expect(cluster.blocks().filter((one) => one.startsWith('net-shop')).length).toBe(3);
});

test('300 nodes and a /16 in /24s: 44 of them find no block', () => {
  const cluster = new Cluster();
  for (let at = 0; at < 300; at++)
    cluster.join(`node${at}`, `172.17.${Math.floor(at / 250)}.${(at % 250) + 1}`);
  cluster.settle();
  const { networks } = told(cluster, (copy) => {
    copy.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  });
  expect(networks[0]).toMatchObject({ given: 256, nodes: { registered: 300, others: 0 } });
  expect(networks[0]?.waiting.length).toBe(44);
});

test.each<[what: string, subnets: { cidr: string; prefix: number }[], reason: string, words: string]>([
  ['another network', [{ cidr: '9.1.0.0/16', prefix: 24 }], 'Overlap', 'overlaps 9.0.0.0/8 of network dcos'],
  ['a node', [{ cidr: '172.17.0.0/16', prefix: 24 }], 'Overlap', 'an address of node node1'],
  ['the VTEPs', [{ cidr: '44.128.0.0/24', prefix: 28 }], 'Overlap', 'overlaps the VTEP subnet 44.128.0.0/20'],
])('a range of %s is refused', (_, subnets, reason, words) => {
  const { networks } = told(reference(), (copy) => {
    copy.network('shop', subnets);
  });
  expect(networks[0]?.refusal).toEqual({ reason, message: expect.stringContaining(words) });
  expect(networks[0]?.given).toBe(0);
});

test('a range that a node reaches otherwise is refused; ranges of Services and pods are warned of', () => {
  const cluster = reference();
  const agent = cluster.agents.get('node2')!;
  const ranges = [{ cidr: '10.8.0.0/24', kind: 'Subnet' as const, link: 'eth1' }];
  cluster.agents.set('node2', { ...agent, spec: { ...agent.spec, ranges } });
  const used = [{ cidr: '10.96.0.0/12', owner: 'addresses of Services (ServiceCIDR kubernetes)' }];
  const at = (cidr: string) =>
    told(
      cluster,
      (copy) => {
        copy.network('shop', [{ cidr, prefix: 26 }]);
      },
      { used },
    ).networks[0];
  expect(at('10.8.0.0/16')?.refusal?.message).toContain('10.8.0.0/24, a subnet of node2 on eth1');
  const services = at('10.100.0.0/16');
  expect(services?.refusal).toBeUndefined();
  expect(services?.warnings).toEqual([
    'spec.subnets: 10.100.0.0/16 overlaps 10.96.0.0/12, addresses of Services (ServiceCIDR kubernetes): nodes and containers would no longer reach what is there',
  ]);
  expect(at('10.7.0.0/16')?.warnings).toEqual([]);
});

test('what nodes lose is named with the addresses that are used', () => {
  const cluster = reference();
  const agent = cluster.agents.get('node2')!;
  const [block = ''] = cluster.shown('node2');
  const part = { containerizer: 'CNI' as const, addresses: 125, free: 118 };
  const usage = [{ ...part, cidr: block.replace('/24', '/25'), used: 7 }];
  cluster.agents.set('node2', { ...agent, status: { networks: [{ name: 'dcos', state: 'OK', usage }] } });
  const lost = (change: (copy: Cluster) => void) => told(cluster, change).networks[0]?.taken;
  const all = [
    { node: 'node1', network: 'dcos', cidr: '9.0.0.0/24', used: 0 },
    { node: 'node2', network: 'dcos', cidr: block, used: 7 },
    { node: 'node3', network: 'dcos', cidr: '9.0.2.0/24', used: 0 },
  ];
  expect(
    lost((copy) => {
      copy.network('dcos', dcos, { enabled: false });
    }),
  ).toEqual(all);
  expect(
    lost((copy) => {
      copy.network('dcos', [{ cidr: '10.0.0.0/8', prefix: 24 }]);
    }),
  ).toEqual(all);
  const nodeSelector = { matchLabels: { 'overlaynet.dev/bridges': 'false' } };
  expect(
    lost((copy) => {
      copy.network('dcos', dcos, { nodeSelector });
    }),
  ).toEqual(all.slice(1));
});

test('an entry that begins to drain is told with what it holds, and takes nothing away yet', () => {
  const [entry] = dcos;
  const second = { cidr: '10.0.0.0/8', prefix: 24 };
  const drains = (more: object) =>
    told(reference(), (copy) => {
      copy.network('dcos', [{ ...entry!, state: 'Draining', ...more }, second]);
    }).networks[0];
  expect(drains({})).toMatchObject({
    drains: [{ cidr: '9.0.0.0/8', nodes: 3, used: 0, goes: false }],
    taken: [],
    given: 3,
  });
  expect(drains({ removeWhenDrained: true })?.drains[0]?.goes).toBe(true);
});

test('a configuration that is pinned is refused; one that refuses a node says so', () => {
  const cluster = reference();
  const change = (spec: object) =>
    told(cluster, (copy) => {
      copy.config = { ...cluster.config!, spec: { ...cluster.config!.spec, ...spec } };
    });
  expect(change({ vni: 7 }).config.refusal).toMatchObject({ reason: 'Pinned' });
  expect(change({ nodeSubnets: ['172.17.0.2/32', '172.17.0.3/32'] }).others).toEqual([
    expect.stringContaining('the registration of node node2 would be refused: spec.addresses: 172.17.0.4'),
  ]);
  expect(change({ defaultNetwork: 'nope' }).config.warnings).toContain(
    'spec.defaultNetwork: there is no network nope',
  );
});

test('VTEPs that become others are named', () => {
  const cluster = new Cluster();
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  const { moved } = told(cluster, (copy) => {
    copy.config = { ...cluster.config!, spec: { ...cluster.config!.spec, vtepSubnets: ['45.0.0.0/20'] } };
  });
  expect(moved).toEqual([{ node: 'node1', from: '44.128.0.1/20, fd01:a::1/64', to: '45.0.0.1/20' }]);
});

describe('a reservation', () => {
  const vtep = (at: number) => ({ ip: `44.128.0.${at}/20`, mac: `70:b3:d5:00:00:0${at}` });
  const at = (spec: OverlayReservation['spec'], change: (copy: Cluster) => void = () => undefined) =>
    told(reference(), (copy) => {
      change(copy);
      const metadata = { name: 'old', uid: 'uid-old', creationTimestamp: new Date().toISOString() };
      copy.reservations.set('old', { metadata, spec });
    }).reservations[0];
  const nothing = { refusal: undefined, reserved: [], held: [], waiting: [], warnings: [] };

  test('for a node that has not joined is kept for it', () => {
    const spec = { nodeName: 'node9', vtep: vtep(9), networks: [{ name: 'dcos', subnets: ['9.0.9.0/24'] }] };
    expect(at(spec)).toEqual({
      ...{ ...nothing, name: 'old', node: 'node9', isThere: false },
      reserved: ['VTEP 44.128.0.9/20', '9.0.9.0/24 of network dcos'],
    });
  });

  test('of what its node has says so, and of what another has is refused', () => {
    const networks = [{ name: 'dcos', subnets: ['9.0.2.0/24'] }];
    expect(at({ nodeName: 'node3', networks })).toMatchObject({
      held: ['9.0.2.0/24 of network dcos'],
      isThere: true,
      refusal: undefined,
    });
    expect(at({ nodeName: 'node9', networks })).toMatchObject({
      refusal: { reason: 'Held', message: '9.0.2.0/24 of network dcos is held by node node3' },
      reserved: [],
    });
  });

  test('in a network that the same manifest makes is kept, and in one that does not exist waits', () => {
    const spec = { nodeName: 'node9', networks: [{ name: 'shop', subnets: ['10.9.9.0/24'] }] };
    expect(at(spec)).toMatchObject({
      waiting: [{ text: '10.9.9.0/24 of network shop', message: 'there is no network shop' }],
    });
    const made = at(spec, (copy) => {
      copy.network('shop', [{ cidr: '10.9.0.0/16', prefix: 24 }]);
    });
    expect(made).toMatchObject({ reserved: ['10.9.9.0/24 of network shop'], waiting: [] });
  });

  test('that keeps all others out warns, and one that has expired is refused', () => {
    expect(at({ exclusive: true })?.warnings).toEqual([
      'spec.exclusive: no node gets anything new, except what is reserved for it, as long as this object is there',
    ]);
    const over = at({ exclusive: true, expiresAt: '2020-01-01T00:00:00Z' });
    expect(over).toMatchObject({ refusal: { reason: 'Expired' }, warnings: [] });
  });
});
