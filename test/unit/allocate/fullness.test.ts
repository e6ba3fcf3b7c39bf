import { gather } from '../../../src/allocate/facts.ts';
import type { Plan } from '../../../src/allocate/plan.ts';
import { Needs } from '../../../src/allocate/shortage.ts';
import { roomForPods, tightBlocks } from '../../../src/allocate/fullness.ts';
import type { AddressUsage, OverlayNetworkSpec } from '../../../src/api/types.ts';
import { Cluster } from '../../support/plancluster.ts';

const small = [{ cidr: '10.1.0.0/22', prefix: 26 }];

/** A network of 16 blocks, and so many nodes on it. */
function cluster(nodes: number, spec: Partial<OverlayNetworkSpec> = {}): Cluster {
  const all = new Cluster();
  all.network('net', small, spec);
  for (let at = 0; at < nodes; at++) all.join(`node${at}`, `172.17.0.${at + 2}`);
  return all.settle();
}

const condition = (all: Cluster) => all.status('net').conditions!.find(({ type }) => type === 'Exhausting');

/** The status is stored, as the operator does it. */
function store(all: Cluster): void {
  all.networks.set('net', { ...all.networks.get('net')!, status: all.status('net') });
}

function append(all: Cluster, subnet: { cidr: string; prefix: number }): void {
  const { status, spec } = all.networks.get('net')!;
  all.network('net', [...spec.subnets, subnet]);
  all.networks.set('net', { ...all.networks.get('net')!, status: status! });
  all.settle();
}

function say(all: Cluster, node: string, used: number, containerizer: 'CNI' | 'Docker' = 'CNI'): void {
  const block = all.shown(node)[0]!.replace('/26', '/27');
  const usage: AddressUsage[] = [{ cidr: block, containerizer, addresses: 29, used, free: 29 - used }];
  const agent = all.agents.get(node)!;
  all.agents.set(node, { ...agent, status: { networks: [{ name: 'net', state: 'OK', usage }] } });
}

test('a subnet four fifths of which are used is Exhausting before a node finds it Exhausted', () => {
  const all = cluster(12);
  expect(condition(all)).toBeUndefined();
  all.join('node12', '172.17.0.20');
  all.settle();
  expect(condition(all)).toMatchObject({
    status: 'True',
    reason: 'Blocks',
    message: '80 % or more of the blocks of 10.1.0.0/22 are used: append a subnet to spec.subnets',
  });
  expect(all.condition('net', 'Ready').reason).toBe('Progressing');
});

test('a subnet that is appended ends the warning, and the wait of nodes that have no block of the full one', () => {
  const all = cluster(17);
  store(all);
  expect(condition(all)).toMatchObject({ status: 'True', reason: 'Blocks' });
  expect(all.condition('net', 'Ready')).toMatchObject({ reason: 'Exhausted' });
  expect(all.condition('net', 'Stalled').status).toBe('True');
  // another family does not help
  append(all, { cidr: 'fd01::/64', prefix: 80 });
  expect(condition(all)).toMatchObject({ status: 'True', reason: 'Blocks' });
  expect(all.condition('net', 'Ready').message).toContain('1 node waits: node16');
  append(all, { cidr: '10.2.0.0/16', prefix: 24 });
  expect(all.shown('node16')).toEqual(['fd01::10:0:0:0/80', '10.2.16.0/24']);
  expect(condition(all)).toMatchObject({ status: 'False', reason: 'Enough' });
  for (const [node, agent] of all.agents)
    all.agents.set(node, { ...agent, status: { networks: [{ name: 'net', state: 'OK' }] } });
  expect(all.condition('net', 'Ready')).toMatchObject({ status: 'True', reason: 'AllAgentsReady' });
  expect(all.condition('net', 'Stalled').status).toBe('False');
  expect(all.status('net').agents).toMatchObject({ allocated: 17, ready: 17, waiting: 0 });
});

test('a node waits for a block of an Active subnet that is not full, even if it has one of another', () => {
  const all = cluster(3);
  all.network('net', [...small, { cidr: '10.2.0.0/16', prefix: 24 }]);
  all.settle();
  const facts = gather(all.view(), all.last);
  const network = all.networks.get('net')!;
  expect(new Needs(network, facts).areMet('node2')).toBe(true);
  const nodesIn = (cidr: string) =>
    cidr === small[0]!.cidr ? facts.holdings.nodesIn(cidr) : new Set<string>();
  const without = (exhausted: Plan['exhausted']) =>
    new Needs(network, { ...facts, plan: { ...facts.plan, exhausted }, holdings: { nodesIn } as never });
  expect(without([]).areMet('node2')).toBe(false);
  const space = facts.index.spaces.find(({ cidr }) => cidr === '10.2.0.0/16')!;
  expect(without([{ space, nodes: ['node1'] }]).areMet('node2')).toBe(false);
  expect(without([{ space, nodes: ['node2'] }]).areMet('node2')).toBe(true);
});

test('a block of a subnet that drains does not make up for one of a full subnet', () => {
  const all = cluster(1);
  all.network('net', [
    { ...small[0]!, state: 'Draining' },
    { cidr: '10.2.0.0/25', prefix: 26 },
  ]);
  all.join('node1', '172.17.0.40');
  all.join('node2', '172.17.0.41');
  all.settle();
  expect(all.condition('net', 'Ready').message).toContain('1 node waits: node2');
});

test('spec.warnAt moves the threshold, and a warning ends five percent below it', () => {
  const all = cluster(8, { warnAt: 50 });
  store(all);
  expect(condition(all)!.status).toBe('True');
  const { metadata, spec } = all.networks.get('net')!;
  const at = (warnAt: number) => {
    all.networks.set('net', { ...all.networks.get('net')!, metadata, spec: { ...spec, warnAt } });
    return condition(all)?.status;
  };
  expect(at(54)).toBe('True');
  expect(at(56)).toBe('False');
});

test('a node whose addresses run out is named, of pods as of Docker, and how to see more', () => {
  const all = cluster(3);
  say(all, 'node1', 23);
  expect(condition(all)).toBeUndefined();
  say(all, 'node1', 24);
  say(all, 'node2', 29, 'Docker');
  const { status, reason, message } = condition(all)!;
  expect([status, reason]).toEqual(['True', 'Addresses']);
  expect(message).toMatch(
    /^80 % or more of the addresses are used on node1, node2: kubectl get overlayagent node1 -o yaml;/,
  );
});

test('an agent that reports an invalid range stops nothing', () => {
  const all = cluster(2);
  const usage: AddressUsage[] = [
    { cidr: '10.1.0.0/33; reboot', containerizer: 'CNI', addresses: 1, used: 1, free: 0 },
  ];
  const agent = all.agents.get('node0')!;
  all.agents.set('node0', { ...agent, status: { networks: [{ name: 'net', state: 'OK', usage }] } });
  say(all, 'node1', 29);
  expect(condition(all)!.message).toContain('are used on node1:');
});

test('a subnet that drains warns of nothing', () => {
  const all = cluster(13);
  all.network('net', [
    { ...small[0]!, state: 'Draining' },
    { cidr: '10.2.0.0/16', prefix: 24 },
  ]);
  all.settle();
  expect(condition(all)).toBeUndefined();
});

test('an invalid warnAt is refused with field, value and rule', () => {
  const all = cluster(1, { warnAt: 0 });
  expect(all.condition('net', 'Accepted')).toMatchObject({
    status: 'False',
    reason: 'Invalid',
    message: 'spec.warnAt: 0 is not a percentage from 1 to 100',
  });
});

describe('TightBlocks', () => {
  const pods = (counts: Record<string, number>) => (node: { name: string }) => counts[node.name];
  const verdict = (all: Cluster, counts: Record<string, number>) =>
    tightBlocks(all.networks.get('net')!, [...all.nodes.values()], pods(counts));

  test('names the nodes that take more pods than a half of their block has addresses', () => {
    const all = cluster(3);
    expect(verdict(all, { node0: 29, node1: 110, node2: 250 })).toMatchObject({
      status: 'True',
      reason: 'FewerAddressesThanPods',
      message: expect.stringContaining(
        'has 29 addresses for pods, and these nodes take more: node1 (110 pods), node2 (250 pods);',
      ),
    });
    expect(verdict(all, { node0: 29, node1: 29, node2: 29 }).status).toBe('False');
  });

  test('leaves out nodes that are not selected, and networks that are for Docker alone', () => {
    const all = cluster(1, { nodeSelector: { matchLabels: { rack: 'b' } } });
    expect(verdict(all, { node0: 110 }).status).toBe('False');
    expect(roomForPods({ containerizers: ['Docker'], subnets: [] })).toBeUndefined();
  });

  test('counts what active subnets of one family have together, and the family that has least', () => {
    const entry = (cidr: string, prefix: number) => ({ cidr, prefix, state: 'Active' as const });
    const room = (...subnets: ReturnType<typeof entry>[]) =>
      roomForPods({ containerizers: ['CNI'], subnets });
    expect(room(entry('10.1.0.0/22', 26), entry('10.2.0.0/22', 26))).toBe(122);
    expect(room(entry('10.1.0.0/22', 24), entry('fd02::/112', 124))).toBe(14);
  });

  test('stays while a new leader has not read all Nodes again', () => {
    const all = cluster(2);
    const tight = verdict(all, { node0: 110, node1: 110 });
    const network = all.networks.get('net')!;
    const status = { conditions: [{ ...tight, lastTransitionTime: '2026-01-01T00:00:00Z' }] };
    all.networks.set('net', { ...network, status });
    expect(verdict(all, { node0: 10 })).toEqual(tight);
    expect(verdict(all, { node0: 10, node1: 10 }).status).toBe('False');
  });
});
