import { acceptedSubnets } from '../api/accepted.ts';
import { isTrue } from '../api/conditions.ts';
import { isLeaving, isWaiting } from '../api/inuse.ts';
import { confirmOverlap } from '../api/ranges.ts';
import type {
  AgentAllocation,
  NetworkSubnet,
  ObjectMeta,
  OverlayConfig,
  OverlayNetwork,
} from '../api/types.ts';
import type { APIServer, Snapshot } from '../dataplane/snapshot.ts';

/** The content of synced caches. */
export interface Cached {
  config: OverlayConfig | undefined;
  networks: OverlayNetwork[];
  allocations: AgentAllocation[];
  apiServers?: APIServer[];
}

/**
 * Computes everything that the data path depends on, in a stable order. Specs are the caches' own objects, not copies.
 * Undefined if the configuration in force is absent: then nothing is known, and everything stays.
 */
export function snapshotOf(
  node: string,
  { config, networks, allocations, apiServers }: Cached,
): Snapshot | undefined {
  const effective = config?.status?.effective;
  if (config === undefined || effective === undefined) return undefined;
  const used = networksInForce(networks).sort((a, b) => order(a.metadata.name, b.metadata.name));
  const confirmed = overlapsConfirmed(config.metadata);
  const asked = used.some(({ spec }) => spec.isolation?.allowAPIServer === true);
  return {
    node,
    config: effective,
    ...(confirmed.annotations === undefined ? {} : { configMetadata: confirmed }),
    networks: used,
    allocations: allocations
      .filter(({ spec }) => spec.vtep !== undefined)
      .map(({ metadata, spec }) => ({ node: metadata.name, spec }))
      .sort((a, b) => order(a.node, b.node)),
    ...(asked && apiServers !== undefined ? { apiServers } : {}),
  };
}

export const networksInForce = (networks: readonly OverlayNetwork[]): Snapshot['networks'] =>
  networks.flatMap(inForce);

/** The network with its accepted subnets; empty if it is disabled, being deleted, or not accepted. */
function inForce(network: OverlayNetwork): Snapshot['networks'] {
  const { metadata, spec } = network;
  const subnets = spec.enabled && !isLeaving(metadata) ? subnetsInForce(network) : [];
  if (subnets.length === 0) return [];
  const drains = subnets.some(({ state }) => state === 'Draining');
  // the other metadata changes with every status, which would look like a change of the network
  const { name, uid } = metadata;
  return [
    {
      metadata: {
        name,
        ...(uid === undefined ? {} : { uid }),
        ...(drains && metadata.generation !== undefined ? { generation: metadata.generation } : {}),
        ...(isWaiting(metadata) ? { deletionTimestamp: metadata.deletionTimestamp ?? '' } : {}),
        ...overlapsConfirmed(metadata),
      },
      spec: { ...spec, subnets },
    },
  ];
}

/** Reduces an object's annotations to the one that says which of its subnets may overlap. */
function overlapsConfirmed({
  annotations,
}: Pick<ObjectMeta, 'annotations'>): Pick<ObjectMeta, 'annotations'> {
  const confirmed = annotations?.[confirmOverlap];
  return confirmed === undefined ? {} : { annotations: { [confirmOverlap]: confirmed } };
}

/** Why a new network is not in force yet, for a container that wants it. */
export const notAcceptedYet = 'the operator has not accepted it yet';

/** The networks that are not in force, and the reason for each, for users. */
export function idleNetworks(
  networks: readonly OverlayNetwork[],
  inForce: ReadonlySet<string>,
): Map<string, string> {
  const idle = networks.filter(({ metadata }) => !inForce.has(metadata.name));
  return new Map(idle.map((network) => [network.metadata.name, whyIdle(network)]));
}

function whyIdle({ metadata, spec, status }: OverlayNetwork): string {
  if (isLeaving(metadata)) return 'it is being deleted';
  if (!spec.enabled) return 'spec.enabled is false';
  const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
  return accepted?.status === 'False' ? `${accepted.reason}: ${accepted.message}` : notAcceptedYet;
}

/** After a refused edit (Accepted=False) the subnets that were accepted before stay in force. */
function subnetsInForce(network: OverlayNetwork): NetworkSubnet[] {
  if (network.status?.capacity !== undefined) return acceptedSubnets(network);
  return isTrue(network.status?.conditions, 'Accepted') ? network.spec.subnets : [];
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
