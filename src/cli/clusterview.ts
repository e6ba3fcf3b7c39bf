import { canonicalAddresses, statedAddresses, statedPods } from '../allocate/stated.ts';
import type { UsedRange } from '../allocate/usedranges.ts';
import { spacesName, type View } from '../allocate/view.ts';
import { ApiError, type Client } from '../kube/client.ts';
import { isMissingKind } from '../kube/error.ts';
import {
  agentAllocations,
  allocationLedgers,
  endpointSlices,
  nodes as nodeResource,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
  serviceCIDRs,
  services,
  type Node,
} from '../kube/resources.ts';
import { readingInto } from './chain.ts';

/** The facts that a plan depends on, as an operator would see them now. */
export interface ClusterView {
  view: View;
  pods: (node: { name: string }) => number | undefined;
  /** Ranges of Services and pods. */
  used: UsedRange[];
  /** Phrases that name what could not be read. */
  unknown: string[];
}

/** Undefined: the API server's CRDs are older than the kind. */
async function reservationsOf(
  client: Client,
): Promise<Pick<View, 'reservations' | 'reservationsAt'> | undefined> {
  try {
    const { items, resourceVersion } = await client.list(overlayReservations);
    return { reservations: byName(items), reservationsAt: Number(resourceVersion) };
  } catch (error) {
    if (isMissingKind(error)) return undefined;
    throw error;
  }
}

/**
 * Reads them.
 * @throws ApiError, Error if a fact that decides cannot be read
 */
export async function clusterView(client: Client): Promise<ClusterView> {
  const unknown: string[] = [];
  const optional = readingInto(unknown);
  // reads the ledger last, as the operator does: it is then never older than an allocation that depends on it
  const allocations = await client.list(agentAllocations);
  const [config, networks, reservations, nodes, agents, slice, serviceRanges] = await Promise.all([
    client.get(overlayConfigs, 'default'),
    client.list(overlayNetworks),
    optional('what is reserved for nodes', () => reservationsOf(client)),
    client.list(nodeResource),
    client.list(overlayAgents),
    optional('addresses of API servers', () => client.get(endpointSlices('default'), 'kubernetes')),
    optional('ranges of Services', () => rangesOfServices(client, unknown)),
  ]);
  const ledger = await client.list(allocationLedgers);
  const pages = byName(ledger.items);
  const spaces = pages.get(spacesName);
  pages.delete(spacesName);
  const view: View = {
    now: Date.now(),
    config,
    firstConfig: {},
    networks: networks.items,
    ...(reservations ?? { reservations: new Map(), reservationsAt: Infinity }),
    nodes: new Map(nodes.items.map(({ metadata }) => [metadata.name, factsOf(metadata)])),
    agents: byName(agents.items),
    allocations: byName(allocations.items),
    allocationsAt: Number(allocations.resourceVersion),
    ledger: {
      ...(spaces === undefined ? {} : { spaces }),
      pages,
      readAt: Number(ledger.resourceVersion),
      fresh: new Map(),
    },
    nodeAddresses: new Map(nodes.items.map((node) => [node.metadata.name, statedAddresses(node)])),
    apiServers: canonicalAddresses((slice?.endpoints ?? []).flatMap(({ addresses }) => addresses)),
    withdrawn: new Set(),
    asked: { nodes: new Set(), networks: new Set(), agents: new Set() },
    refusal: () => undefined,
    wentBackAt: undefined,
    // a manifest removes no network, so it does not matter whether the CRD is being deleted
    networksKind: { uid: spaces?.spec.index?.networksCRD ?? '', goes: false },
    leaving: undefined,
    confirmedGone: new Set(),
  };
  const pods = new Map(nodes.items.map((node) => [node.metadata.name, statedPods(node)]));
  return {
    view,
    pods: ({ name }) => pods.get(name),
    used: [...(serviceRanges ?? []), ...rangesOfPods(nodes.items)],
    unknown,
  };
}

const byName = <T extends { metadata: { name: string } }>(items: readonly T[]): Map<string, T> =>
  new Map(items.map((item) => [item.metadata.name, item]));

const factsOf = ({ name, uid = '', labels = {}, creationTimestamp = '' }: Node['metadata']) => ({
  name,
  uid,
  labels,
  creationTimestamp,
});

const rangesOfPods = (nodes: readonly Node[]): UsedRange[] =>
  nodes.flatMap(({ metadata, spec }) =>
    (spec?.podCIDRs ?? []).map((cidr) => ({
      cidr,
      owner: `addresses of pods (podCIDRs of Node ${metadata.name})`,
    })),
  );

async function rangesOfServices(client: Client, unknown: string[]): Promise<UsedRange[]> {
  try {
    const { items } = await client.list(serviceCIDRs);
    return items.flatMap(({ metadata, spec }) =>
      (spec?.cidrs ?? []).map((cidr) => ({
        cidr,
        owner: `addresses of Services (ServiceCIDR ${metadata.name})`,
      })),
    );
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  // before Kubernetes 1.33 no object states the range; its first address is that of the API server's own Service
  const own = await client.get(services('default'), 'kubernetes');
  const addresses = own?.spec?.clusterIPs ?? [];
  unknown.push(
    `ranges of Services: this API server has no ServiceCIDR (Kubernetes 1.33); compare with the range that begins before ${addresses.join(' and ')}`,
  );
  return addresses.map((address) => ({
    cidr: `${address}/${address.includes(':') ? 128 : 32}`,
    owner: 'the address of the Service kubernetes, and so the addresses of Services',
  }));
}
