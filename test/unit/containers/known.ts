import type { Ask } from '../../../src/containers/ask.ts';
import type { Known } from '../../../src/containers/choose.ts';
import type { Namespace } from '../../../src/containers/requested.ts';
import type { LabelSelector } from '../../../src/api/types.ts';
import { allocated, config, network, node2, snapshot, subnet } from '../../support/fixture.ts';

const selecting = (name: string, cidr: string, namespaceSelector: LabelSelector) => {
  const { metadata, spec } = network(name, subnet(cidr));
  return { metadata, spec: { ...spec, namespaceSelector } };
};
const docker = network('docker', subnet('10.9.0.0/16'));
docker.spec.containerizers = ['Docker'];

/** What an agent knows of node2: a network of each sort. */
export const known: Known = {
  snapshot: snapshot({
    networks: [
      network('dcos', subnet('9.0.0.0/8')),
      network('dcos6', subnet('fd01:b::/64')),
      network(
        'both',
        subnet('fd02::/64'),
        subnet('10.1.0.0/16'),
        subnet('10.2.0.0/16'),
        subnet('10.3.0.0/16', 'Draining'),
      ),
      network('drained', subnet('10.4.0.0/16', 'Draining')),
      selecting('shop', '10.5.0.0/16', { matchLabels: { team: 'shop' } }),
      network('elsewhere', subnet('10.6.0.0/16')),
      network('bridgeless', subnet('10.7.0.0/16')),
      network('broken', subnet('10.8.0.0/16')),
      docker,
      network('single', subnet('10.10.0.0/25')),
    ],
    allocations: [
      {
        node: 'node2',
        spec: {
          ...node2,
          networks: [
            ...node2.networks!,
            allocated(
              'both',
              ['fd02::/80', 'fd02::/81'],
              ['10.1.0.0/24', '10.1.0.0/25'],
              ['10.2.0.0/24', '10.2.0.0/25'],
              ['10.3.0.0/24', '10.3.0.0/25'],
            ),
            allocated('drained', ['10.4.0.0/24', '10.4.0.0/25']),
            allocated('shop', ['10.5.0.0/24', '10.5.0.0/25']),
            allocated('bridgeless', ['10.7.0.0/24']),
            allocated('broken', ['10.8.0.0/24', '10.8.0.0/25']),
            allocated('docker', ['10.9.0.0/24']),
            allocated('single', ['10.10.0.0/25', '10.10.0.0/25']),
          ],
        },
      },
    ],
  }),
  idle: new Map([
    ['off', 'spec.enabled is false'],
    ['fresh', 'the operator has not accepted it yet'],
  ]),
  failed: new Map([['broken', 'RTNETLINK answers: Operation not permitted']]),
};
export const withDefault = (defaultNetwork: string): Known => ({
  ...known,
  snapshot: { ...known.snapshot, config: { ...config, defaultNetwork } },
});

export const ask = (changes: Partial<Ask> = {}): Ask => ({
  containerID: 'c',
  ifname: 'eth0',
  namespace: 'default',
  pod: 'web-0',
  ...changes,
});
export const plain: Namespace = { name: 'default', labels: { 'kubernetes.io/metadata.name': 'default' } };
