import { exitOf, printChains, type Chain } from '../../../src/cli/chain.ts';
import type { Output } from '../../../src/cli/output.ts';
import { podChains, type PodFacts } from '../../../src/cli/whypod.ts';
import type { Pod } from '../../../src/kube/resources.ts';
import type { KernelRow } from '../../../src/rows/row.ts';
import { agentRow, blockRow, containerRow, difference, networkRow, podFacts, spec } from './facts.ts';

const links = [
  'pod',
  'agent',
  'annotation',
  'network',
  'selector',
  'block',
  'ready',
  'lease',
  'link',
  'bridge',
  'peers',
  'way back',
  'isolation',
  'NAT',
];

const whats = ({ steps }: Chain) => steps.map(({ what }) => what);

test('why shows every step of a healthy pod’s chain with its evidence', () => {
  const chains = podChains(podFacts());
  expect(chains.map(({ about }) => about)).toEqual(['pod shop/web-0 on network dcos']);
  expect(whats(chains[0]!)).toEqual(links);
  expect(
    chains[0]!.steps.filter(({ is, evidence, next }) => is !== 'OK' || evidence === '' || next !== undefined),
  ).toEqual([]);
  expect(exitOf(chains)).toBe(0);
});

const pod = (changes: Partial<Pod>): Pick<PodFacts, 'pod'> => {
  const { pod: known } = podFacts();
  const value = 'value' in known ? known.value : undefined;
  return { pod: { value: { ...value!, ...changes } } };
};
const annotated = (text: string) =>
  pod({ metadata: { name: 'web-0', annotations: { 'overlaynet.dev/network': text } } });
const kernels = (...rows: KernelRow[]): Pick<PodFacts, 'kernels'> => ({
  kernels: { value: { rows, unanswered: [] } },
});
const containers = (...rows: ReturnType<typeof containerRow>[]): Pick<PodFacts, 'containers'> => ({
  containers: { value: { rows, unanswered: [] } },
});

test.each<[last: string, what: string, changes: Partial<PodFacts>, evidence: string]>([
  ['pod', 'there is no such pod', { pod: { value: undefined } }, 'there is no pod shop/web-0'],
  ['pod', 'it is on no node', pod({ spec: {} }), 'it is on no node yet'],
  [
    'pod',
    'it has its node’s network',
    pod({ spec: { nodeName: 'node1', hostNetwork: true } }),
    'hostNetwork',
  ],
  ['pod', 'it has ended', pod({ status: { phase: 'Failed' } }), 'it has ended (Failed)'],
  ['agent', 'no agent is on its node', { agents: [agentRow(2)] }, 'no agent has registered on node node1'],
  ['agent', 'its agent is missing', { agents: [agentRow(1, { state: 'Missing', message: 'm' })] }, 'm'],
  [
    'agent',
    'its agent is refused',
    { agents: [agentRow(1, { state: 'Refused', message: 'dup' })] },
    'Refused: dup',
  ],
  ['annotation', 'it has a space', annotated('dcos, dcos6'), 'has a space in it'],
  ['annotation', 'it has an escape', annotated('dcos\u001b[31m'), '\\u001b[31m'],
  [
    'annotation',
    'no default is there',
    { ...annotated(''), defaultNetwork: { value: 'other' } },
    'defaultNetwork other of OverlayConfig default, and no such network is there',
  ],
  ['network', 'there is no such network', annotated('dcos6'), 'there is no network dcos6'],
  ['network', 'it is disabled', { networks: [networkRow({ state: 'Disabled' })] }, 'dcos is disabled'],
  [
    'network',
    'it is refused',
    { networks: [networkRow({ state: 'Refused', message: 'overlaps' })] },
    'overlaps',
  ],
  [
    'selector',
    'its namespace may not',
    { specs: { value: new Map([['dcos', spec({ namespaceSelector: { matchLabels: { team: 'b' } } })]]) } },
    'dcos is for namespaces with team=b, and shop is not one',
  ],
  ['block', 'its node has no block', { blocks: [blockRow(2)] }, 'node node1 holds no block of dcos'],
  ['block', 'the block is being taken', { blocks: [blockRow(1, { state: 'Releasing' })] }, 'is Releasing'],
  ['block', 'no part is for pods', { blocks: [blockRow(1, { bridges: {} })] }, 'has no part for pods'],
  [
    'ready',
    'the agent does not show it',
    { agents: [agentRow(1, { networks: [] })] },
    'was not given dcos yet',
  ],
  [
    'ready',
    'the agent failed',
    {
      agents: [
        agentRow(1, { networks: [{ name: 'dcos', state: 'Failed', message: 'no vxlan', subnets: [] }] }),
      ],
    },
    'the agent of node1 reports dcos Failed: no vxlan',
  ],
  ['lease', 'the node has no record', containers(), 'node node1 has no record of it on dcos'],
  ['lease', 'it is another pod’s', containers(containerRow({ pod: 'web-1' })), 'has no record of it'],
  [
    'lease',
    'its address is strange',
    containers(containerRow({ addresses: ['9.0.7.7'] })),
    '9.0.7.7 is in no block of node node1',
  ],
  [
    'lease',
    'nothing keeps the address',
    kernels(difference({ kind: 'Lease', object: '9.0.1.2', message: 'no lease' })),
    '9.0.1.2: no lease',
  ],
  [
    'lease',
    'Kubernetes has another',
    containers(containerRow({ addresses: ['9.0.1.3'] })),
    'Kubernetes shows 9.0.1.2',
  ],
  [
    'link',
    'the kernel does not show it',
    containers(containerRow({ kernel: 'Missing' })),
    'node node1 shows no c-0123456789ab',
  ],
  [
    'link',
    'it is down',
    kernels(difference({ kind: 'Port', is: 'Wrong', object: 'c-0123456789ab', message: 'it is down' })),
    'Wrong Port c-0123456789ab: it is down',
  ],
  ['bridge', 'there is none', kernels(difference({ network: 'dcos' })), 'Missing Link m-dcos'],
  [
    'bridge',
    'the tunnel is down',
    kernels(difference({ object: 'vtep1024', is: 'Wrong' })),
    'Wrong Link vtep1024',
  ],
  [
    'peers',
    'a route is missing',
    kernels(difference({ kind: 'Route', object: '9.0.2.0/24' })),
    'Missing Route 9.0.2.0/24',
  ],
  [
    'peers',
    'a member is missing',
    kernels(difference({ kind: 'Set', object: 'overlaynet-members-4 172.17.0.2' })),
    'members',
  ],
  [
    'way back',
    'the peer has no entry of it',
    kernels(difference({ node: 'node2', kind: 'FDB', object: '70:b3:d5:80:00:01' })),
    'node2: Missing FDB 70:b3:d5:80:00:01',
  ],
  [
    'isolation',
    'a set is wrong',
    kernels(difference({ kind: 'Set', object: 'overlaynet-net-dcos-4' })),
    'overlaynet-net-dcos-4',
  ],
  [
    'isolation',
    'a chain is wrong',
    kernels(difference({ kind: 'Chain', object: 'iptables-nft mangle OVERLAYNET-FORWARD' })),
    'mangle',
  ],
  [
    'NAT',
    'its chain is wrong',
    kernels(difference({ kind: 'Chain', object: 'iptables-nft nat OVERLAYNET-POSTROUTING' })),
    'nat',
  ],
])('the chain of a pod ends at %s where %s', (last, _, changes, evidence) => {
  const chains = podChains(podFacts(changes));
  const [{ steps }] = chains as [Chain];
  const end = steps.at(-1);
  expect(end).toMatchObject({ what: last, is: 'Wrong' });
  expect(end?.evidence).toContain(evidence);
  expect(end?.next).not.toBe('');
  expect(steps.slice(0, -1).every(({ is }) => is === 'OK')).toBe(true);
  expect(exitOf(chains)).toBe(1);
});

test('facts about other networks, other containers and other nodes’ peers are ignored', () => {
  const rows = [
    difference({ object: 'm-other', network: 'other' }),
    difference({ kind: 'Port', object: 'c-ffffffffffff' }),
    difference({ node: 'node2' }),
    difference({ node: 'node2', kind: 'FDB', object: '70:b3:d5:80:00:09' }),
  ];
  expect(exitOf(podChains(podFacts(kernels(...rows))))).toBe(0);
});

test('each network of an annotation has its own chain', () => {
  const chains = podChains(podFacts(annotated('dcos,other')));
  expect(chains.map(({ about }) => about)).toEqual([
    'pod shop/web-0 on network dcos',
    'pod shop/web-0 on network other',
  ]);
  expect(chains.map((chain) => exitOf([chain]))).toEqual([0, 1]);
});

test.each<[what: string, changes: Partial<PodFacts>, unknown: string[]]>([
  ['the pod', { pod: { why: 'no right' } }, ['pod', 'annotation']],
  ['the specs', { specs: { why: 'no right' } }, ['selector']],
  ['containers', { containers: { why: 'no right' } }, ['lease', 'link']],
  ['kernels', { kernels: { why: 'no right' } }, ['bridge', 'peers', 'way back', 'isolation', 'NAT']],
  [
    'one kernel',
    { kernels: { value: { rows: [], unanswered: [{ node: 'node2', reason: 'late' }] } } },
    ['way back'],
  ],
])('where %s cannot be read it says so, goes on and gives 2', (what, changes, unknown) => {
  const chains = podChains(podFacts(changes));
  const [{ steps }] = chains as [Chain];
  expect(steps.filter(({ is }) => is === 'Unknown').map((step) => step.what)).toEqual(
    what === 'kernels' ? ['link', ...unknown] : unknown,
  );
  expect(exitOf(chains)).toBe(2);
});

test('output is harmless, and ASCII on an ASCII terminal', () => {
  const print = (unicode: boolean) => {
    const lines: string[] = [];
    const out = { unicode, colours: false, line: (text: string) => lines.push(text) } as unknown as Output;
    printChains(
      [{ about: 'pod a/b\u001b[31m', steps: [{ what: 'pod', is: 'Wrong', evidence: 'x\u0007', next: 'y' }] }],
      undefined,
      out,
    );
    return lines;
  };
  expect(print(true)).toEqual(['pod a/b\\u001b[31m', '  ✗ pod  x\\u0007', '         → y']);
  expect(print(false)).toEqual(['pod a/b\\u001b[31m', '  WRONG pod  x\\u0007', '             -> y']);
});
