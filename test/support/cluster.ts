import type { AgentAllocationSpec, Isolation, Underlay } from '../../src/api/types.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { formatCidr, block, halves, parseCidr } from '../../src/net/cidr.ts';
import { vtepAt } from '../../src/net/vtep.ts';

export const vtepSubnets = ['44.128.0.0/20', 'fd01:a::/64'];

export interface NetworkOptions {
  name: string;
  subnets: { cidr: string; prefix: number }[];
  isolation?: Isolation;
}

/** Defaults to `dcos` and `dcos6` of the reference cluster. */
export interface ClusterOptions {
  networks?: NetworkOptions[];
  underlay?: Underlay;
  vtepSubnets?: string[];
  mtu?: number;
  vni?: number;
  /** Further addresses of each node. */
  further?: string[][];
}

const reference: NetworkOptions[] = [
  { name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] },
  { name: 'dcos6', subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }] },
];

/** Addresses of node `index`, counted from 0: 172.17.0.2, fd00:17::2, … */
export const nodeAddresses = (index: number): string[] => [
  `172.17.${(index + 2) >> 8}.${(index + 2) & 255}`,
  `fd00:17::${(index + 2).toString(16)}`,
];

/**
 * Returns the snapshot of node `own` in a cluster of that many nodes, each with a block of every subnet and its
 * bridges.
 */
export function cluster(nodes: number, own: number, options: ClusterOptions = {}): Snapshot {
  const { networks = reference, underlay = 'IPv4', mtu = 1400, vni = 1024, further = [] } = options;
  const subnets = options.vtepSubnets ?? vtepSubnets;
  return {
    node: `node${own}`,
    config: {
      vtepSubnets: subnets,
      vtepMACOUI: '70:B3:D5:00:00:00',
      vni,
      port: 64000,
      underlay,
      mtu,
      defaultNetwork: 'dcos',
    },
    networks: networks.map(({ name, subnets, isolation }) => ({
      metadata: { name },
      spec: {
        enabled: true,
        containerizers: ['CNI', 'Docker'],
        subnets: subnets.map((subnet) => ({ ...subnet, state: 'Active' })),
        ...(isolation === undefined ? {} : { isolation }),
      },
    })),
    allocations: Array.from({ length: nodes }, (_, index) => ({
      node: `node${index}`,
      spec: {
        revision: 1,
        nodeUID: `uid-${index}`,
        addresses: nodeAddresses(index),
        ...(further[index] === undefined ? {} : { furtherAddresses: further[index] }),
        vtep: vtepAt(subnets, '70:B3:D5:00:00:00', index),
        networks: networks.map(({ name, subnets }) => ({
          name,
          subnets: subnets.map((subnet) => share(subnet, index)),
        })),
      } satisfies AgentAllocationSpec,
    })),
  };
}

function share({ cidr, prefix }: { cidr: string; prefix: number }, index: number) {
  const own = block(parseCidr(cidr), prefix, index);
  const [cni, docker] = halves(own).map(formatCidr);
  return { cidr: formatCidr(own), bridges: { cni: cni!, docker: docker! } };
}
