import { isolation } from '../../../src/allocate/isolation.ts';
import type { Isolation } from '../../../src/api/types.ts';
import { Cluster, dcos } from '../../support/plancluster.ts';

const network = (name: string, of?: Isolation) => ({
  metadata: { name },
  spec: {
    subnets: [],
    enabled: true,
    containerizers: [],
    ...(of === undefined ? {} : { isolation: of }),
  },
});

const web: Isolation = { mode: 'Isolated', allow: ['db', 'web'] };

const said = (of: Isolation | undefined, ...others: ReturnType<typeof network>[]) => {
  const own = network('web', of);
  return isolation(own, [own, ...others]);
};

test('a network that was never isolated has no condition', () => {
  expect(said(undefined)).toBeUndefined();
  expect(said({ mode: 'Open', allow: ['gone'], hosts: 'Deny' })).toBeUndefined();
});

test('a network that was opened again reports that the other settings are not in force', () => {
  const condition = {
    type: 'Isolated',
    status: 'True',
    reason: '',
    message: '',
    lastTransitionTime: '',
  } as const;
  const opened = { ...network('web', { mode: 'Open', hosts: 'Deny' }), status: { conditions: [condition] } };
  expect(isolation(opened, [opened])).toMatchObject({
    status: 'False',
    reason: 'Open',
    message: 'any network may open connections; allow and hosts are not in force',
  });
});

test.each<[Isolation, string]>([
  [{ mode: 'Isolated' }, 'connections with no other network, and other nodes too'],
  [web, 'connections with db, and other nodes too'],
  [{ ...web, hosts: 'Deny' }, 'connections with db, and no other node'],
  [{ ...web, hosts: 'Deny', allowAPIServer: true }, 'connections with db, and the API server too'],
])('an isolated one says whom it talks with: %j', (of, message) => {
  const db = network('db', { mode: 'Isolated', allow: ['web'] });
  expect(said(of, db)).toEqual({ type: 'Isolated', status: 'True', reason: 'Isolated', message });
});

test('allow reports names without effect: of missing networks, and of networks that do not allow this one', () => {
  const shut = network('db', { mode: 'Isolated' });
  expect(said({ mode: 'Isolated', allow: ['db', 'gone', 'open'] }, shut, network('open'))).toMatchObject({
    status: 'True',
    reason: 'AllowedInVain',
    message:
      'spec.isolation.allow: there is no network gone; db must allow web too; connections with open, and other nodes too',
  });
});

test('it is part of the status that the operator writes, beside the others', () => {
  const cluster = new Cluster();
  cluster.network('dcos', dcos, { isolation: { mode: 'Isolated', allow: ['gone'] } });
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  expect(cluster.status('dcos').conditions?.map(({ type, reason }) => [type, reason])).toEqual([
    ['Accepted', 'Accepted'],
    ['Ready', 'Progressing'],
    ['Reconciling', 'Progressing'],
    ['Isolated', 'AllowedInVain'],
  ]);
});
