import type { AgentAllocation, OverlayAgent } from '../../src/api/types.ts';
import { formatAddress } from '../../src/net/address.ts';
import { addressAt, parseCidr } from '../../src/net/cidr.ts';
import type { ContainerRow } from '../../src/rows/row.ts';
import { usageOf } from '../../src/use/usage.ts';

const ago = (now: number, seconds: number): string => new Date(now - seconds * 1_000).toISOString();

const namespaces = ['shop', 'billing', 'search', 'default', 'monitoring'];
const apps = ['web', 'api', 'worker', 'redis', 'postgres', 'cron'];

/** Generates pods and Docker containers on the nodes. */
export function containersOf(
  allocations: ReadonlyMap<string, AgentAllocation>,
  names: string[],
  count: number,
  now: number,
): ContainerRow[] {
  const used = new Map<string, number>();
  const nodes = names.filter((name) => allocations.has(name));
  return Array.from({ length: nodes.length === 0 ? 0 : count }, (_, at): ContainerRow => {
    const node = nodes[at % nodes.length] ?? '';
    const own = allocations.get(node)?.spec.networks ?? [];
    const docker = at % 5 === 4;
    const runtime = docker ? 'docker' : 'cni';
    const wanted = own[Math.floor(at / nodes.length) % own.length];
    const taken = (name: string) => used.get(`${node} ${name} ${runtime}`) ?? 0;
    const isFull =
      wanted === undefined || (wanted.name === 'batch' && taken('batch') > 3) || taken(wanted.name) > 25;
    const { name: network = '', subnets = [] } = (isFull ? own[0] : wanted) ?? {};
    const half = parseCidr(subnets[0]?.bridges?.[runtime] ?? '10.0.0.0/24');
    used.set(`${node} ${network} ${runtime}`, taken(network) + 1);
    const hex = at.toString(16).padStart(12, '0');
    const app = apps[at % apps.length] ?? '';
    return {
      network,
      node,
      addresses: [
        formatAddress(addressAt(half, taken(network) + 1)),
        `fe80::${(at + 1).toString(16).slice(-4)}`,
      ],
      mac: `02:${hex.slice(2).replace(/(..)(?=.)/g, '$1:')}`,
      interface: 'eth0',
      hostLink: `c-${hex}`,
      runtime: docker ? 'Docker' : 'CNI',
      id: `${hex}cafe`,
      ...(docker
        ? { name: `${app}-${at}` }
        : { namespace: namespaces[at % namespaces.length] ?? '', pod: `${app}-${at}` }),
      since: ago(now, 60 + at * 7),
      kernel: at % 997 === 3 ? 'Missing' : 'Present',
    };
  });
}

/** Sets how many addresses are in use in each agent's blocks. */
export function countAddresses(
  agents: ReadonlyMap<string, OverlayAgent>,
  allocations: ReadonlyMap<string, AgentAllocation>,
  containers: readonly ContainerRow[],
): void {
  const byNode = Map.groupBy(containers, ({ node }) => node);
  for (const [node, { status }] of agents) {
    const own = byNode.get(node) ?? [];
    const taken = (runtime: ContainerRow['runtime']) => (network: string) =>
      own.filter((row) => row.runtime === runtime && row.network === network).flatMap((row) => row.addresses);
    const usage = usageOf(allocations.get(node)?.spec.networks ?? [], {
      cni: taken('CNI'),
      docker: taken('Docker'),
    });
    for (const network of status?.networks ?? [])
      network.usage = (usage.get(network.name) ?? []).map((one) => ({ ...one }));
  }
}
