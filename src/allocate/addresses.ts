import type { OverlayAgent } from '../api/types.ts';
import { isAddress, parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import type { NodeFacts, Refusal, View } from './view.ts';

/**
 * Annotation of a node's AgentAllocation that confirms addresses that the node did not register with: a comma list. No
 * kubelet and no agent can write it.
 */
export const confirmAddresses = 'overlaynet.dev/confirm-addresses';

/** An address space in use. A node's own address must not lie in it. */
export interface TakenSpace {
  cidr: string;
  /** Its owner in words: `network dcos`. */
  owner: string;
}

/**
 * Refuses addresses that the Node itself does not state: a stolen token must not be able to claim another node's FDB
 * entry.
 */
export function own(
  view: View,
  node: NodeFacts,
  { spec }: OverlayAgent,
  checked: readonly string[],
): Refusal | 'unread' | undefined {
  if (spec.addresses.every((address) => checked.includes(address))) return undefined;
  const stated = view.nodeAddresses.get(node.name);
  if (stated === undefined) return 'unread';
  const stray = spec.addresses.find((address) => !stated.includes(address));
  if (stray === undefined) return undefined;
  return {
    reason: 'NotNodeAddress',
    message: `spec.addresses: ${stray} is not an address of Node ${node.name}, which states ${stated.join(', ') || 'none'}`,
  };
}

export function conflict(
  view: View,
  { spec }: OverlayAgent,
  node: NodeFacts,
  owner: ReadonlyMap<string, string>,
  unread: Set<string>,
): Refusal | 'unread' | undefined {
  for (const address of spec.addresses) {
    const other = owner.get(address);
    // the addresses of a Node that is gone are free, even if its allocation still has them
    if (other === undefined || other === node.name || !view.nodes.has(other)) continue;
    const stated = view.nodeAddresses.get(other);
    if (stated === undefined) {
      unread.add(other);
      return 'unread';
    }
    if (stated.includes(address)) {
      return {
        reason: 'AddressConflict',
        message: `spec.addresses: ${address} is registered by node ${other} already`,
      };
    }
  }
  return undefined;
}

export function overlap(
  { spec }: OverlayAgent,
  spaces: readonly (TakenSpace & { parsed: ReturnType<typeof parseCidr> })[],
): Refusal | undefined {
  for (const address of spec.addresses) {
    const parsed = parseAddress(address);
    const hit = spaces.find((space) => containsAddress(space.parsed, parsed));
    if (hit !== undefined) {
      return {
        reason: 'AddressOverlap',
        message: `spec.addresses: ${address} lies in ${hit.cidr} of ${hit.owner}`,
      };
    }
  }
  return undefined;
}

const inside = (nodeSubnets: readonly string[]) => {
  const subnets = nodeSubnets.map(parseCidr);
  return (text: string): boolean => {
    const address = parseAddress(text);
    return subnets.some((subnet) => containsAddress(subnet, address));
  };
};

/**
 * The believed part of a node's further addresses, besides the registered ones. No packets are routed to them; they only
 * count as a host's for networks with `hosts: Deny`. So no Node object has to state them. If `nodeSubnets` is set,
 * addresses outside of it count as outside the cluster.
 */
export function believed(
  { spec }: OverlayAgent,
  nodeSubnets: readonly string[] | undefined,
): readonly string[] | undefined {
  const stated = spec.furtherAddresses?.filter(isAddress) ?? [];
  const further = nodeSubnets === undefined ? stated : stated.filter(inside(nodeSubnets));
  return further.length === 0 ? undefined : further;
}

/** Refuses addresses outside of `nodeSubnets`. */
export function outside(
  { spec }: OverlayAgent,
  nodeSubnets: readonly string[] | undefined,
): Refusal | undefined {
  if (nodeSubnets === undefined) return undefined;
  const isInside = inside(nodeSubnets);
  const stray = spec.addresses.find((text) => !isInside(text));
  if (stray === undefined) return undefined;
  return {
    reason: 'OutsideNodeSubnets',
    message: `spec.addresses: ${stray} lies in none of spec.nodeSubnets of OverlayConfig, ${nodeSubnets.join(', ')}`,
  };
}

/**
 * Refuses an address that is new for a Node, unless it is proven.
 * The Node's own kubelet states its addresses. An attacker on the node can state any address, and would get all that
 * pods send to it. So the addresses that a Node first registers with are pinned to its uid, in its AgentAllocation. A
 * later address counts at once if `nodeSubnets` contains it, so that a node that moves is found within seconds.
 * Otherwise, and if API servers listen at it, a person must confirm it.
 * @param pinned addresses of this Node that are in force
 */
export function unproven(
  { allocations, apiServers }: Pick<View, 'allocations' | 'apiServers'>,
  { metadata, spec }: OverlayAgent,
  pinned: readonly string[],
  nodeSubnets: readonly string[] | undefined,
): Refusal | undefined {
  if (pinned.length === 0) return undefined;
  const { name } = metadata;
  const confirmed = allocations.get(name)?.metadata.annotations?.[confirmAddresses]?.split(',') ?? [];
  const added = spec.addresses.filter((address) => !pinned.includes(address) && !confirmed.includes(address));
  const remedy =
    `if that is right: kubectl annotate --overwrite agentallocation ${name} ` +
    `${confirmAddresses}=${spec.addresses.join()}`;
  const served = added.find((address) => apiServers.includes(address));
  if (served !== undefined) {
    return {
      reason: 'APIServerAddress',
      message: `spec.addresses: API servers listen at ${served}, which Node ${name} did not register with; ${remedy}`,
    };
  }
  const [first] = added;
  if (first === undefined || nodeSubnets !== undefined) return undefined;
  return {
    reason: 'AddressChanged',
    message:
      `spec.addresses: ${first} is new, Node ${name} registered with ${pinned.join(', ')}, and OverlayConfig has no ` +
      `spec.nodeSubnets, in which a node may move; ${remedy}`,
  };
}
