import { progress } from '../../../src/allocate/progress.ts';
import { reference, type Cluster } from '../../support/plancluster.ts';

const told = (cluster: Cluster, network: string) =>
  Object.fromEntries(
    (cluster.status(network).conditions ?? []).map(({ type, status, reason }) => [
      type,
      `${status} ${reason}`,
    ]),
  );

test('a network that is fine, disabled, or selects no node is ready, and nothing is waited for', () => {
  const cluster = reference();
  cluster.network('off', [{ cidr: '10.1.0.0/16', prefix: 24 }], { enabled: false });
  cluster.network('nowhere', [{ cidr: '10.2.0.0/16', prefix: 24 }], {
    nodeSelector: { matchLabels: { rack: 'none' } },
  });
  cluster.settle();
  expect(told(cluster, 'off')).toEqual({ Accepted: 'True Accepted', Ready: 'True Disabled' });
  expect(told(cluster, 'nowhere')).toEqual({ Accepted: 'True Accepted', Ready: 'True NoAgents' });
});

test('what agents have still to do is Reconciling, and is over once they have', () => {
  const cluster = reference();
  expect(told(cluster, 'dcos')).toEqual({
    Accepted: 'True Accepted',
    Ready: 'False Progressing',
    Reconciling: 'True Progressing',
  });
  const network = cluster.networks.get('dcos')!;
  cluster.networks.set('dcos', { ...network, status: cluster.status('dcos') });
  for (const [name, agent] of cluster.agents)
    cluster.agents.set(name, { ...agent, status: { networks: [{ name: 'dcos', state: 'OK' }] } });
  expect(told(cluster, 'dcos')).toEqual({
    Accepted: 'True Accepted',
    Ready: 'True AllAgentsReady',
    Reconciling: 'False Settled',
  });
});

test('a refusal that no waiting mends is Stalled with its words; one that ends by itself is Reconciling', () => {
  const cluster = reference();
  cluster.network('clash', [{ cidr: '9.128.0.0/16', prefix: 24 }]);
  cluster.settle();
  expect(told(cluster, 'clash')).toMatchObject({ Accepted: 'False Overlap', Stalled: 'True Overlap' });
  const stalled = cluster.condition('clash', 'Stalled');
  expect(stalled.message).toBe(cluster.condition('clash', 'Accepted').message);
  cluster.networks.delete('dcos');
  cluster.settle();
  expect(told(cluster, 'clash')).toMatchObject({ Accepted: 'False Cooling', Reconciling: 'True Cooling' });
});

test('a subnet without a free block is Stalled, unless blocks of it rest', () => {
  const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' } as const;
  const ready = { type: 'Ready', status: 'False', reason: 'Exhausted', message: 'full' } as const;
  const raised = (cooling: number) =>
    progress(accepted, ready, [{ releasing: 0, cooling }])
      .filter(({ status }) => status === 'True')
      .map(({ type, message }) => [type, message]);
  expect(raised(0)).toEqual([['Stalled', 'full']]);
  expect(raised(1)).toEqual([['Reconciling', 'full']]);
});

test('OverlayConfig before any agent is Ready; a value that is not in force stalls it', () => {
  const cluster = reference();
  cluster.config!.spec = { ...cluster.config!.spec, vni: 2000 };
  cluster.settle();
  const conditions = cluster.configStatus().conditions!;
  expect(conditions.find(({ type }) => type === 'Stalled')).toMatchObject({
    status: 'True',
    reason: 'Pinned',
  });
});
