import type {
  DrainingBlock,
  NetworkSubnet,
  NetworkUser,
  OverlayNetworkSpec,
} from '../../../src/api/types.ts';
import { reference, type Cluster } from '../../support/plancluster.ts';

const old = { cidr: '9.0.0.0/8', prefix: 24 };
const next: NetworkSubnet = { cidr: '10.0.0.0/8', prefix: 24, state: 'Active' };
const draining: NetworkSubnet = { ...old, state: 'Draining' };
const going: NetworkSubnet = { ...draining, removeWhenDrained: true };
const all = ['node1', 'node2', 'node3'];
const web: NetworkUser = { pod: 'default/web-0', address: '9.0.1.5' };

let generation = 1;
/** A user applies dcos with these subnets. */
function apply(cluster: Cluster, subnets: NetworkSubnet[], spec: Partial<OverlayNetworkSpec> = {}): void {
  cluster.network('dcos', subnets, spec);
  const network = cluster.networks.get('dcos')!;
  cluster.networks.set('dcos', {
    ...network,
    metadata: { ...network.metadata, generation: ++generation },
  });
  cluster.settle();
}

/** The agents of these nodes say who uses their blocks of the old entry. */
function say(cluster: Cluster, nodes: string[], users: NetworkUser[] = [], of: Partial<DrainingBlock> = {}) {
  for (const node of nodes) {
    const agent = cluster.agents.get(node)!;
    const { uid: networkUID = '' } = cluster.networks.get('dcos')!.metadata;
    const blocks = cluster.shown(node).filter((cidr) => cidr.startsWith('9.'));
    const answers = blocks.map((cidr) => ({
      cidr,
      networkUID,
      generation,
      count: users.length,
      ...(users.length === 0 ? {} : { named: users }),
      ...of,
    }));
    cluster.agents.set(node, {
      ...agent,
      status: { networks: [{ name: 'dcos', state: 'OK', draining: answers }] },
    });
  }
  cluster.settle();
}

const old9 = (cluster: Cluster) =>
  all.flatMap((node) => cluster.shown(node)).filter((cidr) => cidr.startsWith('9.'));
const drain = (cluster: Cluster) => cluster.status('dcos').draining;
const condition = (cluster: Cluster) => {
  const { status, reason, message } = cluster.condition('dcos', 'Draining');
  return [status, reason, message];
};

test('status counts and names what uses an entry that drains, and says when nothing does', () => {
  const cluster = reference();
  apply(cluster, [draining, next]);
  expect(drain(cluster)).toEqual([
    { cidr: '9.0.0.0/8', state: 'AgentsAsked', nodes: 3, containers: 0, waitsFor: all },
  ]);
  say(cluster, ['node1', 'node3']);
  say(cluster, ['node2'], [web]);
  expect(drain(cluster)).toEqual([
    { cidr: '9.0.0.0/8', state: 'InUse', nodes: 3, containers: 1, users: [{ node: 'node2', ...web }] },
  ]);
  expect(condition(cluster)).toEqual([
    'True',
    'InUse',
    '1 container uses 9.0.0.0/8: pod default/web-0 (node2, 9.0.1.5)',
  ]);
  say(cluster, ['node2'], [web], { count: 30 });
  expect(condition(cluster)[2]).toContain(
    '30 containers use 9.0.0.0/8: pod default/web-0 (node2, 9.0.1.5), …',
  );
  say(cluster, all);
  expect(drain(cluster)).toEqual([{ cidr: '9.0.0.0/8', state: 'Drained', nodes: 3, containers: 0 }]);
  expect(condition(cluster).slice(0, 2)).toEqual(['False', 'Drained']);
  // removal was not requested
  expect(old9(cluster)).toHaveLength(3);
});

test('with removeWhenDrained an unused entry is removed, and the same manifest does not bring it back', () => {
  const cluster = reference();
  apply(cluster, [going, next]);
  say(cluster, ['node1', 'node3']);
  say(cluster, ['node2'], [web]);
  expect(old9(cluster)).toHaveLength(3);
  say(cluster, all);
  expect(old9(cluster)).toEqual([]);
  expect(drain(cluster)).toEqual([{ cidr: '9.0.0.0/8', state: 'Removed', nodes: 0, containers: 0 }]);
  expect(condition(cluster).slice(0, 2)).toEqual(['False', 'Removed']);
  expect(cluster.condition('dcos', 'Accepted').status).toBe('True');
  expect(cluster.status('dcos').subnets).toBe('10.0.0.0/8 /24');
  // its blocks rest like all released blocks
  expect(
    cluster.blocks().filter((block) => block.includes('dcos') && block.endsWith('Cooling')),
  ).toHaveLength(3);
  apply(cluster, [going, next], { warnAt: 70 });
  expect(old9(cluster)).toEqual([]);
  cluster.now += 700_000;
  apply(cluster, [going, next]);
  expect(cluster.ledger.get('spaces')!.spec.index!.spaces.map(({ cidr }) => cidr)).not.toContain('9.0.0.0/8');
  apply(cluster, [going, next], { warnAt: 60 });
  expect(drain(cluster)![0]!.state).toBe('Removed');
  // its range is free for others
  cluster.network('other', [old]);
  cluster.settle();
  expect(cluster.condition('other', 'Accepted').status).toBe('True');
});

test('draining can be rolled back at any point: the same nodes get the same blocks', () => {
  const cluster = reference();
  const before = old9(cluster);
  apply(cluster, [going, next]);
  apply(cluster, [{ ...old, state: 'Active', removeWhenDrained: true }, next]);
  expect(cluster.status('dcos').draining).toBeUndefined();
  apply(cluster, [going, next]);
  say(cluster, all);
  expect(old9(cluster)).toEqual([]);
  apply(cluster, [{ ...old, state: 'Active' }, next]);
  expect(old9(cluster)).toEqual(before);
  apply(cluster, [{ ...old, state: 'Active' }]);
  expect(old9(cluster)).toEqual(before);
});

test('an answer counts only for its generation and its network', () => {
  const cluster = reference();
  apply(cluster, [going, next]);
  say(cluster, all, [], { generation: generation - 1 });
  say(cluster, ['node1'], [], { networkUID: 'another' });
  expect(drain(cluster)![0]).toMatchObject({ state: 'AgentsAsked', waitsFor: all });
  expect(old9(cluster)).toHaveLength(3);
});

test('draining waits for a silent agent, but not for one whose node is gone', () => {
  const cluster = reference();
  apply(cluster, [going, next]);
  say(cluster, ['node1', 'node3']);
  cluster.now += 3_600_000;
  cluster.settle();
  expect(drain(cluster)![0]).toMatchObject({ state: 'AgentsAsked', waitsFor: ['node2'] });
  expect(old9(cluster)).toHaveLength(3);
  cluster.leave('node2');
  cluster.now += 3_600_000;
  cluster.settle();
  expect(old9(cluster)).toEqual([]);
});

test('a withdrawn block that is still used keeps the entry', () => {
  const cluster = reference();
  const [, block = ''] = old9(cluster);
  const agent = cluster.agents.get('node1')!;
  const networks = [{ name: 'dcos', subnets: ['9.200.0.0/24'] }];
  cluster.agents.set('node1', { ...agent, spec: { ...agent.spec, networks } });
  apply(cluster, [going, next]);
  say(cluster, all);
  expect(block).not.toBe('');
  expect(drain(cluster)![0]).toMatchObject({ state: 'AgentsAsked', waitsFor: ['node1'] });
  expect(old9(cluster)).toHaveLength(3);
});

test('an entry whose blocks agents have, but the lost ledger does not, is restored', () => {
  const cluster = reference();
  apply(cluster, [going, next]);
  for (const node of all) {
    const agent = cluster.agents.get(node)!;
    const networks = cluster.spec(node).networks!.map(({ name, subnets }) => ({
      name,
      subnets: subnets.map(({ cidr }) => cidr),
    }));
    const { vtep } = cluster.spec(node);
    cluster.agents.set(node, { ...agent, spec: { ...agent.spec, networks, ...(vtep && { vtep }) } });
  }
  const before = old9(cluster);
  cluster.ledger.clear();
  cluster.allocations.clear();
  cluster.settle();
  for (const node of all) cluster.answer(node);
  cluster.settle();
  expect(old9(cluster)).toEqual(before);
});

test('draining waits for a node whose AgentAllocation was deleted, even before its agent has registered its block', () => {
  const cluster = reference();
  apply(cluster, [going, next]);
  say(cluster, ['node1', 'node3']);
  cluster.allocations.delete('node2');
  cluster.settle();
  expect(drain(cluster)![0]).toMatchObject({ state: 'AgentsAsked', waitsFor: ['node2'] });
  expect(old9(cluster)).toHaveLength(3);
  say(cluster, ['node2']);
  expect(old9(cluster)).toEqual([]);
});
