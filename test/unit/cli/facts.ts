import type { OverlayNetwork } from '../../../src/api/types.ts';
import type { PodFacts } from '../../../src/cli/whypod.ts';
import type { ClusterFacts } from '../../../src/cli/whynode.ts';
import type { AgentRow, BlockRow, ContainerRow, KernelRow, NetworkRow } from '../../../src/rows/row.ts';

// A cluster of two nodes with one network, without a fault.

export const since = '2026-01-01T00:00:00Z';

export const networkRow = (changes: Partial<NetworkRow> = {}): NetworkRow => ({
  name: 'dcos',
  state: 'Ready',
  message: '',
  subnets: [{ cidr: '9.0.0.0/16', prefix: 24, state: 'Active' }],
  containerizers: ['CNI'],
  isolation: 'Open',
  allow: [],
  hosts: 'Allow',
  apiServer: 'Allow',
  agents: { allocated: 2, ready: 2, failed: 0, waiting: 0 },
  fill: 1,
  conditions: [],
  created: since,
  ...changes,
});

export const agentRow = (at: number, changes: Partial<AgentRow> = {}): AgentRow => ({
  node: `node${at}`,
  state: 'Ready',
  message: '',
  addresses: [`172.17.0.${at}`],
  vtep: { ip: `44.128.0.${at}/20`, mac: `70:b3:d5:80:00:0${at}` },
  networks: [{ name: 'dcos', state: 'OK', message: '', subnets: [`9.0.${at}.0/24`] }],
  conditions: [],
  created: since,
  ...changes,
});

export const blockRow = (at: number, changes: Partial<BlockRow> = {}): BlockRow => ({
  network: 'dcos',
  space: '9.0.0.0/16',
  cidr: `9.0.${at}.0/24`,
  node: `node${at}`,
  state: 'Held',
  since,
  bridges: { cni: `9.0.${at}.0/25`, docker: `9.0.${at}.128/25` },
  ...changes,
});

export const vtepRow = (at: number, changes: Partial<BlockRow> = {}): BlockRow => ({
  network: '',
  space: 'vtep',
  cidr: `44.128.0.${at}/20`,
  node: `node${at}`,
  state: 'Held',
  since,
  ...changes,
});

export const containerRow = (changes: Partial<ContainerRow> = {}): ContainerRow => ({
  network: 'dcos',
  node: 'node1',
  addresses: ['9.0.1.2'],
  mac: '02:00:00:00:00:01',
  interface: 'eth0',
  hostLink: 'c-0123456789ab',
  runtime: 'CNI',
  id: 'cafe',
  namespace: 'shop',
  pod: 'web-0',
  since,
  kernel: 'Present',
  ...changes,
});

export const difference = (changes: Partial<KernelRow>): KernelRow => ({
  node: 'node1',
  is: 'Missing',
  kind: 'Link',
  object: 'm-dcos',
  message: 'there is no bridge of this name',
  ...changes,
});

export const clusterFacts = (changes: Partial<ClusterFacts> = {}): ClusterFacts => ({
  networks: [networkRow()],
  agents: [agentRow(1), agentRow(2)],
  blocks: [blockRow(1), blockRow(2), vtepRow(1), vtepRow(2)],
  spaces: [
    {
      network: 'dcos',
      cidr: '9.0.0.0/16',
      prefix: 24,
      state: 'Active',
      blocks: 256,
      held: 2,
      releasing: 0,
      cooling: 0,
      quarantined: 0,
      free: 254,
      usage: [],
    },
  ],
  kernels: { value: { rows: [], unanswered: [] } },
  ...changes,
});

export const spec = (changes: Partial<OverlayNetwork['spec']> = {}): OverlayNetwork => ({
  metadata: { name: 'dcos' },
  spec: {
    subnets: [{ cidr: '9.0.0.0/16', prefix: 24, state: 'Active' }],
    enabled: true,
    containerizers: ['CNI'],
    ...changes,
  },
});

export const podFacts = (changes: Partial<PodFacts> = {}): PodFacts => ({
  ...clusterFacts(),
  namespace: 'shop',
  name: 'web-0',
  pod: {
    value: {
      metadata: { name: 'web-0', annotations: { 'overlaynet.dev/network': 'dcos' } },
      spec: { nodeName: 'node1' },
      status: { phase: 'Running', podIPs: [{ ip: '9.0.1.2' }] },
    },
  },
  namespaceObject: { value: { metadata: { name: 'shop', labels: { team: 'a' } } } },
  defaultNetwork: { value: 'dcos' },
  specs: { value: new Map([['dcos', spec()]]) },
  containers: { value: { rows: [containerRow()], unanswered: [] } },
  ...changes,
});
