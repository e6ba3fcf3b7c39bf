import { sameSnapshot } from '../../../src/agent/checkpoint.ts';
import { confirmOverlap } from '../../../src/api/ranges.ts';
import { snapshotOf, type Cached } from '../../../src/belief/snapshot.ts';
import type { AgentAllocation, OverlayNetwork } from '../../../src/api/types.ts';
import { config, dcos, node1, node2 } from '../../support/fixture.ts';

const accepted = (status: 'True' | 'False') => [
  { type: 'Accepted', status, reason: 'R', message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' },
];
const stored = (name: string, changes: Partial<OverlayNetwork> = {}): OverlayNetwork => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion: '7', generation: 1 },
  spec: dcos.spec,
  status: { conditions: accepted('True') },
  ...changes,
});
const capacity = (cidr: string) => ({
  cidr,
  blocks: 1,
  held: 0,
  releasing: 0,
  cooling: 0,
  quarantined: 0,
  free: 1,
});
const allocation = (name: string, spec: AgentAllocation['spec']): AgentAllocation => ({
  metadata: { name },
  spec,
});
const of = (changes: Partial<Cached>) =>
  snapshotOf('node2', {
    config: {
      metadata: { name: 'default' },
      spec: { ...config, reuseCooldown: '10m' },
      status: { effective: config },
    },
    networks: [],
    allocations: [],
    ...changes,
  });

test('without a configuration in force there is no snapshot', () => {
  expect(of({ config: undefined })).toBeUndefined();
  expect(
    of({ config: { metadata: { name: 'default' }, spec: { ...config, reuseCooldown: '10m' } } }),
  ).toBeUndefined();
});

test('networks in force are accepted, enabled and not being deleted; they are sorted by name', () => {
  const networks = [
    stored('b'),
    stored('a'),
    stored('new', { status: {} }),
    stored('refused', { status: { conditions: accepted('False') } }),
    stored('off', { spec: { ...dcos.spec, enabled: false } }),
    stored('going', { metadata: { name: 'going', deletionTimestamp: '2026-01-01T00:00:00Z' } }),
  ];
  expect(of({ networks })?.networks.map(({ metadata }) => metadata)).toEqual([
    { name: 'a', uid: 'uid-a' },
    { name: 'b', uid: 'uid-b' },
  ]);
});

test('of the annotations of OverlayConfig and networks, only the confirmation of overlaps is kept', () => {
  const annotations = { [confirmOverlap]: '9.0.0.0/8', 'example.com/other': 'x' };
  const confirmed = { annotations: { [confirmOverlap]: '9.0.0.0/8' } };
  const configured = {
    metadata: { name: 'default', annotations },
    spec: { ...config, reuseCooldown: '10m' },
    status: { effective: config },
  };
  const networks = [stored('dcos', { metadata: { name: 'dcos', annotations } })];
  const found = of({ config: configured, networks })!;
  expect(found.configMetadata).toEqual(confirmed);
  expect(found.networks[0]?.metadata).toEqual({ name: 'dcos', ...confirmed });
  expect(sameSnapshot(found, of({ config: configured, networks })!)).toBe(true);
  const without = of({ networks })!;
  expect(without).not.toHaveProperty('configMetadata');
  expect(sameSnapshot(found, without)).toBe(false);
});

test('an edit that was refused leaves the subnets that were accepted before', () => {
  const subnets = [...dcos.spec.subnets, { cidr: '44.0.0.0/8', prefix: 24, state: 'Active' as const }];
  const status = { conditions: accepted('False'), capacity: [capacity('9.0.0.0/8')] };
  const { networks } = of({ networks: [stored('dcos', { spec: { ...dcos.spec, subnets }, status })] })!;
  expect(networks[0]?.spec.subnets).toEqual(dcos.spec.subnets);
});

test('allocations without a VTEP do not count yet; the specs are not copied', () => {
  const { vtep, ...bare } = node1;
  expect(vtep).toBeDefined();
  const { allocations } = of({
    allocations: [allocation('node2', node2), allocation('node0', bare), allocation('node1', node1)],
  })!;
  expect(allocations.map(({ node }) => node)).toEqual(['node1', 'node2']);
  expect(allocations[1]?.spec).toBe(node2);
});

test('the API servers’ addresses are part of it as soon as a network needs them', () => {
  const apiServers = [{ address: '172.17.0.2', port: 6443 }];
  const isolation = { mode: 'Isolated', hosts: 'Deny' } as const;
  const asking = stored('b', { spec: { ...dcos.spec, isolation: { ...isolation, allowAPIServer: true } } });
  expect(
    of({ networks: [stored('a', { spec: { ...dcos.spec, isolation } })], apiServers }),
  ).not.toHaveProperty('apiServers');
  expect(of({ networks: [stored('a'), asking], apiServers })?.apiServers).toEqual(apiServers);
  expect(of({ networks: [asking] })).not.toHaveProperty('apiServers');
});
