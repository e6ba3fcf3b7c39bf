import { exitOf } from '../../../src/cli/chain.ts';
import { networkChain, nodeChain, type ClusterFacts } from '../../../src/cli/whynode.ts';
import type { KernelRow } from '../../../src/rows/row.ts';
import { agentRow, clusterFacts, difference, networkRow } from './facts.ts';

const kernels = (...rows: KernelRow[]): Pick<ClusterFacts, 'kernels'> => ({
  kernels: { value: { rows, unanswered: [] } },
});

test.each<[last: string, changes: Partial<ClusterFacts>]>([
  ['node', { agents: [] }],
  ['node', { agents: [agentRow(1, { state: 'Gone' })] }],
  ['agent', { agents: [agentRow(1, { state: 'Missing' })] }],
  ['accepted', { agents: [agentRow(1, { state: 'Refused' })] }],
  ['blocks', { blocks: [] }],
  ['blocks', { agents: [agentRow(1, { networks: [] })] }],
  [
    'ready',
    {
      agents: [
        agentRow(1, { networks: [{ name: 'dcos', state: 'Failed', message: '', subnets: ['9.0.1.0/24'] }] }),
      ],
    },
  ],
  [
    'conditions',
    {
      agents: [
        agentRow(1, {
          conditions: [
            { type: 'SystemReady', status: 'False', reason: 'X', message: '', lastTransitionTime: '' },
          ],
        }),
      ],
    },
  ],
  ['link', kernels(difference({ kind: 'Port', object: 'c-1' }))],
  ['bridge', kernels(difference({}))],
  ['peers', kernels(difference({ kind: 'Neighbour', object: '44.128.0.2' }))],
  ['way back', kernels(difference({ node: 'node2', kind: 'Neighbour', object: '44.128.0.1' }))],
  ['isolation', kernels(difference({ kind: 'Table', object: 'bridge overlaynet' }))],
  ['NAT', kernels(difference({ kind: 'Chain', object: 'iptables-nft nat OVERLAYNET-POSTROUTING' }))],
])('the chain of a node ends at %s', (last, changes) => {
  const { steps } = nodeChain('node1', clusterFacts(changes));
  expect(steps.at(-1)).toMatchObject({ what: last, is: 'Wrong' });
});

test('a node whose agent does not answer, and so cannot say what it waits for', () => {
  const networks = [{ name: 'dcos', state: 'Configuring' as const, message: '', subnets: ['9.0.1.0/24'] }];
  const unanswered = [{ node: 'node1', reason: 'no answer within 5000 ms' }];
  const facts = clusterFacts({
    agents: [agentRow(1, { networks })],
    kernels: { value: { rows: [], unanswered } },
  });
  expect(nodeChain('node1', facts).steps.at(-1)).toMatchObject({
    what: 'ready',
    evidence: 'dcos is Configuring; its agent does not answer: no answer within 5000 ms',
    next: expect.stringMatching(/^kubectl get pods /),
  });
});

test.each(['Partial', 'NotAsked'] as const)('an agent is not called silent whose answer is %s', (answer) => {
  const networks = [{ name: 'dcos', state: 'Configuring' as const, message: '', subnets: ['9.0.1.0/24'] }];
  const unanswered = [{ node: 'node1', reason: 'Docker: no answer', answer }];
  const facts = clusterFacts({
    agents: [agentRow(1, { networks })],
    kernels: { value: { rows: [], unanswered } },
  });
  expect(nodeChain('node1', facts).steps.at(-1)?.evidence).toBe('dcos is Configuring');
});

test('a node without a VTEP', () => {
  const { vtep: _, ...row } = agentRow(1, { state: 'Waiting', message: 'nothing yet' });
  expect(nodeChain('node1', clusterFacts({ agents: [row] })).steps.at(-1)).toMatchObject({
    what: 'VTEP',
    is: 'Wrong',
  });
});

test.each<[last: string, changes: Partial<ClusterFacts>]>([
  ['network', { networks: [] }],
  [
    'subnets',
    { networks: [networkRow({ subnets: [{ cidr: '9.0.0.0/16', prefix: 24, state: 'Refused' }] })] },
  ],
  ['blocks', { networks: [networkRow({ agents: { allocated: 1, ready: 1, failed: 0, waiting: 1 } })] }],
  [
    'agents',
    {
      agents: [agentRow(1, { networks: [{ name: 'dcos', state: 'Configuring', message: '', subnets: [] }] })],
    },
  ],
  ['bridge', kernels(difference({ node: 'node2', network: 'dcos' }))],
  ['isolation', kernels(difference({ kind: 'Set', object: 'overlaynet-may-dcos-4' }))],
])('the chain of a network ends at %s', (last, changes) => {
  const { steps } = networkChain('dcos', clusterFacts(changes));
  expect(steps.at(-1)).toMatchObject({ what: last, is: 'Wrong' });
});

test('a healthy node and a healthy network', () => {
  expect(exitOf([nodeChain('node1', clusterFacts()), networkChain('dcos', clusterFacts())])).toBe(0);
});
