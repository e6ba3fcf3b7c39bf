import type { Pod } from '../kube/resources.ts';
import { formatAddress, isAddress, parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import type { BlockRow, ContainerRow, KernelRow, Unanswered } from '../rows/row.ts';
import type { Kernels, Read } from './chain.ts';
import { containerName } from './columns.ts';
import { ofAllocations, ofLedger, ofRegistrations, repeated, type Inconsistency } from './ledgercheck.ts';
import type { ClusterFacts } from './whynode.ts';

export interface CheckFacts extends ClusterFacts {
  containers: Read<{ rows: readonly ContainerRow[]; unanswered: readonly Unanswered[] }>;
  pods: Read<readonly Pod[]>;
}

/** The sources that disagree, and phrases that name what could not be read. */
export function inconsistencies(facts: CheckFacts): { found: Inconsistency[]; unknown: string[] } {
  const { agents, blocks, containers, kernels, pods } = facts;
  const found = [...ofLedger(blocks), ...ofAllocations(agents, blocks), ...ofRegistrations(agents)];
  const unknown: string[] = [];
  if ('why' in kernels) unknown.push(`kernels: ${kernels.why}`);
  else {
    found.push(...kernels.value.rows.map(ofKernel));
    unknown.push(...silence('kernel', kernels.value.unanswered));
  }
  if ('why' in containers) unknown.push(`containers: ${containers.why}`);
  else {
    found.push(...ofContainers(containers.value.rows, blocks));
    unknown.push(...silence('containers', containers.value.unanswered));
    if ('why' in pods) unknown.push(`pods: ${pods.why}`);
    else found.push(...ofPods(pods.value, containers.value, facts));
  }
  return { found, unknown };
}

const silence = (what: string, unanswered: Kernels['unanswered']): string[] =>
  unanswered.map(({ node, reason }) => `${what} of ${node}: ${reason}`);

const sources: Partial<Record<KernelRow['kind'], string>> = {
  Lease: 'leases and records',
  Record: 'records and allocations',
  Port: 'records and kernel',
};

/** Inconsistencies that an agent reports about its node. */
function ofKernel({ node, is, kind, object, message }: KernelRow): Inconsistency {
  const kinds = {
    Missing: 'Mismatch',
    Wrong: 'Mismatch',
    Foreign: kind === 'Lease' ? 'Leak' : 'Stranger',
  } as const;
  // an agent leaves foreign objects, and containers that lost their link, as they are
  const isLeftAlone =
    message.includes('not overlaynet') || (kind === 'Port' && is === 'Missing') || kind === 'Record';
  return {
    is: kind === 'Record' && message.includes('same address') ? 'Duplicate' : kinds[is],
    between: sources[kind] ?? 'allocations and kernel',
    node,
    object: `${kind} ${object}`,
    message: `${is}: ${message}`,
    next: isLeftAlone
      ? 'what to do is in the message'
      : 'the agent mends it by itself; where it stays: --fix restarts that agent',
    ...(isLeftAlone ? {} : { mendable: true as const }),
  };
}

/** Compares containers with their nodes' blocks and with each other. */
function ofContainers(rows: readonly ContainerRow[], blocks: readonly BlockRow[]): Inconsistency[] {
  const real = rows.map((row) => ({
    row,
    addresses: row.addresses.filter((one) => !one.startsWith('fe80:')),
  }));
  const parts = new Map<string, ReturnType<typeof parseCidr>[]>();
  for (const { node, network, bridges } of blocks)
    for (const [runtime, cidr] of [
      ['CNI', bridges?.cni],
      ['Docker', bridges?.docker],
    ] as const)
      if (cidr !== undefined) {
        const key = `${node} ${network} ${runtime}`;
        parts.set(key, [...(parts.get(key) ?? []), parseCidr(cidr)]);
      }
  const strangers = real.flatMap(({ row, addresses }) => {
    const own = parts.get(`${row.node} ${row.network} ${row.runtime}`) ?? [];
    return addresses
      .filter((one) => !own.some((part) => containsAddress(part, parseAddress(one))))
      .map((one): Inconsistency => ({
        is: 'Stranger',
        between: row.runtime === 'Docker' ? 'Docker and allocations' : 'records and allocations',
        node: row.node,
        object: one,
        message: `${containerName(row)} (${row.runtime}) has ${one}, which is in no block of ${row.node} for ${row.network}`,
        next:
          row.runtime === 'Docker'
            ? `docker inspect ${row.id}; start it anew`
            : 'delete the pod: it comes back with an address of its node',
      }));
  });
  const doubled = repeated(
    real.flatMap(({ row, addresses }) =>
      addresses.map((key) => ({
        key: `${row.network} ${key}`,
        node: row.node,
        name: `${containerName(row)} on ${row.node}`,
      })),
    ),
  ).map(({ key, node, names }): Inconsistency => ({
    is: 'Duplicate',
    between: 'records and Docker',
    node,
    object: key,
    message: `${names} have the same address ${key.replace(/.* /, '')}`,
    next: 'end one of them',
  }));
  return [...strangers, ...doubled];
}

/** Compares pods in Kubernetes with the records of nodes. */
function ofPods(
  pods: readonly Pod[],
  { rows, unanswered }: { rows: readonly ContainerRow[]; unanswered: readonly Unanswered[] },
  { networks }: ClusterFacts,
): Inconsistency[] {
  const between = 'records and pods';
  const live = new Map(
    pods
      .filter(({ status: podStatus }) => podStatus?.phase !== 'Succeeded' && podStatus?.phase !== 'Failed')
      .map((pod) => [`${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, pod]),
  );
  const leaks = rows
    .filter((row) => row.pod !== undefined)
    .flatMap((row): Inconsistency[] => {
      const pod = live.get(containerName(row));
      const of = { is: 'Leak' as const, between, node: row.node, object: row.addresses.join(', ') };
      const next = 'the runtime’s next DEL or GC frees it; where it stays: --fix restarts that agent';
      if (pod === undefined)
        return [
          {
            ...of,
            message: `${row.node} has a record of pod ${containerName(row)}, which is gone`,
            next,
            mendable: true,
          },
        ];
      const at = pod.spec?.nodeName;
      return at === row.node
        ? []
        : [
            {
              ...of,
              message: `${row.node} has a record of pod ${containerName(row)}, which is on ${at ?? 'no node'}`,
              next,
              mendable: true,
            },
          ];
    });
  const silent = new Set(unanswered.map(({ node }) => node));
  const known = new Set(rows.map((row) => `${row.node} ${containerName(row)}`));
  const subnets = networks.flatMap((row) => row.subnets.map(({ cidr }) => parseCidr(cidr)));
  const strangers = [...live].flatMap(([name, { spec, status: podStatus }]): Inconsistency[] => {
    const node = spec?.nodeName;
    if (node === undefined || silent.has(node) || known.has(`${node} ${name}`)) return [];
    return (podStatus?.podIPs ?? [])
      .filter(
        ({ ip }) => isAddress(ip) && subnets.some((subnet) => containsAddress(subnet, parseAddress(ip))),
      )
      .map(({ ip }) => ({
        is: 'Stranger' as const,
        between,
        node,
        object: formatAddress(parseAddress(ip)),
        message: `pod ${name} has ${ip}, and ${node} has no record of it`,
        next: `delete the pod: it comes back with a record`,
      }));
  });
  return [...leaks, ...strangers];
}
