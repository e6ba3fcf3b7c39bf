import { vtepAt } from '../../../src/net/vtep.ts';
import { Memory, plan } from '../../../src/allocate/plan.ts';
import { keyOf } from '../../../src/allocate/view.ts';
import { Cluster, configSpec, dcos, reference } from '../../support/plancluster.ts';

/** Blocks that two agents say they hold. */

/** Its agent says that it holds these blocks of dcos. */
function state(cluster: Cluster, node: string, ...subnets: string[]): void {
  const agent = cluster.agents.get(node)!;
  const { networks } = agent.spec;
  const others = networks?.filter(({ name }) => name !== 'dcos') ?? [];
  const spec = { ...agent.spec, networks: [{ name: 'dcos', subnets }, ...others] };
  cluster.agents.set(node, { ...agent, spec });
}

test('a contested block is not freed after its node in the ledger leaves, while the other agent reports it', () => {
  const cluster = reference();
  cluster.join('node4', '172.17.0.5');
  state(cluster, 'node4', '9.0.2.0/24');
  cluster.settle();
  expect(cluster.configStatus().quarantined).toHaveLength(1);
  state(cluster, 'node4', '9.0.3.0/24', '9.0.2.0/24');
  cluster.leave('node3');
  cluster.settle();
  cluster.now += 601_000;
  cluster.join('node5', '172.17.0.6');
  cluster.settle();
  expect(cluster.shown('node5')[0]).toBe('9.0.4.0/24');
  state(cluster, 'node4', '9.0.3.0/24');
  cluster.settle();
  cluster.join('node6', '172.17.0.7');
  cluster.settle();
  expect(cluster.shown('node6')[0]).toBe('9.0.2.0/24');
});

test('a node gets nothing in place of a contested block before its agent could be asked', () => {
  const cluster = reference();
  cluster.join('node4', '172.17.0.5');
  state(cluster, 'node4', '9.0.2.0/24');
  const metadata = { name: 'node4', uid: 'x', resourceVersion: '1' };
  const nodeUID = cluster.nodes.get('node4')!.uid;
  cluster.allocations.set('node4', { metadata, spec: { revision: 1, nodeUID, addresses: ['172.17.0.5'] } });
  const nobody = { nodes: new Set<string>(), networks: new Set<string>(), agents: new Set<string>() };
  const { writes, reads } = plan({ ...cluster.view(), asked: nobody }, new Memory());
  expect([...reads.agents]).toEqual(['node4']);
  expect(writes.map(keyOf)).not.toContain('write-page net-dcos-1');
  cluster.settle();
  expect(cluster.configStatus().quarantined).toHaveLength(1);
});

test('a restore ends only once the last agent, which holds a contested block, is shown what else it holds', () => {
  const cluster = reference();
  cluster.join('node4', '172.17.0.5');
  const last = cluster.agents.get('node4')!;
  cluster.agents.delete('node4');
  cluster.wentBackAt = cluster.now;
  for (const node of ['node1', 'node2', 'node3']) state(cluster, node, cluster.shown(node)[0]!);
  cluster.settle();
  const restore = cluster.configStatus().restored!.id;
  for (const node of ['node1', 'node2', 'node3']) cluster.answer(node);
  cluster.settle();
  const networks = [
    { name: 'dcos', subnets: ['9.0.2.0/24'] },
    { name: 'dcos6', subnets: ['fd01:b:0:0:7::/80'] },
  ];
  const vtep = vtepAt(configSpec.vtepSubnets, configSpec.vtepMACOUI, 7);
  cluster.agents.set('node4', { ...last, spec: { ...last.spec, restore, vtep, networks } });
  cluster.settle(() => {
    const isOver = cluster.ledger.get('spaces')!.spec.index!.restored?.over !== undefined;
    if (isOver) expect(cluster.shown('node4')).toContain('fd01:b:0:0:7::/80');
  });
  expect(cluster.ledger.get('spaces')!.spec.index!.restored?.over).toBeDefined();
});

test('if there are more than the status lists, no node loses the rest: those nodes wait', () => {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  for (let at = 0; at < 40; at++) cluster.join(`a${at}`, `172.17.0.${at + 1}`);
  cluster.settle();
  for (let at = 0; at < 40; at++) {
    cluster.join(`b${at}`, `172.17.1.${at + 1}`);
    state(cluster, `b${at}`, ...cluster.shown(`a${at}`));
  }
  cluster.settle();
  const { quarantined = [] } = cluster.config!.status!;
  expect(quarantined).toHaveLength(32);
  const named = new Set(quarantined.flatMap(({ nodes }) => nodes));
  for (const name of cluster.nodes.keys())
    if (!named.has(name) && name.startsWith('b')) expect([name, cluster.shown(name)]).toEqual([name, []]);
});

test('an address that another node took over no longer belongs to its old owner, even if that write was lost', () => {
  const cluster = new Cluster();
  cluster.config!.spec = { ...configSpec, nodeSubnets: ['172.17.0.0/16'] };
  cluster.network('dcos', dcos);
  cluster.join('a', '172.17.0.2');
  cluster.settle();
  cluster.join('z', '172.17.0.4');
  cluster.settle();
  cluster.stated.set('z', ['172.17.0.9']);
  cluster.stated.set('a', ['172.17.0.4']);
  const agent = cluster.agents.get('a')!;
  cluster.agents.set('a', { ...agent, spec: { ...agent.spec, addresses: ['172.17.0.4'] } });
  cluster.refusals.set('update-allocation z', 'refused');
  cluster.settle();
  cluster.refusals.clear();
  cluster.settle();
  expect(cluster.spec('z').addresses).toEqual([]);
});
